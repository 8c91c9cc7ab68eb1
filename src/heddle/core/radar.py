"""How two lines of work drift apart: what meets, how bad it is, and who has to know.

Overlap only clears: that two tasks touch one file is no alarm. A real merge alarms.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

MAIN = ""
"""Stands for the branch that a task is to land on, where another task could stand."""

MOST_PATHS = 50
"""Paths that are on record with a finding, and uses."""

NEAR_LINES = 3
"""Changes with at most so many untouched lines between them are next to each other."""

CALM_S = 5.0
"""So long a pair must look better before it is on record as better: agents write half of a change at a time."""


class Level(IntEnum):
    """How far two lines of work are apart."""

    CLEAR = 0
    SAME_FILE = 1
    NEAR = 2
    CONFLICT = 3
    SYMBOL = 4
    RED = 5


WORDS = {
    Level.CLEAR: "clear",
    Level.SAME_FILE: "same file, other places",
    Level.NEAR: "next to each other",
    Level.CONFLICT: "conflict",
    Level.SYMBOL: "broken together",
    Level.RED: "red together",
}
"""Each level for people."""


@dataclass(frozen=True, slots=True)
class Touched:
    """A path that one side changed. `before` and `after` name its content ("" for none); `origin` is where it was before it
    was renamed, else "".
    """

    path: str
    before: str
    after: str
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Hunk:
    """Lines `first` to `last` of the base that one side changed; what is put in after a line has that line as both."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Drift:
    """What was found between task `one` and task `other`, or MAIN: then it is stale. `level` None: nobody can say, and
    `detail` tells why. `paths`: where they meet.
    """

    one: str
    other: str
    level: Level | None
    paths: tuple[str, ...] = ()
    detail: str = ""

    @property
    def pair(self) -> tuple[str, str]:
        """Which two it is about."""
        return (self.one, self.other)

    def of(self, task: str) -> bool:
        """Whether the task is one of them."""
        return task in self.pair

    def beside(self, task: str) -> str:
        """The other one of the two."""
        return self.other if task == self.one else self.one


@dataclass(frozen=True, slots=True)
class Told:
    """What a session was told in the message that followed its turn of that number: the words, and of whom at which level."""

    session: str
    turn: int
    text: str
    about: tuple[tuple[str, str, Level], ...]


@dataclass(slots=True)
class Drifts:
    """What the radar has on record of one repository: pairs that are not clear, and what sessions were told."""

    found: dict[tuple[str, str], Drift] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)

    def find(self, drift: Drift) -> None:
        """One more finding."""
        if drift.level is Level.CLEAR:
            self.found.pop(drift.pair, None)
        else:
            self.found[drift.pair] = drift

    def told_at(self, session: str, turn: int) -> Told | None:
        """What a session was told there; None when that was not decided."""
        return next((told for told in self.told if (told.session, told.turn) == (session, turn)), None)

    def untold(self, drift: Drift) -> bool:
        """Whether nobody was told of the pair at that level yet."""
        about = (*drift.pair, drift.level)
        return drift.level is not None and not any(about in told.about for told in self.told)


@dataclass(frozen=True, slots=True)
class Side:
    """One line of work. `session`: who works on it now ("" for nobody: what it made waits to land). `began`: a later one has a
    greater number. `done`: how many paths it changed.
    """

    task: str
    session: str
    began: int
    done: int
    priority: int


def pair_of(one: str, other: str) -> tuple[str, str]:
    """Two tasks in the order in which they are on record; main is always the other."""
    if MAIN in (one, other):
        return (one or other, MAIN)
    first, second = sorted((one, other), key=lambda id: (len(id), id))
    return (first, second)


def whom(level: Level | None, one: Side, other: Side | None) -> tuple[str, ...]:
    """The tasks whose sessions have to know; `other` None is main. Without a session nobody hears: then the other one does."""
    sides = [side for side in (one, other) if side is not None and side.session]
    if level is None or level <= Level.SAME_FILE or not sides:
        return ()
    if other is None:
        return (one.task,) if level >= Level.CONFLICT else ()
    if level is Level.RED:
        return tuple(side.task for side in sides)
    if level is Level.NEAR:
        return (max(sides, key=lambda side: side.began).task,)
    return (min(sides, key=lambda side: (side.done, -side.priority, -side.began)).task,)


def settle(before: Drift | None, found: Drift, better_since: float | None, now: float) -> tuple[bool, float | None]:
    """Whether a finding is to be on record, and since when the pair looks better than the record says (None: it does not).

    What is worse, or unknown, counts at once; what is better must stay so for CALM_S.
    """
    known = before.level if before is not None else Level.CLEAR
    if found.level is None or known is None or found.level > known:
        return (found.level is not known, None)
    if found.level == known:
        moved = before is not None and known >= Level.NEAR and before.paths != found.paths
        return (moved, None)
    since = now if better_since is None else better_since
    return (True, None) if now - since >= CALM_S else (False, since)


@dataclass(frozen=True, slots=True)
class Places:
    """Where one side is at work: paths, all folders above them, and folders that it moved files away from."""

    names: frozenset[str] = frozenset()
    folders: frozenset[str] = frozenset()
    left: frozenset[str] = frozenset()


def places(touched: Sequence[Touched]) -> Places:
    """Where a side that changed these is at work."""
    names = frozenset(name for one in touched for name in (one.path, one.origin) if name)
    moved = (one.origin for one in touched if one.origin.rpartition("/")[0] != one.path.rpartition("/")[0])
    return Places(names, _folders(names), _folders(name for name in moved if name))


def meetings(ours: Places, theirs: Places) -> tuple[str, ...]:
    """Where two sides could be in each other's way at all; without any no merge can fail.

    That is a path of both, a file of one that is a folder of the other, and a folder from which one moved files away
    while the other changes something in it: git would move that, too.
    """
    found = ours.names & theirs.names
    found |= (ours.names & theirs.folders) | (theirs.names & ours.folders)
    found |= (ours.left & theirs.folders) | (theirs.left & ours.folders)
    return tuple(sorted(found))


def _folders(paths: Iterable[str]) -> frozenset[str]:
    """All folders above the paths, the root aside."""
    found = set[str]()
    for path in paths:
        while (path := path.rpartition("/")[0]) and path not in found:
            found.add(path)
    return frozenset(found)


def near(ours: Sequence[Hunk], theirs: Sequence[Hunk], functions: Sequence[tuple[int, int]] = ()) -> bool:
    """Whether changes of one file are next to each other, or in one of its functions (first and last line)."""
    return any(_are_near(one, other, functions) for one in ours for other in theirs)


def _are_near(one: Hunk, other: Hunk, functions: Sequence[tuple[int, int]]) -> bool:
    between = max(one.first, other.first) - min(one.last, other.last) - 1
    if between <= NEAR_LINES:
        return True
    return any(_within(one, span) and _within(other, span) for span in functions)


def _within(hunk: Hunk, span: tuple[int, int]) -> bool:
    return span[0] <= hunk.first and hunk.last <= span[1]


def judge(
    one: str,
    other: str,
    met: Sequence[str],
    *,
    conflicts: Sequence[str] | None = (),
    unknown: str = "",
    breaks: Sequence[str] = (),
    close: Iterable[str] = (),
) -> Drift:
    """The drift that these findings make; the worst counts.

    `met`: where they meet; `conflicts`: paths on which a real merge fails (None: nobody can say, `unknown` tells why);
    `breaks`: uses of what the other changed, in words; `close`: paths where changes are near.
    """
    if conflicts is None:
        return _drift(one, other, None, met, unknown)
    if conflicts:
        return _drift(one, other, Level.CONFLICT, conflicts)
    if breaks:
        return _drift(one, other, Level.SYMBOL, met, "\n".join(breaks[:MOST_PATHS]))
    if near_paths := tuple(close):
        return _drift(one, other, Level.NEAR, near_paths)
    return _drift(one, other, Level.SAME_FILE if met else Level.CLEAR, met)


def _drift(one: str, other: str, level: Level | None, paths: Sequence[str], detail: str = "") -> Drift:
    return Drift(one, other, level, tuple(paths[:MOST_PATHS]), detail)
