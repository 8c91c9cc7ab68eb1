"""A landing queue in simulated time: changes that break alone or in pairs, workers that validate compositions, and strategies.

One unit of time is one validation. A validation that fails ends early. Every strategy lands only what was validated as a
whole. The strategy `ours` is the product's own policy, heddle.core.train; the others are written after what is public about
their kind.
"""

import heapq
import itertools
import math
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from statistics import mean

from heddle.core.train import Change, Eject, Judge, Land, Train, failure_rate, order, plan, seats

SPREAD_OF_TIME = 0.15
FILES = 24
RISKY, CALM = 3.4, 0.4

CONFLICT = 0.03
"""The share of pairs of the same file whose later change conflicts in text: it goes back to its owner, and costs no run."""


@dataclass
class World:
    """The truth: who arrives when, who is broken, and who breaks with whom."""

    changes: list[Change]
    arrivals: list[float]
    broken: set[str]
    clashes: set[frozenset[str]]
    flaky: float = 0.0
    seed: int = 0

    def red(self, together: Iterable[str]) -> bool:
        """Whether a composition fails, flakes left aside."""
        ids = set(together)
        return bool(ids & self.broken) or any(pair <= ids for pair in self.clashes)

    def good(self) -> set[str]:
        """Who is broken neither alone nor with another."""
        return {c.id for c in self.changes} - self.broken - set().union(*self.clashes, set())


def world(
    count: int,
    rate: float,
    seed: int,
    *,
    clash: float = 0.01,
    rho: float = 0.0,
    flaky: float = 0.0,
    uneven: bool = False,
) -> World:
    """A random world. `rate`: the share of broken changes. `clash`: of pairs that share a file and break together. `rho`:
    arrivals per validation; 0: all at once. `uneven`: a fifth is risky, and known to be.
    """
    dice = random.Random(seed)
    weights = [1 / (n + 1) ** 0.8 for n in range(FILES)]
    changes, arrivals, broken, at = [], [], set(), 0.0
    for number in range(count):
        paths = frozenset(f"f{n}" for n in dice.choices(range(FILES), weights, k=1 + (dice.random() < 0.4)))
        risk = (RISKY if dice.random() < 0.2 else CALM) if uneven else 1.0
        at += dice.expovariate(rho) if rho else 0.0
        changes.append(Change(f"T{number}", number, paths, risk))
        arrivals.append(at)
        if dice.random() < rate * risk:
            broken.add(f"T{number}")
    pairs = list(itertools.combinations(changes, 2))
    back = {b.id for a, b in pairs if a.paths & b.paths and dice.random() < CONFLICT}
    kept = [(change, at) for change, at in zip(changes, arrivals, strict=True) if change.id not in back]
    clashes = {
        frozenset((a.id, b.id)) for a, b in pairs if dice.random() < (clash if a.paths & b.paths else clash / 50)
    }
    clashes = {pair for pair in clashes if not pair & back}
    return World([change for change, _ in kept], [at for _, at in kept], broken - back, clashes, flaky, seed)


@dataclass
class Queue:
    """What a strategy sees and may do. `known` never lies about what was validated; a flake makes it false all the same."""

    world: World
    width: int
    now: float = 0.0
    main: frozenset[str] = frozenset()
    waiting: list[Change] = field(default_factory=list)
    verdicts: dict[frozenset[str], bool] = field(default_factory=dict)
    running: dict[frozenset[str], int] = field(default_factory=dict)
    landed: list[tuple[str, float]] = field(default_factory=list)
    ejected: list[str] = field(default_factory=list)
    overtaken: dict[str, int] = field(default_factory=dict)
    innocent: int = 0
    unvalidated: int = 0
    runs: int = 0
    busy: float = 0.0

    def key(self, train: Iterable[str]) -> frozenset[str]:
        return self.main | frozenset(train)

    def known(self, train: Iterable[str]) -> bool | None:
        return self.verdicts.get(self.key(train))

    def ids(self) -> list[str]:
        return [change.id for change in self.waiting]

    def land(self, train: Iterable[str]) -> None:
        train = tuple(train)
        self.unvalidated += self.known(train) is not True
        self.main = self.key(train)
        youngest = max(change.ticket for change in self.waiting if change.id in train)
        self.waiting = [change for change in self.waiting if change.id not in train]
        for change in self.waiting:
            if change.ticket < youngest:
                self.overtaken[change.id] = self.overtaken.get(change.id, 0) + 1
        self.landed += [(id, self.now) for id in train]

    def eject(self, id: str) -> None:
        self.innocent += not self.world.red(self.main | {id})
        self.waiting = [change for change in self.waiting if change.id != id]
        self.ejected.append(id)


Strategy = Callable[[Queue], list[frozenset[str]]]
"""Lands and ejects by what is known, and returns what is to be validated now, the most wanted first."""


def play(place: World, strategy: Strategy, width: int) -> Queue:
    """The queue after everything was landed or ejected; `now` is then the makespan."""
    queue, dice, numbers = Queue(place, width), random.Random(place.seed + 1), itertools.count()
    events: list[tuple[float, int, object]] = [
        (at, next(numbers), change) for at, change in zip(place.arrivals, place.changes, strict=True)
    ]
    heapq.heapify(events)
    while events:
        at, number, what = heapq.heappop(events)
        if isinstance(what, Change):
            queue.now = max(queue.now, at)
            queue.waiting.append(what)
        else:
            key, verdict = what  # type: ignore[misc]
            if queue.running.get(key) != number:
                continue
            del queue.running[key]
            queue.now, queue.verdicts[key] = at, verdict
        if events and events[0][0] == queue.now and isinstance(events[0][2], Change):
            continue  # who arrives together is seen together
        wanted = [key for key in dict.fromkeys(strategy(queue)) if key not in queue.verdicts]
        for key in [key for key in queue.running if key not in wanted[:width]]:
            del queue.running[key]
        for key in wanted:
            if len(queue.running) < width and key not in queue.running:
                takes, verdict = _validation(place, key, dice)
                queue.runs, queue.busy = queue.runs + 1, queue.busy + takes
                queue.running[key] = next(numbers)
                heapq.heappush(events, (queue.now + takes, queue.running[key], (key, verdict)))
    if queue.waiting:
        raise AssertionError(f"left in the queue: {queue.ids()}")
    return queue


def _validation(place: World, key: frozenset[str], dice: random.Random) -> tuple[float, bool]:
    """How long it takes and what it says; what fails is run again once before it is believed."""
    red = place.red(key)
    whole = dice.lognormvariate(-(SPREAD_OF_TIME**2) / 2, SPREAD_OF_TIME)
    failed = red or dice.random() < place.flaky
    if not failed:
        return whole, True
    takes = whole * dice.uniform(0.3, 1)
    if not place.flaky:
        return takes, False
    again = red or dice.random() < place.flaky
    return takes + whole * (dice.uniform(0.3, 1) if again else 1), not again


def ours() -> Strategy:
    """The product's policy."""
    line: Train = ()
    wanted: tuple[Train, ...] = ()

    def step(queue: Queue) -> list[frozenset[str]]:
        nonlocal line, wanted
        while True:
            waiting = [replace(c, overtaken=queue.overtaken.get(c.id, 0)) for c in queue.waiting]
            ids = {change.id for change in waiting}
            running = [train for train in wanted if queue.key(train) in queue.running]
            aboard = seats([id for id in line if id in ids], queue.known, running)
            ordered = order(waiting, queue.width, aboard)
            line = tuple(change.id for change in ordered)
            rate = failure_rate(len(queue.landed), len(queue.ejected))
            match plan(ordered, queue.known, running, queue.width, rate):
                case Land(train):
                    queue.land(train)
                case Eject(change):
                    queue.eject(change)
                case Judge(trains):
                    wanted = trains
                    return [queue.key(train) for train in trains]

    return step


def serial() -> Strategy:
    """One after the other."""

    def step(queue: Queue) -> list[frozenset[str]]:
        while queue.waiting:
            head = queue.ids()[:1]
            colour = queue.known(head)
            if colour is None:
                return [queue.key(head)]
            if colour:
                queue.land(head)
            else:
                queue.eject(head[0])
        return []

    return step


def batches(size: int) -> Strategy:
    """A batch at a time; a red one is cut in halves that are tried one after the other."""
    groups: list[list[str]] = []

    def step(queue: Queue) -> list[frozenset[str]]:
        while groups or queue.waiting:
            if not groups:
                groups.append(queue.ids()[:size])
            group = groups[0]
            colour = queue.known(group)
            if colour is None:
                return [queue.key(group)]
            groups.pop(0)
            if colour:
                queue.land(group)
            elif len(group) == 1:
                queue.eject(group[0])
            else:
                half = len(group) // 2
                groups[:0] = [group[:half], group[half:]]
        return []

    return step


def window(size: float = 20) -> Strategy:
    """One run per change on all that is ahead of it; the head alone lands; a window that grows and is halved."""
    room = [size]

    def step(queue: Queue) -> list[frozenset[str]]:
        while True:
            ahead: list[str] = []
            wanted = []
            for id in queue.ids()[: max(1, int(room[0]))]:
                colour = queue.known([*ahead, id])
                if not ahead and colour is not None:
                    if colour:
                        queue.land([id])
                        room[0] += 1
                    else:
                        queue.eject(id)
                        room[0] = max(3.0, room[0] / 2)
                    break
                if colour is False:
                    continue
                ahead.append(id)
                if colour is None:
                    wanted.append(queue.key(ahead))
            else:
                return wanted

    return step


def stacked(size: int) -> Strategy:
    """As many stacked batches as there are workers; a red one is cut into as many parts."""

    def step(queue: Queue) -> list[frozenset[str]]:
        while queue.waiting:
            ids = queue.ids()
            colours = [queue.known(ids[:length]) for length in range(1, len(ids) + 1)]
            if True in colours:
                queue.land(ids[: len(colours) - colours[::-1].index(True)])
                continue
            red = colours.index(False) + 1 if False in colours else None
            if red == 1:
                queue.eject(ids[0])
                continue
            if red:
                cuts = {max(1, min(red - 1, round(red * (n + 1) / (queue.width + 1)))) for n in range(queue.width)}
            else:
                cuts = {min(len(ids), size * (n + 1)) for n in range(queue.width)}
            return [queue.key(ids[:cut]) for cut in sorted(cuts)]
        return []

    return step


STRATEGIES: dict[str, Callable[[], Strategy]] = {
    "serial": serial,
    "batch 5 + bisect": lambda: batches(5),
    "batch 16 + bisect": lambda: batches(16),
    "speculative window": window,
    "stacked batches of 4": lambda: stacked(4),
    "ours": ours,
}


def least(queue: Queue) -> float:
    """The information bound of the makespan: bits of who was ejected, a run tells one."""
    total = len(queue.landed) + len(queue.ejected)
    return max(1.0, math.log2(math.comb(total, len(queue.ejected))) / queue.width)


@dataclass(frozen=True)
class Measured:
    """Means over many worlds, in units of one validation."""

    makespan: float
    median: float
    runs: float
    bound: float
    innocent: float
    worst_overtaken: int


def measured(name: str, width: int, worlds: Iterable[World]) -> Measured:
    """What a strategy needs for the worlds."""
    played = [(place, play(place, STRATEGIES[name](), width)) for place in worlds]
    if any(queue.unvalidated for _, queue in played):
        raise AssertionError(f"{name} landed what was not validated")
    waits = []
    for place, queue in played:
        at = dict(zip((c.id for c in place.changes), place.arrivals, strict=True))
        taken = sorted(when - at[id] for id, when in queue.landed)
        waits.append(taken[len(taken) // 2] if taken else 0.0)
    return Measured(
        mean(queue.now for _, queue in played),
        mean(waits),
        mean(queue.runs / max(1, len(queue.landed)) for _, queue in played),
        mean(least(queue) for _, queue in played),
        mean(queue.innocent for _, queue in played),
        max((max(queue.overtaken.values(), default=0) for _, queue in played), default=0),
    )
