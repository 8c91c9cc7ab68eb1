"""How tasks hang together: which must land before which, what belongs to what, and where one was found."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class LinkKind(StrEnum):
    """What the other task is to the one that carries the link."""

    BLOCKS = "blocks"
    PARENT = "parent"
    DISCOVERED_FROM = "discovered-from"


@dataclass(frozen=True, slots=True)
class Link:
    """`task` blocks the one that carries this, is its parent, or is what somebody worked on when they found it."""

    kind: LinkKind
    task: str


Links = Mapping[str, Iterable[Link]]
"""The links of each task, by its id."""

_BINDING = (LinkKind.BLOCKS, LinkKind.PARENT)
"""Only these make a task wait, itself or through its parent; so only these can go round in a circle."""


def circle(links: Links, start: str) -> tuple[str, ...]:
    """Tasks that wait for each other, beginning and ending with `start`; empty when its links lead back nowhere."""
    came_from: dict[str, str] = {}
    front = [start]
    while front:
        here = front.pop()
        for link in links.get(here, ()):
            if link.kind not in _BINDING:
                continue
            if link.task == start:
                return _way(came_from, start, here)
            if link.task not in came_from:
                came_from[link.task] = here
                front.append(link.task)
    return ()


def first_circle(links: Links) -> tuple[str, ...]:
    """Some tasks that wait for each other, from one of them to itself; empty when none do."""
    tangled = set(links) - set(ordered(links))
    if not tangled:
        return ()
    seen: set[str] = set()
    here = min(tangled)
    while here not in seen:  # each of these waits for another of them
        seen.add(here)
        here = next(task for task in _ahead(links, here) if task in tangled)
    return circle(links, here)


def ordered(links: Links) -> tuple[str, ...]:
    """The tasks with what they wait for before them; without those that wait for each other, or for such."""
    waiting = {id: {task for task in _ahead(links, id) if task in links} for id in links}
    behind: dict[str, list[str]] = {}
    for id, ahead in waiting.items():
        for task in ahead:
            behind.setdefault(task, []).append(id)
    free = [id for id, ahead in waiting.items() if not ahead]
    for id in free:  # it grows
        for other in behind.get(id, ()):
            waiting[other].discard(id)
            if not waiting[other]:
                free.append(other)
    return tuple(free)


def _ahead(links: Links, id: str) -> tuple[str, ...]:
    return tuple(link.task for link in links[id] if link.kind in _BINDING)


def _way(came_from: Mapping[str, str], start: str, last: str) -> tuple[str, ...]:
    way = [start, last]
    while way[-1] != start:
        way.append(came_from[way[-1]])
    return (*reversed(way[1:]), start)


def waits_for(links: Links, task: str) -> tuple[str, ...]:
    """Every task that must be settled before this one may begin: what blocks it, and what blocks its parents."""
    found: list[str] = []
    seen, front = {task}, [task]
    while front:
        for link in links.get(front.pop(), ()):
            if link.kind is LinkKind.BLOCKS:
                found.append(link.task)
            elif link.kind is LinkKind.PARENT and link.task not in seen:
                seen.add(link.task)
                front.append(link.task)
    return tuple(dict.fromkeys(found))
