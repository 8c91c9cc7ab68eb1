"""The whole map: parts, what ties them, hot files, hidden coupling, and whether the repository is modular at all."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from heddle.core.map.coupling import Coupling
from heddle.core.map.history import ENOUGH, Commit
from heddle.core.map.hot import Hot, Policy, hot_files
from heddle.core.map.names import twins
from heddle.core.map.parts import Communities, Measure, Part, at_once, edges, measured, parts_of, placed

CONTAINED = 0.4
"""Of commits with several files: where fewer stay in one part, the parts are none."""

KEPT_APART = 0.6
"""Of the chance that two tasks meet: where knowing that their parts differ leaves more, it says nothing."""

HELD_OUT = 500
"""The newest commits, at most, on which parts are measured that the others made."""

_HIDDEN_SHARED = 5
_HIDDEN_DEGREE = 0.3
_MOST_HIDDEN = 25
_MOST_TIES = 60


@dataclass(frozen=True, slots=True)
class Tie:
    """Two parts (by number) that are changed together in `commits`, or import each other; `files`: the pair that is most."""

    one: int
    other: int
    commits: int
    imports: int
    files: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Hidden:
    """Two files that change together though neither imports the other. `degree`: 0 to 1."""

    one: str
    other: str
    commits: int
    degree: float


@dataclass(frozen=True, slots=True)
class Source:
    """What a map is made from. `commits`: newest first, noise left out; `files`: all that there are; `imports`: of those files
    that were read, what each imports (a file that was read and imports nothing is there, too).
    """

    commits: Sequence[Commit]
    files: frozenset[str]
    imports: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Chart:
    """A map. `modular` None: nobody can tell, `why` says why. `at_once`: tasks that would work in different parts."""

    parts: tuple[Part, ...]
    ties: tuple[Tie, ...]
    hot: tuple[Hot, ...]
    hidden: tuple[Hidden, ...]
    measure: Measure | None
    modular: bool | None
    why: str
    at_once: int
    commits: int
    files: int
    loose: int


def draw(source: Source, communities: Communities, measure: Measure | None = None) -> Chart:
    """The map of a repository. `measure`: as it was found not long ago, if it was: measuring takes as long as all else."""
    coupling = Coupling(reversed(source.commits))
    hot = hot_files(coupling, source.files)
    policed = frozenset(one.path for one in hot if one.policy is not Policy.SPLIT)
    pairs = twins(source.files)
    parts = _parts(source, coupling, policed, pairs, communities)
    measure = measure or _measure(source, policed, pairs, communities)
    modular, why = _verdict(len(source.commits), parts, measure)
    part_of = placed(parts)
    return Chart(
        parts,
        _ties(part_of, coupling, source.imports),
        hot,
        _hidden(coupling, source, pairs),
        measure,
        modular,
        why,
        at_once(parts) if modular else 1,
        len(source.commits),
        len(source.files),
        len(source.files) - len(part_of),
    )


def _parts(
    source: Source,
    coupling: Coupling,
    policed: Collection[str],
    pairs: Sequence[tuple[str, str]],
    communities: Communities,
) -> tuple[Part, ...]:
    joined = edges(coupling, source.files - frozenset(policed), source.imports, pairs)
    return parts_of(communities(joined), coupling)


def _measure(
    source: Source, policed: Collection[str], pairs: Sequence[tuple[str, str]], communities: Communities
) -> Measure | None:
    """On the newest commits, with parts that the older ones made; None without enough of a past."""
    if len(source.commits) < ENOUGH:
        return None
    newest = min(HELD_OUT, len(source.commits) // 4)
    older = Coupling(reversed(source.commits[newest:]))
    return measured(source.commits[:newest], placed(_parts(source, older, policed, pairs, communities)), policed)


def _verdict(commits: int, parts: Sequence[Part], measure: Measure | None) -> tuple[bool | None, str]:
    if measure is None:
        return None, f"not enough history: {commits} of {ENOUGH} commits that tell something"
    if len(parts) < 2:
        return False, "all files hang together as one part"
    if measure.contained < CONTAINED:
        return False, f"only {measure.contained:.0%} of the commits with several files stay within one part"
    if measure.apart > KEPT_APART * measure.base:
        told = f"{measure.base:.0%} of the tasks at one time share a file, and {measure.apart:.0%} of those in different parts"
        return False, told
    return True, f"{measure.contained:.0%} of the commits with several files stay within one part"


def _ties(part_of: Mapping[str, int], coupling: Coupling, imports: Mapping[str, frozenset[str]]) -> tuple[Tie, ...]:
    commits, uses = Counter[tuple[int, int]](), Counter[tuple[int, int]]()
    most: dict[tuple[int, int], tuple[int, str, str]] = {}
    for (one, other), count in coupling.shared.items():
        key = _between(part_of, one, other)
        if key:
            commits[key] += count
            most[key] = max(most.get(key, (0, "", "")), (count, one, other))
    for source, targets in imports.items():
        for target in targets:
            key = _between(part_of, source, target)
            if key:
                uses[key] += 1
                most[key] = max(most.get(key, (0, "", "")), (0, source, target))
    found = (Tie(*key, commits[key], uses[key], most[key][1:]) for key in most)
    return tuple(sorted(found, key=lambda tie: (-tie.commits, -tie.imports, tie.one, tie.other))[:_MOST_TIES])


def _between(part_of: Mapping[str, int], one: str, other: str) -> tuple[int, int] | None:
    a, b = part_of.get(one), part_of.get(other)
    return None if a is None or b is None or a == b else (min(a, b), max(a, b))


def _hidden(coupling: Coupling, source: Source, pairs: Sequence[tuple[str, str]]) -> tuple[Hidden, ...]:
    """Only between files that were read for imports: of others nobody can say that they import nothing."""
    named, imports, found = frozenset(pairs), source.imports, []
    for (one, other), count in coupling.shared.items():
        if count < _HIDDEN_SHARED or one not in imports or other not in imports or (one, other) in named:
            continue
        degree = coupling.degree(one, other)
        if degree >= _HIDDEN_DEGREE and not _reaches(imports, one, other) and not _reaches(imports, other, one):
            found.append(Hidden(one, other, count, degree))
    return tuple(sorted(found, key=lambda one: (-one.degree * one.commits, one.one, one.other))[:_MOST_HIDDEN])


def _reaches(imports: Mapping[str, frozenset[str]], source: str, target: str) -> bool:
    """Whether a file imports another, or by way of a third: a package hands on what its modules hold."""
    direct = imports[source]
    return target in direct or any(target in imports.get(between, ()) for between in direct)
