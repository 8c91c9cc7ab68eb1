"""Whether two tasks will change the same file, and what follows from how likely that is."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from heddle.core.map.hot import Policy, policy
from heddle.core.prediction.predictor import Prediction

NEIGHBOURS = 0.15
"""From this chance on two tasks at once are neighbours."""

SERIAL = 0.5
"""Above this chance one of two tasks waits for the other."""

COUNTS = {Policy.FRAGMENTS: 0.0, Policy.REGENERATE: 0.0, Policy.UNION: 0.3, Policy.SPLIT: 1.0}
"""How much it matters that both change a file, by what would let both: a lockfile is made anew by its tool."""


class Band(StrEnum):
    """What two tasks are to each other."""

    PARALLEL = "parallel"
    NEIGHBOURS = "neighbours"
    SERIAL = "serial"


@dataclass(frozen=True, slots=True)
class Meeting:
    """Two tasks: the chance that they change a file in common, the likeliest such file, and past commits that speak for it."""

    chance: float
    path: str = ""
    commits: int = 0


def meeting(
    one: Prediction, other: Prediction, counts: Callable[[str], float] = lambda path: COUNTS[policy(path)]
) -> Meeting:
    """How likely two tasks change a file in common, before the past had its say about such numbers."""
    apart, best = 1.0, (0.0, "", 0)
    for path in one.keys() & other.keys():
        both = one[path].chance * other[path].chance * counts(path)
        apart *= 1 - both
        best = max(best, (both, path, min(one[path].commits, other[path].commits)))
    return Meeting(1 - apart, best[1], best[2]) if best[0] else Meeting(0.0)


def band(chance: float) -> Band:
    """What follows from a chance."""
    if chance > SERIAL:
        return Band.SERIAL
    return Band.NEIGHBOURS if chance >= NEIGHBOURS else Band.PARALLEL
