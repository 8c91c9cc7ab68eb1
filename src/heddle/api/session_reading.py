"""What a session reads of its task: short by its tools, a part at a time, and whole as resources.

A resource is of the session's own task: its URI says which, and any other one is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote, unquote

import msgspec

from heddle.api.desk import Desk
from heddle.api.session_tools import MOST_READ, Caller, require_live, require_paths
from heddle.core.errors import HeddleError, UserError
from heddle.core.handoff import handoff
from heddle.core.notes import Note
from heddle.core.run import Run
from heddle.core.scope import require_scope
from heddle.engine.noting import Noting
from heddle.engine.prompts import fenced, noted

PART = 8_000
"""Characters of a document that a tool tells at once, more or less."""

DEEPEST = 40
"""Folders of a path in which rules are looked for."""

LONGEST_URI = 4_000

RULES = ("AGENTS.md", "CLAUDE.md")

Part = Annotated[
    int, msgspec.Meta(ge=1, le=10_000, description="Which part of a long text; it says how many there are.")
]


class OfMine(msgspec.Struct, forbid_unknown_fields=True):
    """Nothing has to be named."""

    part: Part = 1


class OfTask(msgspec.Struct, forbid_unknown_fields=True):
    """Whose plan: a task id such as T7; yours when you name none."""

    task: str = ""
    part: Part = 1


class OfPath(msgspec.Struct, forbid_unknown_fields=True):
    """The file or folder whose rules you want; the whole repository's when you name none."""

    path: str = ""
    part: Part = 1


class About(msgspec.Struct, forbid_unknown_fields=True):
    """The paths or globs that you want notes about; all when you name none."""

    paths: list[str] = []
    part: Part = 1


@dataclass(frozen=True, slots=True)
class Text:
    """A document of others, as data: what is said before it, what it is, itself, and the URI of the whole, if it has one.

    `fence`: whether it is shown as data. Rules are not: they hold for who reads them.
    """

    head: str
    name: str
    body: str
    uri: str = ""
    fence: bool = True

    def whole(self) -> str:
        """All of it."""
        return self._shown(self.body)

    def part(self, number: int) -> str:
        """As much as a tool tells at once, and where the rest is. Raises UserError(slug="no-such-part")."""
        pieces = parts(self.body)
        shown = self._shown(_piece(pieces, number))
        return shown + _rest(number, len(pieces), self.uri)

    def _shown(self, body: str) -> str:
        told = fenced(self.name, body) if self.fence else body
        return f"{self.head}\n\n{told}" if self.head else told


def parts(text: str) -> list[str]:
    """A text in pieces of at most PART characters, cut between lines where it has any; at least one."""
    pieces, rest = [], text
    while len(rest) > PART:
        end = rest.rfind("\n", PART // 2, PART) + 1 or PART
        pieces.append(rest[:end])
        rest = rest[end:]
    return [*pieces, rest]


def _piece(pieces: Sequence[str], number: int) -> str:
    if number > len(pieces):
        raise UserError(f"there is no part {number}", slug="no-such-part", hint=f"the last one is part {len(pieces)}")
    return pieces[number - 1]


def _rest(number: int, count: int, uri: str) -> str:
    if count == 1:
        return ""
    further = f"; the next is part={number + 1}" if number < count else ""
    return f"\n\n(part {number} of {count}{further}{f'; the whole is the resource {uri}' if uri else ''})"


async def read_task(desk: Desk, caller: Caller, asked: OfMine) -> str:
    """What was asked, where the run stands, and what was found so far."""
    return _handoff(desk, require_live(desk, caller)).part(asked.part)


async def read_plan(desk: Desk, caller: Caller, asked: OfTask) -> str:
    """A plan as it stands, of the session's own task or of a neighbour's in the same repository."""
    mine = require_live(desk, caller)
    run = desk.require(asked.task) if asked.task else mine
    if run.task.repository != mine.task.repository:
        raise UserError(
            f"there is no task '{asked.task}' here", slug="no-such-task", hint="name one of this repository"
        )
    return _plan(run, mine).part(asked.part)


async def read_rules(desk: Desk, caller: Caller, asked: OfPath) -> str:
    """The guidance that holds for a path on the commit that the run began on: nearest file first."""
    return (await _rules(desk, require_live(desk, caller), asked.path)).part(asked.part)


async def read_notes(desk: Desk, caller: Caller, asked: About) -> str:
    """Every note that still holds, newest first; what is told is read."""
    run = require_live(desk, caller)
    noting = Noting(desk.runs, await desk.site(run))
    notes = await noting.current(run, require_paths(asked.paths).globs, most=MOST_READ)
    groups = _grouped(notes)
    if asked.part > len(groups):
        raise UserError(
            f"there is no part {asked.part}", slug="no-such-part", hint=f"the last one is part {len(groups)}"
        )
    told = groups[asked.part - 1]
    await noting.fetched(run, caller.session, told)
    return (noted(told) or "no notes") + _rest(asked.part, len(groups), _uri(run, "notes"))


def _grouped(notes: Sequence[Note]) -> list[tuple[Note, ...]]:
    """Notes in groups, each as long as a part or one note; at least one group."""
    groups: list[tuple[Note, ...]] = [()]
    for note in notes:
        if groups[-1] and sum(len(one.text) for one in (*groups[-1], note)) > PART:
            groups.append(())
        groups[-1] = (*groups[-1], note)
    return groups


# ------------------------------------------------------------------------------------------------- resources


def listed(desk: Desk, caller: Caller) -> list[tuple[str, str, str]]:
    """URI, name and description of what there is now to read of the session's task; nothing for one that is over."""
    try:
        run = require_live(desk, caller)
    except HeddleError:
        return []
    there = {"research": bool(run.research), "plan": run.plan is not None}
    told = [(name, about) for name, about in _KINDS.items() if there.get(name, True)]
    return [(_uri(run, name), name, about) for name, about in told]


def templates(caller: Caller) -> tuple[str, str, str]:
    """Template, name and description of the resources of which there is one for each path."""
    return f"heddle://{caller.task}/rules/{{+path}}", "rules of a path", "The rules that hold for a file or folder."


async def resource(desk: Desk, caller: Caller, uri: str) -> str:
    """What a URI holds. Raises UserError(slug="no-such-resource") for one that is not of this session's task."""
    run = require_live(desk, caller)
    kind, named, path = _path_of(run, uri).partition("/")
    if kind == "rules" and (path or not named):
        return (await _rules(desk, run, unquote(path))).whole()
    if named:
        raise _nothing(uri)
    if kind == "handoff":
        return _handoff(desk, run).whole()
    if kind == "plan" and run.plan is not None:
        return _plan(run, run).whole()
    if kind == "research" and run.research:
        return fenced("research", run.research)
    if kind == "notes":
        noting = Noting(desk.runs, await desk.site(run))  # who fetched them is a program: they are given all the same
        return noted(await noting.current(run, most=MOST_READ)) or "no notes"
    raise _nothing(uri)


_KINDS = {
    "handoff": "Your task as it stands: what was asked, done, decided and left open.",
    "research": "What research found.",
    "plan": "The plan of your task.",
    "rules": "The repository's rules (AGENTS.md).",
    "notes": "What other sessions and people left as notes.",
}


def _uri(run: Run, name: str) -> str:
    return f"heddle://{run.task.id}/{name}"


def _path_of(run: Run, uri: str) -> str:
    if not uri.startswith(_uri(run, "")) or len(uri) > LONGEST_URI:
        raise _nothing(uri)
    return uri.removeprefix(_uri(run, ""))


def _nothing(uri: str) -> UserError:
    return UserError(
        f"there is no resource '{uri[:200]}' for this session",
        slug="no-such-resource",
        hint="list them: resources/list",
    )


def _handoff(desk: Desk, run: Run) -> Text:
    return Text("", "task as it stands", handoff(run, desk.fleet.decision(run)), _uri(run, "handoff"))


def _plan(run: Run, mine: Run) -> Text:
    if run.plan is None:
        raise UserError(f"'{run.task.id}' has no plan", slug="no-plan", hint="read_task tells what is known of yours")
    approved = "approved" if run.approved == run.bound() else "not approved"
    head = f"{run.task.id}: {run.task.title}\n{approved}; may write: {', '.join(run.plan.scope.globs)}"
    head += f"\nchecks: {'; '.join(run.plan.commands)}"
    return Text(head, "plan", run.plan.text, _uri(run, "plan") if run is mine else "")


async def _rules(desk: Desk, run: Run, path: str) -> Text:
    site, globs = await desk.site(run), require_scope([path] if path else []).globs
    parts = globs[0].split("/")[:DEEPEST] if globs else []
    folders = ["/".join(parts[:length]) for length in range(len(parts), -1, -1)]
    found = []
    for folder in folders:
        for name in RULES:
            file = f"{folder}/{name}" if folder else name
            data = await site.repository.read_file(run.base, file)
            if data is not None:
                found.append(f"{file}:\n{data.decode(errors='replace')}")
                break
    uri = _uri(run, f"rules/{quote(globs[0])}" if globs else "rules")
    return Text("", "rules", "\n\n".join(found) or "this repository has no AGENTS.md", uri, fence=False)
