"""Spec Kit: `specs/NNN-name/tasks.md`. Which task waits for which follows from where it stands; see decision 22."""

import re
from dataclasses import dataclass, field

from heddle.adapters.trackers.checklist import Item, items
from heddle.adapters.trackers.telling import LINK_LIMIT, Found, line_of, settled, told
from heddle.core.errors import UserError
from heddle.core.links import Link, LinkKind
from heddle.ports.trackers import Listed

FILES = ("specs/*/tasks.md", ".specify/specs/*/tasks.md", "*/tasks.md", "tasks.md")
"""Where a folder has them: a repository, its `specs`, one specification."""

_TASK = re.compile(r"[*_]{0,2}(?P<id>T\d{1,6}[A-Za-z]?(?:[.-][A-Za-z0-9]{1,20}){0,3})(?![A-Za-z0-9])(?P<rest>.*)")
_MARK = re.compile(r"\s*\*{0,2}\[(?P<mark>[^\]]{1,40})\]\*{0,2}")
_STORY = re.compile(r"US-?\d{1,4}", re.IGNORECASE)
_STORIES = re.compile(r"user stor(?:y|ies)\b|\bUS-?\d", re.IGNORECASE)
_PRIORITY = re.compile(r"\(\s*priority:?\s*p([0-4])\s*\)", re.IGNORECASE)
_DEPENDS = re.compile(
    r"depends on ((?:T\d{1,6}[A-Za-z]?(?:[.-][A-Za-z0-9]{1,20}){0,3}(?:\s*,\s*|\s+and\s+|\s*&\s*)?){1,50})",
    re.IGNORECASE,
)
_ID = re.compile(r"T\d{1,6}[A-Za-z]?(?:[.-][A-Za-z0-9]{1,20}){0,3}")


@dataclass(slots=True)
class _Task:
    item: Item
    id: str
    words: str
    side_by_side: bool  # its mark [P]
    story: str
    waits: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Phase:
    title: str
    tasks: list[_Task] = field(default_factory=list)

    @property
    def of_a_story(self) -> bool:
        return bool(_STORIES.search(self.title)) or all(task.story for task in self.tasks)

    @property
    def exits(self) -> list[_Task]:
        """Those that none of their phase waits for."""
        return _steps(self.tasks)[-1]


def speckit_tasks(text: str, folder: str, place: str) -> tuple[Listed, ...]:
    """The tasks of one `tasks.md`; `folder` is what its specification is called in sources. Raises UserError."""
    tasks = _tasks(text)
    if not tasks:
        message = f"{place} has no task with an id ('- [ ] T001 ...')"
        raise UserError(message, slug="no-tasks", hint="if it is a plain checklist, say so: format markdown")
    phases = _phases(tasks)
    _order(phases, place)
    found = []
    for phase in phases:
        priority = _PRIORITY.search(phase.title)
        for task in phase.tasks:
            waits = (*task.waits, *_named(task.words))
            listed = Listed(
                f"speckit:{folder}#{task.id}",
                told(f"{task.id} {task.words}", task.item.text, _context(task, phase, folder), instead=task.id),
                closed=task.item.checked,
                priority=int(priority[1]) if priority else None,
                links=tuple(Link(LinkKind.BLOCKS, f"speckit:{folder}#{one}") for one in waits),
            )
            found.append(Found(listed, task.item.line))
    return settled(found, place)


def _tasks(text: str) -> list[_Task]:
    tasks = []
    known: set[int] = set()
    for item in items(text):
        match = _TASK.fullmatch(line_of(item.title))
        if match is None:
            owner = item.under
            while owner is not None and owner.line not in known:
                owner = owner.under
            if owner is not None:  # a step of a task stays with it
                owner.body += [" " * item.indent + f"- [{'x' if item.checked else ' '}] {item.title}", *item.body]
            continue
        known.add(item.line)
        words, side_by_side, story = match["rest"].lstrip("*_:., "), False, ""
        while mark := _MARK.match(words):
            side_by_side = side_by_side or mark["mark"].upper() == "P"
            story = mark["mark"].upper() if _STORY.fullmatch(mark["mark"]) else story
            words = words[mark.end() :]
        tasks.append(_Task(item, match["id"], words.strip(), side_by_side, story))
    return tasks


def _phases(tasks: list[_Task]) -> list[_Phase]:
    phases: list[_Phase] = []
    for task in tasks:
        title = _phase_of(task.item.headings)
        if not phases or phases[-1].title != title:
            phases.append(_Phase(title))
        phases[-1].tasks.append(task)
    return phases


def _phase_of(headings: tuple[str, ...]) -> str:
    """Of the title of the file, its phases and the parts of these: the phase, by its word or by where it stands."""
    named = [title for title in headings if re.match(r"phase\b", title, re.IGNORECASE)]
    return (named or headings[1:2] or headings or ("",))[0]


def _steps(tasks: list[_Task]) -> list[list[_Task]]:
    """The tasks of a phase in the order in which they are worked on: those of one step side by side."""
    steps: list[list[_Task]] = []
    for task in tasks:
        if steps and task.side_by_side and steps[-1][0].side_by_side:
            steps[-1].append(task)
        else:
            steps.append([task])
    return steps


def _order(phases: list[_Phase], place: str) -> None:
    """Within a phase step after step. Stories wait for the phase before all of them, and what follows for all of them."""
    ready: list[_Task] = []  # what the next phase that is no story's waits for
    ground: list[_Task] = []  # what a story waits for
    links = 0
    for phase in phases:
        steps = _steps(phase.tasks)
        before = ground if phase.of_a_story else ready
        for step in steps:
            links += len(step) * len(before)
            if links > LINK_LIMIT:
                raise UserError(f"{place} has more than {LINK_LIMIT} links", slug="list-too-long", hint="split it")
            for task in step:
                task.waits += [one.id for one in before]
            before = step
        if phase.of_a_story:
            ready = [*ready, *phase.exits] if ready is not ground else list(phase.exits)
        else:
            ready = ground = phase.exits


def _named(words: str) -> list[str]:
    return [one for match in _DEPENDS.finditer(words) for one in _ID.findall(match[1])]


def _context(task: _Task, phase: _Phase, folder: str) -> str:
    story = f", {task.story}" if task.story else ""
    under = f', "{line_of(phase.title)}"{story}' if phase.title else story
    return f"From {folder}/tasks.md{under}; what it is part of is specified in {folder}."
