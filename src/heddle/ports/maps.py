"""The maps of repositories."""

from dataclasses import dataclass
from typing import Protocol

from heddle.core.map.chart import Chart
from heddle.ports.repository import Repository


@dataclass(frozen=True, slots=True)
class Mapped:
    """A map of the commit `tip`. `shallow`: the past was cut off when the repository was cloned. `unread`: source files whose
    imports were not read; `why_unread`: what kept them from being read, if something did.
    """

    tip: str
    chart: Chart
    shallow: bool = False
    unread: int = 0
    why_unread: str = ""


class Maps(Protocol):
    """Draws maps, and remembers the last of each repository."""

    async def map(self, repository: Repository, tip: str) -> Mapped:
        """The map of a commit. Raises OutsideError (slug map-failed, map-timeout), or what reading the repository raises."""
        ...
