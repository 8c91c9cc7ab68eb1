"""Predicting the files that a task will change: what it names, what like tasks changed, and what changes along with these."""

import heapq
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from heddle.core.map.coupling import HALF_LIFE, Coupling
from heddle.core.map.history import Commit
from heddle.core.map.names import bare
from heddle.core.prediction.words import Names, tokens

NAMED = 0.9
"""The chance of a file that the task names, or that the person does."""

SCOPED = 0.6
"""The chance of a file that a declared scope covers, at most."""

_LIKE = 15
"""Past tasks that are asked."""

_SEEDS = 12
"""The likeliest files, whose companions are likely, too."""

_MOST = 80
"""Files of a prediction."""

_LEAST = 0.01
_COMMON = 0.15
"""Of past tasks: a word that more of them say tells nothing."""

_BY_PATH = 0.08
"""How far a file is believed to be meant whose path has the words of the task."""


@dataclass(frozen=True, slots=True)
class Likely:
    """A file that may be changed. `chance`: 0 to 1; `commits`: past commits that speak for it."""

    chance: float
    commits: int


Prediction = Mapping[str, Likely]
"""Files by path."""


class Predictor:
    """Knows a past that is told oldest first; what it predicts rests on what it was told so far."""

    def __init__(self, commits: Iterable[Commit] = (), files: Iterable[str] = ()) -> None:
        self.coupling = Coupling()
        self._names = Names()
        self._files: set[str] = set()
        self._by_part: dict[str, list[str]] = defaultdict(list)
        self._told: list[tuple[Commit, float]] = []
        self._saying: dict[str, list[int]] = defaultdict(list)
        for path in files:
            self._know(path)
        for commit in commits:
            self.add(commit)

    def add(self, commit: Commit) -> None:
        """One commit more, the newest so far."""
        said = tokens(commit.message)
        for word in said:
            self._saying[word].append(len(self._told))
        self._told.append((commit, sum(self._rare(word) ** 2 for word in said) ** 0.5))
        self.coupling.add(commit)
        for path in commit.paths:
            self._know(path)

    def stated(self, text: str, named: Collection[str] = (), scope: Collection[str] = ()) -> dict[str, Likely]:
        """The files that a task says it will change, by name or by scope: all that is believed where the past tells nothing."""
        told = dict.fromkeys((*named, *self._names.named(text)), NAMED)
        told |= {path: SCOPED / max(1.0, len(scope) / 2) for path in scope if path not in told}
        kept = ((path, chance) for path, chance in told.items() if chance >= _LEAST and (not scope or path in scope))
        return {path: Likely(chance, self.coupling.count.get(path, 0)) for path, chance in list(kept)[:_MOST]}

    def _know(self, path: str) -> None:
        if path not in self._files:
            self._files.add(path)
            self._names.add(path)
            for word in tokens(path.rpartition(".")[0] or path):
                self._by_part[word].append(path)

    def predict(self, text: str, named: Collection[str] = (), scope: Collection[str] = ()) -> dict[str, Likely]:
        """The files that a task may change. `named`: files that somebody says it will; `scope`: those that it may write, if
        it declared any: others are left out.
        """
        seeds: dict[str, Likely] = {}
        for path, chance, commits in (*self._like(text), *self._by_words(text)):
            _more(seeds, path, chance, commits)
        stated = self.stated(text, named, scope)
        for path, likely in stated.items():
            _more(seeds, path, likely.chance, likely.commits)
        found = dict(seeds)
        for path in heapq.nlargest(_SEEDS, seeds, key=lambda path: (seeds[path].chance, path)):
            for other, chance in self.coupling.given(path).items():
                if chance * seeds[path].chance >= _LEAST:
                    _more(found, other, chance * seeds[path].chance, self.coupling.both(path, other))
        kept = (path for path in found if found[path].chance >= _LEAST and (not scope or path in scope))
        best = heapq.nlargest(_MOST, kept, key=lambda path: (found[path].chance, path))
        return {path: found[path] for path in best}

    def _rare(self, word: str) -> float:
        """How much a word tells: the fewer past tasks say it, the more; 0 for one that every other says."""
        said, total = len(self._saying.get(word, ())), len(self._told) + 1
        return 0.0 if said > max(20.0, _COMMON * total) else math.log(1 + total / (1 + said))

    def _like(self, text: str) -> list[tuple[str, float, int]]:
        """What tasks changed that were said in the same words."""
        weight = {word: rare for word in tokens(text) if (rare := self._rare(word))}
        length = sum(rare**2 for rare in weight.values()) ** 0.5
        found: dict[int, float] = defaultdict(float)
        for word, rare in weight.items():
            for place in self._saying.get(word, ()):
                found[place] += rare**2
        near: dict[int, float] = {}
        for place, shared in found.items():
            _, other = self._told[place]
            near[place] = shared / (length * other or 1.0) * 0.5 ** ((len(self._told) - place) / HALF_LIFE)
        best = heapq.nlargest(_LIKE, near, key=lambda place: (near[place], place))
        total = sum(near[place] for place in best)
        sure = min(1.0, 1.6 * near[best[0]]) if best else 0.0
        chances: dict[str, float] = defaultdict(float)
        commits: dict[str, int] = defaultdict(int)
        for place in best:
            for path in self._told[place][0].paths:
                chances[path] += sure * near[place] / total
                commits[path] += 1
        return [(path, min(chance, NAMED), commits[path]) for path, chance in chances.items()]

    def _by_words(self, text: str) -> list[tuple[str, float, int]]:
        """Files whose own path has the words of the task; the rarer among paths, the more."""
        scores: dict[str, float] = defaultdict(float)
        for word in tokens(text):
            paths = self._by_part.get(word, ())
            if 0 < len(paths) <= max(10, len(self._files) // 20):
                for path in paths:
                    twice = 2.0 if word in tokens(bare(path)) else 1.0
                    scores[path] += twice / len(paths) ** 0.5
        best = heapq.nlargest(_SEEDS, scores, key=lambda path: (scores[path], path))
        return [(path, _BY_PATH * min(1.0, scores[path]), self.coupling.count.get(path, 0)) for path in best]


def _more(found: dict[str, Likely], path: str, chance: float, commits: int) -> None:
    """One more reason for a file: either may be right."""
    known = found.get(path)
    if known is None:
        found[path] = Likely(chance, commits)
    else:
        found[path] = Likely(1 - (1 - known.chance) * (1 - chance), max(known.commits, commits))
