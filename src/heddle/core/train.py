"""The merge train's policy: what to validate next, what may land, and who must leave the queue. Pure.

A *train* is a series of changes composed in that order upon the branch. Few workers: adaptive group testing on nested
trains. They are cut where the first failure is expected at equal chances (Dorfman 1943 made sequential, with a learned
rate of failure); a green train lands whole, a red one bounds the search. Many workers for the rate (`KNEE`): a chain of
single steps that leaves red ones out, as gating systems build it, of which any green one lands whole.

What lands was validated as a whole, always. That two changes have nothing in common may order them, and never land them.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TypeAlias

OVERTAKEN = 3
"""By so many landings of younger changes one may be overtaken before it goes first."""

LONGEST = 64
"""A train carries at most so many changes."""

KNEE = 0.9
"""From this many expected failures among the workers' single steps on, a chain is better than nested trains."""

PRIOR, WEIGHT = 0.06, 12.0
"""The rate of failure that is believed at first, and how many changes it takes to outweigh it."""

LEAST_RATE, MOST_RISK = 0.004, 0.6

SPREAD_WIDTH = 4
"""Up to so many workers it pays to keep changes of the same files out of the same train's head."""


@dataclass(frozen=True, slots=True)
class Change:
    """A validated run in the landing queue. `ticket`: its place by arrival. `risk`: how many times as likely as others it is
    to break. `overtaken`: how many landings of younger changes passed it by.
    """

    id: str
    ticket: int
    paths: frozenset[str] = frozenset()
    risk: float = 1.0
    overtaken: int = 0


Train: TypeAlias = tuple[str, ...]
Known: TypeAlias = Callable[[Train], bool | None]
"""Whether a train, on the branch as it is now, is green; None while nobody knows."""


@dataclass(frozen=True, slots=True)
class Land:
    """The train is green: the branch moves to it."""

    train: Train


@dataclass(frozen=True, slots=True)
class Eject:
    """The change is red on the branch as it is: it leaves the queue."""

    change: str


@dataclass(frozen=True, slots=True)
class Judge:
    """Trains whose validation tells the most, the most telling first; one that runs and is not named is moot."""

    trains: tuple[Train, ...]


Move: TypeAlias = Land | Eject | Judge


def failure_rate(landed: float, ejected: float) -> float:
    """The chance that a change in the queue breaks, by what became of earlier ones (Beta prior)."""
    return (PRIOR * WEIGHT + ejected) / (WEIGHT + landed + ejected)


def seats(line: Sequence[str], known: Known, running: Collection[Train]) -> Train:
    """The head of the last line that keeps its order: as far as it was validated or is. To shuffle it would throw away what
    is known of it.
    """
    heads = (tuple(line[:length]) for length in range(min(len(line), LONGEST), 0, -1))
    return next((head for head in heads if head in running or known(head) is not None), ())


def order(queue: Iterable[Change], width: int, aboard: Sequence[str] = ()) -> tuple[Change, ...]:
    """The queue as trains take it: who is aboard already, whoever was overtaken too often, then by risk and by age, with
    changes of the same files apart.
    """
    waiting = {change.id: change for change in sorted(queue, key=lambda change: change.ticket)}
    seated = [waiting.pop(id) for id in aboard if id in waiting]
    aged = [change for change in waiting.values() if change.overtaken >= OVERTAKEN]
    others = [change for change in waiting.values() if change.overtaken < OVERTAKEN]
    others.sort(key=lambda change: (change.risk, change.ticket))
    front, back = [*seated, *aged], []
    used = frozenset[str]().union(*(change.paths for change in front))
    for change in others:
        if width <= SPREAD_WIDTH and change.paths & used:
            back.append(change)
        else:
            front.append(change)
            used |= change.paths
    return (*front, *back)


def plan(queue: Sequence[Change], known: Known, running: Collection[Train], width: int, rate: float) -> Move:
    """The next move for an ordered queue. With nothing to do it is Judge(())."""
    if width > 2 and width * rate >= KNEE:
        return _chain(queue, known, width)
    return _nested(queue, known, running, width, rate)


def _chain(queue: Sequence[Change], known: Known, width: int) -> Move:
    aboard: Train = ()
    green: Train = ()
    wanted = []
    for change in queue[:width]:
        train = (*aboard, change.id)
        colour = known(train)
        if colour is False:
            if not aboard:
                return Eject(change.id)
            continue
        if colour is True:
            green = train
        else:
            wanted.append(train)
        aboard = train
    return Land(green) if green else Judge(tuple(wanted))


def _nested(queue: Sequence[Change], known: Known, running: Collection[Train], width: int, rate: float) -> Move:
    ids = tuple(change.id for change in queue[:LONGEST])
    colours = [known(ids[:length]) for length in range(1, len(ids) + 1)]
    if True in colours:
        return Land(ids[: len(colours) - colours[::-1].index(True)])
    red = colours.index(False) + 1 if False in colours else None
    if red == 1:
        return Eject(ids[0])
    longest = len(ids) if red is None else red - 1
    lengths = _cuts(_survival(queue[: red or len(ids)], rate), red, longest, width)
    aboard = [length for length in range(1, longest + 1) if ids[:length] in running]
    return Judge(tuple(ids[:length] for length in dict.fromkeys((*aboard, *lengths))))


def _survival(queue: Sequence[Change], rate: float) -> list[float]:
    """The chance that the first n changes are green together, for n from 0 on."""
    mean = sum(change.risk for change in queue) / len(queue) if queue else 1.0
    risks = (min(MOST_RISK, max(LEAST_RATE, rate) * change.risk / mean) for change in queue)
    return list(accumulate(risks, lambda alive, risk: alive * (1 - risk), initial=1.0))


def _cuts(survival: list[float], red: int | None, longest: int, width: int) -> list[int]:
    """Lengths of trains at the quantiles of where the first failure lies; workers that are left take the widest gaps. The
    longest goes first while nothing is known to be red, the shortest in a search.
    """
    certain = 1.0 if red is None else 1 - survival[red]
    fail_by = [1 - alive for alive in survival]
    cuts = set[int]()
    for part in range(1, width + 1):
        target = certain * part / (width + 1)
        cuts.add(next((n for n in range(1, longest + 1) if fail_by[n] >= target), longest))
    cuts.discard(0)
    while len(cuts) < min(width, longest):
        ends = sorted({0, longest + 1, *cuts})
        below, above = max(pairwise(ends), key=lambda gap: gap[1] - gap[0])
        cuts.add((below + above) // 2)
    return sorted(cuts, reverse=red is None)
