"""Which tasks wait before they begin because they will change what another one changes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from heddle.core.prediction.pairs import Band, Meeting, band


@dataclass(frozen=True, slots=True)
class Ahead:
    """The task that goes first, and why the other waits for it."""

    task: str
    meeting: Meeting

    @property
    def told(self) -> str:
        """The reason in words."""
        met = self.meeting
        commits = f", {met.commits} past commits" if met.commits else ""
        return f"waits for {self.task}: both will change {met.path} ({met.chance:.2f}{commits})"


def held(moving: Iterable[str], waiting: Iterable[str], meet: Callable[[str, str], Meeting | None]) -> dict[str, Ahead]:
    """Who of `waiting`, in the order in which they go, waits for whom. Each waits for one that is `moving`, or for an earlier one
    that waits itself: so no chain of waits is a circle, each ends in one that moves, and no later task overtakes one that it
    would keep waiting.
    """
    found: dict[str, Ahead] = {}
    first = list(moving)
    for task in waiting:
        for other in (*first, *found):
            met = meet(task, other)
            if met is not None and band(met.chance) is Band.SERIAL:
                found[task] = Ahead(other, met)
                break
    return found
