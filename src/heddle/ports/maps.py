"""The maps of repositories."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from heddle.core.map.chart import Chart
from heddle.core.prediction.predictor import Likely
from heddle.core.prediction.replay import Calibration
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


@dataclass(frozen=True, slots=True)
class Words:
    """What is known of a task before anybody plans it: what was asked, and what it may write, where that was said."""

    text: str
    scope: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What tasks will change, in the order they were asked for; and how good such predictions were in the past."""

    calibration: Calibration
    predictions: tuple[dict[str, Likely], ...]


class Maps(Protocol):
    """Draws maps, and remembers the last of each repository; predicts what tasks will change."""

    async def map(self, repository: Repository, tip: str) -> Mapped:
        """The map of a commit. Raises OutsideError (slug map-failed, map-timeout), or what reading the repository raises."""
        ...

    async def foresee(self, repository: Repository, tip: str, tasks: Sequence[Words]) -> Foreseen:
        """What tasks will change, from the past of a commit. Raises as `map`."""
        ...
