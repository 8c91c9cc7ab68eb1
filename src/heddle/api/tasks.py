"""Tasks: start, look, stop, pause, restore."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import msgspec

from heddle.api.desk import Desk, require_text
from heddle.core import events as e
from heddle.core.claim import require_claim
from heddle.core.contest import Pick, player
from heddle.core.cycle import Wait, Who
from heddle.core.errors import Refused, UserError
from heddle.core.handoff import handoff
from heddle.core.links import Link, LinkKind
from heddle.core.run import AtGate, HeldUp, LandedAt, Run, Unstarted
from heddle.core.scope import require_scope
from heddle.core.task import UNDO, Lane, Stage, Task
from heddle.core.timeline import timeline
from heddle.engine.roles import Roles

LOOK_S = 0.5
"""How long a board waits for the engine's look at what has just happened."""

MOST_RIVALS = 9
"""Attempts that compete: more than a person can compare is no choice."""


class Linked(msgspec.Struct, forbid_unknown_fields=True):
    """What another task is to this one: it `blocks` it, is its `parent`, or it was `discovered-from` it."""

    kind: LinkKind
    task: str


class Start(msgspec.Struct, forbid_unknown_fields=True):
    """Ask for a task: `text` for a new one, or `task` for one that is in the tracker. `root`: a path inside the repository.

    `anyway`: it begins also where it is predicted to change what another task changes.
    `best_of` attempts compete, played by `agents` in turn; as many as those when it is 0. `pick`: who chooses.
    """

    root: str
    text: str = ""
    task: str = ""
    lane: str = ""
    role: str = "feature"
    agent: str = ""
    model: str = ""
    branch: str = ""
    scope: list[str] = []
    checks: list[str] = []
    run: bool = True
    best_of: int = 0
    agents: list[str] = []
    pick: str = Pick.PERSON
    priority: int = 2
    links: list[Linked] = []
    token: int = 0
    anyway: bool = False


class Board(msgspec.Struct, forbid_unknown_fields=True):
    """Which tasks: of one repository (`root`), or `all`, finished ones too."""

    root: str = ""
    all: bool = False


class One(msgspec.Struct, forbid_unknown_fields=True):
    """A task by id."""

    task: str


class Because(msgspec.Struct, forbid_unknown_fields=True):
    """A task, and why."""

    task: str
    why: str = ""


class Until(msgspec.Struct, forbid_unknown_fields=True):
    """Wait for tasks to end, or to need a person; at most `seconds` for one call."""

    tasks: list[str]
    seconds: float = 20.0
    through: bool = False


class Restore(msgspec.Struct, forbid_unknown_fields=True):
    """Bring back what a task's removed workspaces held, at a new path."""

    task: str
    path: str
    ref: str = ""


async def board(desk: Desk, asked: Board) -> dict[str, Any]:
    """Every task with its one status and the reason for it; `stale` when some of it may change without a further fact."""
    current = await desk.fleet.up_to_date(LOOK_S)
    runs = [run for run in desk.runs.all() if asked.all or not run.over or _recent(desk, run)]
    if asked.root:
        site = await desk.fleet.outside.site(asked.root)
        runs = [run for run in runs if run.task.repository == site.repository.key]
    await desk.fleet.rotting.look(runs)
    items = [item for run in desk.runs.all() for item in desk.items(run)]
    return {
        "schema": "heddle.board/1",
        "tier": desk.fleet.outside.tier,
        "lacks": desk.lacks,
        "trouble": desk.fleet.trouble or next(iter(desk.troubles.values()), ""),
        "stale": not current,
        "set_aside": [asdict(kept) for kept in desk.runs.journal.set_aside()],
        "inbox": len(items),
        "tasks": [desk.row(run) for run in runs],
    }


def _recent(desk: Desk, run: Run) -> bool:
    history = desk.runs.history(run.task.id)
    return bool(history) and desk.fleet.outside.clock.now() - history[-1].at < 86_400


async def start(desk: Desk, asked: Start) -> dict[str, Any]:
    """Put a task into the tracker and begin its run."""
    if asked.task:
        if asked.best_of or asked.agents:
            hint = "ask for it anew, with the words of the task"
            raise UserError("a task that is known cannot become a contest", slug="usage", hint=hint)
        _require_bare(asked)
        return await _start_known(desk, asked)
    site = await desk.fleet.outside.site(asked.root)
    repository = site.repository
    branch = asked.branch or await repository.current_branch()
    base = await repository.resolve(f"refs/heads/{branch}")
    await desk.fleet.outside.settings.settings(repository, base)
    role = await Roles(desk.fleet.outside.texts, repository).load(base, asked.role)
    for brand, _ in _players(asked):
        if brand:
            desk.fleet.outside.agents.agent(brand)
    text, count = require_text(asked.text), _rivals(asked)
    lane, scope = role.lane(asked.lane), require_scope(asked.scope).globs
    if lane is Lane.REPORT and count > 1:
        raise UserError("attempts compete for what lands, and a report does not", slug="usage", hint="ask for one")
    scope = role.scope if lane is Lane.QUICK and not scope else scope
    brand, model = _players(asked)[0]
    priority, links = require_priority(asked.priority), known_links(desk, asked.links)

    def make(id: str) -> list[e.Event]:
        task = Task(
            id,
            repository.key,
            repository.root,
            branch,
            text,
            lane,
            asked.role,
            brand,
            model,
            scope,
            tuple(asked.checks),
            best_of=count,
            rival_agents=tuple(asked.agents),
            contest=id if count > 1 else "",
            pick=asked.pick,
            priority=priority,
            links=links,
        )
        begun = _begun(desk, asked, 1, base)
        return [e.TaskAdded(task), *(begun if asked.run else [])]

    return desk_row(desk, await desk.runs.add(make, by=desk.by))


def _players(asked: Start) -> list[tuple[str, str]]:
    """Brand and model of whoever is named; a model that is named apart is that of the one agent."""
    if asked.agents:
        return [player(told) for told in asked.agents]
    brand, model = player(asked.agent)
    return [(brand, model or asked.model)]


def _rivals(asked: Start) -> int:
    """How many attempts compete."""
    if asked.pick not in tuple(Pick):
        rules = ", ".join(Pick)
        raise UserError(f"there is no rule '{asked.pick}'", slug="no-such-rule", hint=f"who chooses is one of: {rules}")
    if asked.agents and (asked.agent or asked.model):
        hint = "name them all, as brand or brand:model, with --agents"
        raise UserError("one agent or model is named, and several agents", slug="usage", hint=hint)
    count = asked.best_of or max(1, len(asked.agents))
    if not 1 <= count <= MOST_RIVALS:
        raise UserError(f"{count} attempts cannot compete", slug="too-many-rivals", hint=f"name 2 to {MOST_RIVALS}")
    if count < len(asked.agents):
        hint = "name fewer agents, or a greater --best-of"
        raise UserError(f"{len(asked.agents)} agents cannot play {count} attempts", slug="too-many-agents", hint=hint)
    return count


def _require_bare(asked: Start) -> None:
    """Nothing is dropped in silence that would have it run otherwise, or not yet."""
    plain = Start(root=asked.root, task=asked.task, token=asked.token, pick=asked.pick, anyway=asked.anyway)
    said = [name for name in Start.__struct_fields__ if getattr(asked, name) != getattr(plain, name)]
    if said:
        hint = "change it first, with its edit or dep: heddle task --help"
        raise UserError(f"a task that is known starts as it is: {', '.join(said)}", slug="usage", hint=hint)


def _begun(desk: Desk, asked: Start, number: int, base: str) -> list[e.Event]:
    """The facts of a run that begins."""
    anyway: list[e.Event] = [e.OverlapAccepted(desk.by)] if asked.anyway else []
    return [e.RunStarted(number, base), *anyway]


def _anyway(desk: Desk) -> Callable[[Run], list[e.Event]]:
    """What lets a run begin although it is predicted to meet another; once is enough."""
    return lambda run: [e.OverlapAccepted(desk.by)] if run.unbegun and not run.meets_anyway else []


async def _start_known(desk: Desk, asked: Start) -> dict[str, Any]:
    run = desk.require(asked.task)
    if asked.anyway and run.unbegun:
        return desk_row(desk, await desk.runs.record_if(run.task.id, _anyway(desk), by=desk.by))
    if not (isinstance(run.activity, Unstarted) or run.over):
        raise UserError(
            f"task '{run.task.id}' is under way", slug="task-running", hint=f"see: heddle why {run.task.id}"
        )
    if isinstance(run.activity, LandedAt):
        raise UserError(f"task '{run.task.id}' has landed", slug="task-landed", hint="start a new one")
    site = await desk.site(run)
    base = await site.repository.resolve(f"refs/heads/{run.task.branch}")
    role = await Roles(desk.fleet.outside.texts, site.repository).load(base, run.task.role) if _has_role(run) else None

    def choose(run: Run) -> list[e.Event]:
        require_claim(run.task.id, run.claim, run.claims, asked.token, desk.fleet.outside.clock.now())
        reads = role is not None and not role.writes and run.task.lane is not Lane.REPORT
        told = [e.TaskEdited(replace(run.task, lane=Lane.REPORT))] if reads else []
        return [] if run.under_way else [*told, *_begun(desk, asked, run.number + 1, base)]

    return desk_row(desk, await desk.runs.record_if(run.task.id, choose, by=desk.by))


def _has_role(run: Run) -> bool:
    return run.task.role != UNDO


def known_links(desk: Desk, asked: list[Linked]) -> tuple[Link, ...]:
    """Links to tasks that are there. Raises UserError(slug="no-such-task")."""
    return tuple(dict.fromkeys(Link(one.kind, desk.require(one.task).task.id) for one in asked))


def require_priority(priority: int) -> int:
    """A checked priority. Raises UserError(slug="bad-priority")."""
    if not 0 <= priority <= 4:
        raise UserError(f"{priority} is no priority", slug="bad-priority", hint="0 goes first, 2 is usual, 4 goes last")
    return priority


def require_lane(name: str) -> Lane:
    """A lane by name. Raises UserError(slug="no-such-lane")."""
    try:
        return Lane(name)
    except ValueError:
        lanes = ", ".join(Lane)
        raise UserError(f"there is no lane '{name}'", slug="no-such-lane", hint=f"lanes are: {lanes}") from None


async def show(desk: Desk, asked: One) -> dict[str, Any]:
    """All about one task: row, words, plan, report, the tasks that its sessions filed, verdict, timeline."""
    run = desk.require(asked.task)
    return {
        "schema": "heddle.task/1",
        **asdict(desk.row(run)),
        "text": run.task.text,
        "role": run.task.role,
        "base": run.base,
        "branch": run.task.branch,
        "plan": asdict(run.plan) if run.plan else None,
        "digest": run.bound(),
        "approved_by": run.approved_by,
        "report": run.research if run.task.lane is Lane.REPORT else "",
        "filed": desk.runs.filed_from(run.task.id),
        "result": asdict(run.result) if run.result else None,
        "verdict": asdict(run.verdict) if run.verdict else None,
        "workspaces": [made.workspace for made in run.workspaces],
        "kept": [list(kept) for kept in run.kept],
        "claim": asdict(run.claim) if run.claim else None,
        "timeline": [asdict(line) for line in timeline(desk.runs.history(run.task.id))],
    }


async def handed_on(desk: Desk, asked: One) -> dict[str, Any]:
    """What whoever goes on with the task has to know."""
    run = desk.require(asked.task)
    return {"schema": "heddle.handoff/1", "task": run.task.id, "text": handoff(run, desk.fleet.decision(run))}


async def wait(desk: Desk, asked: Until) -> dict[str, Any]:
    """Wait until every task has ended, or one needs a person (unless `through`), or the time is over."""
    deadline = asyncio.get_running_loop().time() + min(asked.seconds, 60.0)
    while True:
        position = desk.runs.journal.position()
        runs = [desk.require(task) for task in asked.tasks] or [run for run in desk.runs.all() if run.number]
        needs = [run.task.id for run in runs if _needs_person(desk, run)]
        over = all(run.over for run in runs)
        left = deadline - asyncio.get_running_loop().time()
        if over or (needs and not asked.through) or left <= 0:
            rows = [desk.row(run) for run in runs]
            return {"schema": "heddle.wait/1", "over": over, "needs": needs, "tasks": rows}
        await desk.fleet.news(position, left)


def _needs_person(desk: Desk, run: Run) -> bool:
    decision = desk.fleet.decision(run)
    waits = isinstance(decision, Wait) and decision.who is Who.PERSON and not isinstance(run.activity, Unstarted)
    return not run.over and (waits or bool(run.questions))


async def stop(desk: Desk, asked: Because) -> dict[str, Any]:
    """End a run. What it made is kept under a recovery ref."""
    run = desk.require(asked.task)
    if run.over:
        raise UserError(f"task '{run.task.id}' is over already", slug="task-over", hint="nothing is left to stop")
    why = asked.why or f"stopped by {desk.by.removeprefix('person:')}"
    return desk_row(desk, await desk.runs.record(run.task.id, e.StopRequested(desk.by, why), by=desk.by))


async def pause(desk: Desk, asked: One) -> dict[str, Any]:
    """Let nothing new start for a run."""
    run = desk.require(asked.task)
    if run.over or run.paused:
        raise UserError(f"task '{run.task.id}' is not running", slug="task-over", hint=f"see: heddle why {run.task.id}")
    return desk_row(desk, await desk.runs.record(run.task.id, e.RunPaused(desk.by), by=desk.by))


async def resume(desk: Desk, asked: One) -> dict[str, Any]:
    """Let a paused run go on."""
    run = desk.require(asked.task)
    if not run.paused:
        raise UserError(f"task '{run.task.id}' is not paused", slug="not-paused", hint=f"see: heddle why {run.task.id}")
    return desk_row(desk, await desk.runs.record(run.task.id, e.RunResumed(desk.by), by=desk.by))


async def diff(desk: Desk, asked: One) -> dict[str, Any]:
    """What the task changed: its result, or what lies in its workspace now."""
    run = desk.require(asked.task)
    site = await desk.site(run)
    if run.result is not None:
        text = await site.repository.diff(run.base, run.result.commit)
        told = {"schema": "heddle.diff/1", "task": run.task.id, "of": "result", "diff": text, "paths": run.result.paths}
        review = run.verdict.review if run.verdict else None
        return {**told, "review": {**asdict(review), "line": review.line} if review else None}
    for made in run.workspaces:
        workspace = await site.workspaces.find(made.workspace)
        if workspace is not None:
            changes = await workspace.changes()
            paths = [change.path for change in changes.paths]
            return {"schema": "heddle.diff/1", "task": run.task.id, "of": "workspace", "diff": "", "paths": paths}
    return {"schema": "heddle.diff/1", "task": run.task.id, "of": "nothing", "diff": "", "paths": []}


async def land(desk: Desk, asked: One) -> dict[str, Any]:
    """Let a validated run land now: passes its last gate, or tries a landing again that was held."""
    run = desk.require(asked.task)

    def choose(run: Run) -> list[e.Event]:
        if isinstance(run.activity, AtGate) and run.stage is Stage.VALIDATE:
            return desk.runs.passing(run, run.activity.digest, desk.by)
        if isinstance(run.activity, HeldUp) and run.stage is Stage.LAND:
            return [e.RunReleased(desk.by, "")]
        raise Refused(
            f"task '{run.task.id}' has nothing validated that waits to land",
            slug="not-validated",
            hint=f"see: heddle why {run.task.id}",
        )

    return desk_row(desk, await desk.runs.record_if(run.task.id, choose, by=desk.by))


async def restore(desk: Desk, asked: Restore) -> dict[str, Any]:
    """Bring back the unlanded work of a task's removed workspaces as a plain git worktree."""
    run = desk.require(asked.task)
    refs = recoveries(desk, run)
    if not refs:
        raise UserError(
            f"no removed workspace of '{run.task.id}' held unlanded work",
            slug="nothing-to-restore",
            hint=f"its result, if any, is shown by: heddle diff {run.task.id}",
        )
    ref = asked.ref or refs[-1]
    site = await desk.site(run)
    await site.workspaces.restore(ref, Path(asked.path))
    return {"schema": "heddle.restore/1", "task": run.task.id, "ref": ref, "path": asked.path, "refs": refs}


def recoveries(desk: Desk, run: Run) -> list[str]:
    """The refs that keep what removed workspaces of a task held, oldest first."""
    removed = [r.event for r in desk.runs.history(run.task.id) if isinstance(r.event, e.WorkspaceRemoved)]
    return [event.recovery for event in removed if event.recovery]


def desk_row(desk: Desk, run: Run) -> dict[str, Any]:
    """The row of a task as an answer."""
    return {"schema": "heddle.task/1", **asdict(desk.row(run))}
