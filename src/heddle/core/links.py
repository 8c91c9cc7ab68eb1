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
