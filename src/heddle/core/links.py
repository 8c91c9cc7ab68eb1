"""How tasks hang together."""

from dataclasses import dataclass
from enum import StrEnum


class LinkKind(StrEnum):
    """What the task that is named is to the task that has the link."""

    BLOCKS = "blocks"
    PARENT = "parent"
    DISCOVERED_FROM = "discovered-from"


@dataclass(frozen=True, slots=True)
class Link:
    """Of a task X to `task` Y: Y blocks X, Y is the parent of X, or X was found while Y was worked on."""

    kind: LinkKind
    task: str
