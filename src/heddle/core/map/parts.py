"""Parts: files that belong together, and how well the parts keep work apart, measured on commits that did not make them."""

import math
import posixpath
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from heddle.core.map.coupling import Coupling
from heddle.core.map.history import Commit
from heddle.core.map.names import is_test

Edges = Mapping[tuple[str, str], float]
"""Undirected, each pair once in order; the weight says how much two files belong together."""

Communities = Callable[[Edges], Sequence[Collection[str]]]
"""Groups of the nodes that hold together; the same edges give the same groups."""

_LEAD = 12
"""The busiest files of a part, after which it is called."""

LEAST = 3
"""Files of a part; fewer are loose."""

NEAR = 30
"""Commits apart at which two count as work of the same time."""

_BY_IMPORT = 0.3
_BY_NAME = 0.5
_LEAST_SHARED = 2


@dataclass(frozen=True, slots=True)
class Part:
    """A part. Its files, the most changed first; `share`: of recent work."""

    name: str
    files: tuple[str, ...]
    share: float


@dataclass(frozen=True, slots=True)
class Measure:
    """How parts fare on commits that did not make them. `contained`: of commits with several files, those that stay in one
    part. `base`: of two near commits, how often they share a file; `apart`: the same where their parts differ.
    """

    commits: int
    contained: float
    base: float
    apart: float


def edges(
    coupling: Coupling,
    files: Collection[str],
    imports: Mapping[str, Collection[str]],
    twins: Iterable[tuple[str, str]],
) -> dict[tuple[str, str], float]:
    """What holds the files together: common changes, imports (the less the more import the same), and names."""
    known, found = frozenset(files), defaultdict[tuple[str, str], float](float)
    for (one, other), count in coupling.shared.items():
        if count >= _LEAST_SHARED and one in known and other in known:
            found[one, other] += coupling.degree(one, other)
    users = Counter(target for targets in imports.values() for target in targets)
    for source, targets in imports.items():
        for target in targets:
            if source in known and target in known and source != target:
                found[min(source, target), max(source, target)] += _BY_IMPORT / (1 + math.log2(users[target]))
    for one, other in twins:
        if one in known and other in known:
            found[one, other] += _BY_NAME
    return {pair: found[pair] for pair in sorted(found)}


def parts_of(groups: Iterable[Collection[str]], coupling: Coupling) -> tuple[Part, ...]:
    """Parts with names, the busiest first."""
    total = sum(coupling.weight.values()) or 1.0
    found = []
    for group in groups:
        if len(group) >= LEAST:
            files = sorted(group, key=lambda path: (-coupling.weight.get(path, 0.0), path))
            share = sum(coupling.weight.get(path, 0.0) for path in files) / total
            found.append((files, share))
    found.sort(key=lambda one: (-one[1], one[0][0]))
    names: dict[str, None] = {}
    for files, _ in found:
        names[_name(files, names)] = None
    named = zip(found, names, strict=True)
    return tuple(Part(name, tuple(files), share) for (files, share), name in named)


def _name(files: Sequence[str], taken: Collection[str]) -> str:
    """The deepest folder of most of its busiest files that are no tests; with the first of them where that says too little."""
    lead = [path for path in files if not is_test(path)][:_LEAD] or files[:_LEAD]
    inside = Counter(folder for path in lead for folder in _folders(path))
    most = [folder for folder, count in inside.items() if count * 2 > len(lead)]
    folder = max(most, key=lambda folder: (folder.count("/"), folder), default="")
    if folder and folder not in taken:
        return folder
    named = (f"{folder}: {path.removeprefix(f'{folder}/')}" if folder else path for path in files)
    return next(name for name in named if name not in taken)


def _folders(path: str) -> Iterable[str]:
    folder = posixpath.dirname(path)
    while folder:
        yield folder
        folder = posixpath.dirname(folder)


def placed(parts: Iterable[Part]) -> dict[str, int]:
    """Which part each file lies in, by number."""
    return {path: number for number, part in enumerate(parts) for path in part.files}


def measured(commits: Sequence[Commit], part_of: Mapping[str, int], leave: Collection[str]) -> Measure:
    """How parts fare on these commits, without the files that a policy takes care of."""
    work = []
    for commit in commits:
        files = frozenset(path for path in commit.paths if path not in leave)
        where = Counter(part_of[path] for path in sorted(files) if path in part_of)
        if where:
            work.append((files, where))
    several = [where for files, where in work if sum(where.values()) > 1]
    near = [(a, b) for place, a in enumerate(work) for b in work[place + 1 : place + 1 + NEAR]]
    other = [(a, b) for a, b in near if a[1].most_common(1)[0][0] != b[1].most_common(1)[0][0]]

    def meet(pairs: list[tuple[tuple[frozenset[str], Counter[int]], tuple[frozenset[str], Counter[int]]]]) -> float:
        return sum(not a[0].isdisjoint(b[0]) for a, b in pairs) / len(pairs) if pairs else 0.0

    contained = sum(len(where) == 1 for where in several) / len(several) if several else 0.0
    return Measure(len(work), contained, meet(near), meet(other))


def at_once(parts: Iterable[Part]) -> int:
    """How many equally busy parts the work falls into, in effect."""
    shares = [part.share for part in parts if part.share > 0]
    total = sum(shares)
    return max(1, round(math.exp(-sum(s / total * math.log(s / total) for s in shares)))) if shares else 1
