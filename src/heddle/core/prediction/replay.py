"""Trying predictions on the past: each task is predicted from what came before it, and pairs are held against what happened."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from heddle.core.map.history import ENOUGH, Commit
from heddle.core.map.hot import policy
from heddle.core.map.imports import language
from heddle.core.map.names import is_test
from heddle.core.prediction.pairs import COUNTS, meeting
from heddle.core.prediction.predictor import Prediction, Predictor

GOOD = 0.75
"""The area under the curve below which predictions are not believed."""

NEAR = 20
"""Tasks apart at which two count as work of the same time."""

LAST = 400
"""The newest tasks that are tried."""

_STEPS = 40


@dataclass(frozen=True, slots=True)
class Calibration:
    """How good predictions are here. `auc`: how often a pair that met is ranked above one that did not; `brier`: the mean
    squared error of the chances; `base`: pairs that met, of all; `steps`: (raw chance, how often pairs of about that chance met).
    """

    tasks: int = 0
    auc: float = 0.5
    brier: float = 1.0
    base: float = 0.0
    steps: tuple[tuple[float, float], ...] = ()

    @property
    def good(self) -> bool:
        """Whether predictions are believed here."""
        return bool(self.steps) and self.auc >= GOOD

    @property
    def why(self) -> str:
        """What is to be said of it."""
        if not self.steps:
            return f"not enough history: {self.tasks} of {ENOUGH} commits that tell something"
        told = f"on the last {self.tasks} commits: AUC {self.auc:.2f}, Brier {self.brier:.3f}, {self.base:.0%} of pairs met"
        return told if self.good else f"history does not tell what tasks will touch ({told})"

    def chance(self, raw: float) -> float:
        """What a raw chance was worth in the past: between two steps, in proportion."""
        at, worth = 0.0, self.steps[0][1]
        for there, share in self.steps:
            if raw < there:
                return worth + (share - worth) * (raw - at) / (there - at)
            at, worth = there, share
        return worth


@dataclass(frozen=True, slots=True)
class Tried:
    """A task of the past: what was predicted for it, and what it changed."""

    prediction: Prediction
    paths: frozenset[str]


def replayed(commits: Sequence[Commit], last: int = LAST, *, name_one: bool = False) -> list[Tried]:
    """The newest tasks of a past (told newest first), oldest first, each predicted from what came before it. `name_one`: as
    if the person had named one of the files.
    """
    oldest = list(reversed(commits))
    begin = max(len(oldest) // 2, len(oldest) - last)
    predictor = Predictor(oldest[:begin])
    tried = []
    for commit in oldest[begin:]:
        counted = frozenset(path for path in commit.paths if COUNTS[policy(path)] == 1)
        if counted:
            named = sorted(counted, key=_as_named)[:1] if name_one else ()
            tried.append(Tried(predictor.predict(commit.message, named), counted))
        predictor.add(commit)
    return tried


def _as_named(path: str) -> tuple[bool, bool, str]:
    """A person names a source file rather than another, and what is tested rather than the test."""
    return not language(path), is_test(path), path


def pairs(tried: Sequence[Tried], near: int = NEAR) -> list[tuple[float, bool]]:
    """Each pair of the same time: the raw chance, and whether the two really met."""
    return [
        (meeting(one.prediction, other.prediction).chance, not one.paths.isdisjoint(other.paths))
        for place, one in enumerate(tried)
        for other in tried[place + 1 : place + 1 + near]
    ]


def calibrated(commits: Sequence[Commit]) -> Calibration:
    """How good predictions are on this past (told newest first)."""
    if len(commits) < ENOUGH:
        return Calibration(len(commits))
    tried = replayed(commits)
    found = pairs(tried)
    met = sum(hit for _, hit in found)
    if not met or met == len(found):
        return Calibration(len(tried), 0.5, 1.0, met / max(1, len(found)), ((0.0, met / max(1, len(found))),))
    steps = _steps(found)
    judge = Calibration(len(tried), steps=steps)
    brier = sum((judge.chance(raw) - hit) ** 2 for raw, hit in found) / len(found)
    return Calibration(len(tried), area(found), brier, met / len(found), steps)


def area(found: Iterable[tuple[float, bool]]) -> float:
    """The area under the curve: of a pair that met and one that did not, how often the first has the greater chance."""
    ranked = sorted(found)
    below = hits = misses = 0.0
    place = 0
    while place < len(ranked):
        end = place
        while end < len(ranked) and ranked[end][0] == ranked[place][0]:
            end += 1
        met = sum(hit for _, hit in ranked[place:end])
        below += met * (misses + (end - place - met) / 2)
        hits, misses, place = hits + met, misses + end - place - met, end
    return below / (hits * misses) if hits and misses else 0.5


def _steps(found: Iterable[tuple[float, bool]]) -> tuple[tuple[float, float], ...]:
    """Shares that only rise with the raw chance: neighbouring groups are joined where they would fall. Pairs of the same raw
    chance are in one group.
    """
    ranked = sorted(found)
    size = max(1, len(ranked) // _STEPS)
    blocks: list[tuple[float, float, int]] = []
    place = 0
    while place < len(ranked):
        end = min(len(ranked), place + size)
        while end < len(ranked) and ranked[end][0] == ranked[end - 1][0]:
            end += 1
        group = ranked[place:end]
        blocks.append((sum(raw for raw, _ in group), float(sum(hit for _, hit in group)), len(group)))
        while len(blocks) > 1 and blocks[-2][1] / blocks[-2][2] >= blocks[-1][1] / blocks[-1][2]:
            (raw, met, many), (more_raw, more_met, more) = blocks[-2:]
            blocks[-2:] = [(raw + more_raw, met + more_met, many + more)]
        place = end
    return tuple((raw / many, met / many) for raw, met, many in blocks)
