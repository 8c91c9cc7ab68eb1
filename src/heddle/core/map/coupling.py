"""How often files changed, and changed together. A commit counts half as much as one that came so many after it."""

from collections import defaultdict
from collections.abc import Iterable
from itertools import combinations

from heddle.core.map.history import Commit

HALF_LIFE = 1_500
"""Commits after which a commit counts half."""

_GROWTH = 2.0 ** (1 / HALF_LIFE)


class Coupling:
    """Commits are added oldest first; each counts a little more than the one before, which is the same as fading."""

    def __init__(self, commits: Iterable[Commit] = ()) -> None:
        self.unit = 1.0
        self.total = 0.0
        self.weight: dict[str, float] = defaultdict(float)
        self.count: dict[str, int] = defaultdict(int)
        self.together: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        self.shared: dict[tuple[str, str], int] = defaultdict(int)
        for commit in commits:
            self.add(commit)

    def add(self, commit: Commit) -> None:
        """One commit more, the newest so far."""
        self.unit *= _GROWTH
        self.total += self.unit
        for path in commit.paths:
            self.weight[path] += self.unit
            self.count[path] += 1
        for one, other in combinations(sorted(commit.paths), 2):
            self.together[one][other] += self.unit
            self.together[other][one] += self.unit
            self.shared[one, other] += 1

    def given(self, path: str) -> dict[str, float]:
        """The chance of every other file to change when this one does; careful where little is known."""
        known = self.weight.get(path, 0.0) + self.unit
        return {other: weight / known for other, weight in self.together.get(path, {}).items()}

    def both(self, one: str, other: str) -> int:
        """Commits that touched both."""
        return self.shared.get((one, other) if one < other else (other, one), 0)

    def degree(self, one: str, other: str) -> float:
        """0 to 1: how much two files change together, of all that they change."""
        weights = self.weight.get(one, 0.0) * self.weight.get(other, 0.0)
        return self.together[one][other] / weights**0.5 if weights and other in self.together.get(one, {}) else 0.0

    def share(self, path: str) -> float:
        """The part of recent commits that touch a file."""
        return self.weight.get(path, 0.0) / self.total if self.total else 0.0
