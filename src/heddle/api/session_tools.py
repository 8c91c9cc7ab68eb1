"""What a session may ask while it works. Who asks is known from the listener it came through, never from what it says."""

from dataclasses import dataclass

import msgspec

from heddle.api.desk import Desk
from heddle.core.claim import PathClaim
from heddle.core.errors import Refused, UserError
from heddle.core.notes import MOST_PATHS, Note, NoteKind
from heddle.core.run import Active, Run
from heddle.core.scope import Scope, require_scope
from heddle.core.task import Stage
from heddle.engine.documents import NAMES, require_document
from heddle.engine.noting import Noting

LONGEST_CLAIM_MINUTES = 240.0
MOST_READ = 50
"""Notes that are read at once: the newest."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The session that asks."""

    task: str
    session: str


class Submit(msgspec.Struct, forbid_unknown_fields=True):
    """The whole document of your stage, with its front matter if it has one."""

    document: str


class Write(msgspec.Struct, forbid_unknown_fields=True):
    """A fact that others should know: its kind, the fact in a line or two, and what it is about: paths or globs, or symbols
    as module.function or Class.method.
    """

    kind: NoteKind
    text: str
    paths: list[str] = []
    symbols: list[str] = []


class Paths(msgspec.Struct, forbid_unknown_fields=True):
    """The paths or globs that you mean to write."""

    paths: list[str]


class ClaimPaths(msgspec.Struct, forbid_unknown_fields=True):
    """The paths or globs that you are about to write, all of them: they take the place of what you claimed before. None:
    you claim nothing any more. Who is to write there and has not begun waits, until you are done or silent for so long.
    """

    paths: list[str]
    minutes: float = 30.0


async def submit(desk: Desk, caller: Caller, asked: Submit) -> str:
    """Hand in the document of the stage; what is wrong with it is told at once."""
    run = require_live(desk, caller)
    require_document(run.stage, asked.document)
    site, at = await desk.site(run), run.at_work
    workspace = await site.workspaces.find(at.workspace if at else "")
    if workspace is None:
        raise Refused("the session's workspace is gone", slug="workspace-lost", hint="end your turn")
    await workspace.put(NAMES[run.stage], asked.document.encode())
    return f"{NAMES[run.stage]} is taken; you can hand it in again until your turn ends"


async def write_note(desk: Desk, caller: Caller, asked: Write) -> str:
    """Leave a fact for the sessions that it concerns."""
    run = require_live(desk, caller)
    noting = Noting(desk.runs, await desk.site(run))
    note = await noting.write(run, caller.session, asked.kind, asked.text, asked.paths, asked.symbols)
    return f"{note.id} is written; sessions that it concerns are given it"


async def check_overlap(desk: Desk, caller: Caller, asked: Paths) -> str:
    """Which tasks under way may write the same, and whether main changed there since the run began."""
    mine = require_live(desk, caller)
    scope = require_paths(asked.paths)
    if not scope.declared:
        raise UserError("no path is named", slug="usage", hint="name the paths that you mean to write")
    told = [_meeting(scope, run) for run in desk.runs.all() if _is_neighbour(run, mine)]
    told += _claimed(desk, caller, mine, scope)
    site = await desk.site(mine)
    tip = await site.repository.resolve(f"refs/heads/{mine.task.branch}")
    changes = await site.repository.changes(mine.base, tip) if tip != mine.base else ()
    moved = [change.path for change in changes if scope.covers(change.path)]
    told += [f"{mine.task.branch} changed {', '.join(moved[:20])} since your run began"] if moved else []
    return "\n".join(line for line in told if line) or "nobody else may write there, and main did not change there"


async def claim_paths(desk: Desk, caller: Caller, asked: ClaimPaths) -> str:
    """Say what the session is about to write, so that others keep away from it."""
    mine, clock = require_live(desk, caller), desk.fleet.outside.clock
    if not 0 < asked.minutes <= LONGEST_CLAIM_MINUTES:
        told = f"a claim lasts for at most {LONGEST_CLAIM_MINUTES} minutes"
        raise UserError(told, slug="usage", hint="claim again to make it longer")
    globs, now = require_paths(asked.paths).globs, clock.now()
    lease_s = asked.minutes * 60
    claim = PathClaim(caller.task, caller.session, globs, now + lease_s, lease_s)
    await desk.runs.claim_paths(mine.task.repository, claim, now)
    if not globs:
        return "you claim nothing"
    until = f"until your attempt ends, or nothing was heard of you for {asked.minutes:g} minutes"
    lines = [f"yours {until}: {', '.join(globs)}", "whoever is to write there and has not begun waits for you"]
    executing = [run for run in desk.runs.all() if _is_neighbour(run, mine) and run.stage is Stage.EXECUTE]
    begun = [_meeting(Scope(globs), run) for run in executing if isinstance(run.activity, Active)]
    return "\n".join((*lines, *(f"at work already: {line}" for line in begun if line)))


def require_paths(paths: list[str]) -> Scope:
    """Checked globs, as many as anybody means. Raises UserError (slug bad-scope, usage)."""
    if len(paths) > MOST_PATHS:
        raise UserError(f"{len(paths)} paths are named", slug="usage", hint="name folders, as in 'src/api/**'")
    return require_scope(paths)


def _is_neighbour(run: Run, mine: Run) -> bool:
    return run.under_way and run.task.id != mine.task.id and run.task.repository == mine.task.repository


def _claimed(desk: Desk, caller: Caller, mine: Run, scope: Scope) -> list[str]:
    """A line for each claim of another task's session that the scope meets."""
    now = desk.fleet.outside.clock.now()
    claims = (claim for claim in desk.runs.path_claims(mine.task.repository, now) if claim.task != caller.task)
    meeting = (claim for claim in claims if scope.meeting(Scope(claim.paths)))
    return [f"{claim.task} claims {', '.join(claim.paths)}" for claim in meeting]


def _meeting(scope: Scope, run: Run) -> str:
    """A line about a task that may write what the scope covers; one that has not said where is told as such."""
    theirs = run.scope
    if not theirs.declared:
        return f"{run.task.id} ({run.stage}) has not declared what it will write: {run.task.title}"
    meeting = scope.meeting(theirs)
    return f"{run.task.id} ({run.stage}) may write {meeting[1]}: {run.task.title}" if meeting else ""


def require_live(desk: Desk, caller: Caller) -> Run:
    """The run of the session that asks. Raises Refused(slug="session-over") for one that is not its run's any more."""
    run = desk.require(caller.task)
    at = run.at_work
    if at is None or at.session != caller.session or not isinstance(run.activity, Active) or run.parked is not None:
        raise Refused(
            f"session '{caller.session}' is over", slug="session-over", hint="end your turn; another session goes on"
        )
    return run


def unread(desk: Desk, caller: Caller) -> tuple[Note, ...]:
    """Notes that the session was not given yet."""
    run = desk.require(caller.task)
    notes = desk.runs.notebook(run.task.repository).unread(caller.session, caller.task, desk.runs.heard)
    return tuple(note for note in notes if note.concerns(run.scope))
