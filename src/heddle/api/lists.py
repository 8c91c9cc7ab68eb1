"""Task lists that live elsewhere: bring one in, as often as one likes, and write ours out."""

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from heddle.api.desk import Desk
from heddle.api.tasks import LOOK_S
from heddle.core import events as e
from heddle.core.errors import Refused
from heddle.core.links import Link, LinkKind, first_circle, ordered
from heddle.core.run import Run
from heddle.core.task import UNDO, Lane, Task
from heddle.engine.site import Site
from heddle.ports import Exported, Listed

OWN = "jsonl:"
"""Begins the source of a task that an export of ours names, when it came from no list."""


AT_ONCE = 50
"""Tasks that are added before others may ask for something."""


class Import(msgspec.Struct, forbid_unknown_fields=True):
    """Which list: a path, or a repository of GitHub's; `format` "" has it told by name and content. `root`: into which
    repository. With `dry` it is only told what would be done.
    """

    root: str
    where: str = ""
    format: str = ""
    dry: bool = False


class Export(msgspec.Struct, forbid_unknown_fields=True):
    """Where to: a file, or "" for the text itself. `format`: jsonl, or roadmap."""

    root: str
    where: str = ""
    format: str = "jsonl"


@dataclass(slots=True)
class Intake:
    """What a list comes to. `left`: ids of tasks that changed in the list and cannot be changed now, each with the reason.

    `passed_over` counts what was closed there before we knew it, `dangling` links to what is in no list of ours. `seen`: how
    far the facts of a known task went when this was made.
    """

    added: list[Task] = field(default_factory=list)
    changed: list[Task] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)
    unchanged: int = 0
    passed_over: int = 0
    dangling: int = 0
    seen: dict[str, int] = field(default_factory=dict)


async def bring_in(desk: Desk, asked: Import) -> dict[str, Any]:
    """Bring a list in: new tasks are added and not started, those that changed there are changed, those that were closed
    there are closed. Raises Refused(slug="dependency-cycle") before anything is written.
    """
    site = await desk.fleet.outside.site(asked.root)
    repository = site.repository
    listed = await desk.lists.listed(asked.where, asked.format, repository.root)
    branch = await repository.current_branch()
    async with desk.runs.adding():
        plan = _Planning(desk, site, branch).plan(listed)
        _require_no_circle(desk, plan)
        if not asked.dry:
            await _carry_out(desk, plan)
    return _told(plan)


class _Planning:
    """From a list to what is to be done about it; nothing is written here."""

    def __init__(self, desk: Desk, site: Site, branch: str) -> None:
        self.desk, self.where = desk, (site.repository.key, site.repository.root, branch)
        own = [run for run in desk.runs.all() if run.task.repository == site.repository.key]
        self.known = {run.task.source or f"{OWN}{run.task.id}": run for run in own}
        self.found = Intake()

    def plan(self, listed: Sequence[Listed]) -> Intake:
        """Ids are given in the order of the list."""
        fresh = [one for one in listed if one.source not in self.known and not one.closed]
        self.found.passed_over = sum(one.closed for one in listed if one.source not in self.known)
        number = self.desk.runs.next_number()
        ids = {source: run.task.id for source, run in self.known.items()}
        ids |= {one.source: f"T{number + at}" for at, one in enumerate(fresh)}
        for one in fresh:
            blank = Task(ids[one.source], *self.where, one.text, source=one.source)
            self.found.added.append(self._as_listed(blank, one, ids))
        for one in listed:
            if one.source in self.known:
                self._compare(self.known[one.source], one, ids)
        return self.found

    def _compare(self, run: Run, one: Listed, ids: Mapping[str, str]) -> None:
        task, found = self._as_listed(run.task, one, ids), self.found
        found.seen[run.task.id] = run.seq
        why_not = "somebody works on it" if run.claim else "it is under way" if run.under_way else ""
        closes = one.closed and not run.settled_well
        changes = task.listed != run.task.listed and replace(task, listed="") != replace(run.task, listed="")
        if (closes or changes) and why_not:
            found.left.append((run.task.id, why_not))
        elif closes:
            found.closed.append(run.task.id)
        elif changes and not run.settled_well:
            found.changed.append(task)
        else:
            found.unchanged += 1

    def _as_listed(self, task: Task, one: Listed, ids: Mapping[str, str]) -> Task:
        """The task as the list tells it; what the list does not say stays as it is."""
        links = tuple(Link(link.kind, ids[link.task]) for link in one.links if link.task in ids)
        self.found.dangling += len(one.links) - len(links)
        said = {kind for kind in LinkKind if any(link.kind is kind for link in one.links)}
        kept = tuple(link for link in task.links if link.kind not in said)
        role = one.role if f"role-{one.role}" in self.desk.fleet.outside.texts and one.role != UNDO else task.role
        return replace(
            task,
            text=one.text,
            role=role,
            lane=Lane(one.lane) if one.lane in tuple(Lane) else task.lane,
            priority=task.priority if one.priority is None else one.priority,
            links=tuple(dict.fromkeys((*kept, *links))),
            listed=_digest(one),
        )


def _digest(one: Listed) -> str:
    """Of all that a list says of a task, so that what was changed here stays until the list says something else."""
    links = sorted((str(link.kind), link.task) for link in one.links)
    return hashlib.sha256(json.dumps([one.text, one.role, one.lane, one.priority, links]).encode()).hexdigest()[:16]


def _require_no_circle(desk: Desk, plan: Intake) -> None:
    links = {**desk.runs.links(), **{task.id: task.links for task in (*plan.added, *plan.changed)}}
    around = first_circle(links)
    if around:
        names = {task.id: task.source for task in (*plan.added, *plan.changed)}
        told = " -> ".join(names.get(id) or id for id in around)
        hint = "take one of these dependencies away in the list, then import it again"
        raise Refused(f"they would wait for each other: {told}", slug="dependency-cycle", hint=hint)


async def _carry_out(desk: Desk, plan: Intake) -> None:
    """What others wait for first: a crash leaves no task with a link to one that is not there."""
    added = {task.id: task for task in plan.added}
    later: list[Task] = []
    for count, id in enumerate(ordered({id: task.links for id, task in added.items()})):
        if count % AT_ONCE == 0:
            await asyncio.sleep(0)
        task = added.pop(id)
        there = tuple(link for link in task.links if link.task not in added)
        if there != task.links:
            later.append(task)
            task = replace(task, links=there, listed="")  # so that the next import sees that it is not as listed
        await desk.runs.record(id, e.TaskAdded(task), by=desk.by)
        plan.seen[id] = desk.runs.require(id).seq
    facts: list[tuple[str, e.Event]] = [(task.id, e.TaskEdited(task)) for task in (*later, *plan.changed)]
    facts += [(id, e.TaskClosed(desk.by, "closed in the list it came from")) for id in plan.closed]
    for id, fact in facts:
        await _record_as_planned(desk, plan, id, fact)


async def _record_as_planned(desk: Desk, plan: Intake, id: str, fact: e.Event) -> None:
    """Unless somebody started, took or changed the task since the plan was made: then the next import sees to it."""
    seen, as_planned = plan.seen[id], True

    def choose(run: Run) -> list[e.Event]:
        nonlocal as_planned
        as_planned = run.seq == seen
        return [fact] if as_planned else []

    await desk.runs.record_if(id, choose, by=desk.by)
    if not as_planned:
        plan.left.append((id, "it changed meanwhile"))
        plan.changed = [task for task in plan.changed if task.id != id]
        plan.closed = [one for one in plan.closed if one != id]


def _told(plan: Intake) -> dict[str, Any]:
    return {
        "schema": "heddle.import/1",
        "added": [{"id": task.id, "title": task.title, "source": task.source} for task in plan.added],
        "changed": [task.id for task in plan.changed],
        "closed": plan.closed,
        "left": [list(one) for one in plan.left],
        "unchanged": plan.unchanged,
        "passed_over": plan.passed_over,
        "dangling": plan.dangling,
    }


async def write_out(desk: Desk, asked: Export) -> dict[str, Any]:
    """Every task of a repository as text, or kept in a file."""
    await desk.fleet.up_to_date(LOOK_S)
    site = await desk.fleet.outside.site(asked.root)
    tasks = exported(desk, site.repository.key)
    format: Any = "roadmap" if asked.format == "roadmap" else "jsonl"
    told = {"schema": "heddle.export/1", "tasks": len(tasks), "where": asked.where}
    if not asked.where:
        return {**told, "text": desk.lists.text(tasks, format)}
    return {**told, "changed": await desk.lists.write(tasks, format, asked.where, site.repository.root)}


def exported(desk: Desk, repository: str) -> list[Exported]:
    """All tasks of a repository, as they are written out."""
    return [_exported(desk, run) for run in desk.runs.all() if run.task.repository == repository]


def _exported(desk: Desk, run: Run) -> Exported:
    task = run.task
    status = str(desk.row(run).status)
    return Exported(
        task.id, task.source, task.text, status, run.settled_well, task.role, task.lane, task.priority, task.links
    )
