"""What names alone say: a test and what it tests, a header and its source; and which names stand for themselves only."""

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable

_TEST = re.compile(r"^(?:test|tests|spec)[_-]|[._-](?:test|tests|spec)$|(?<=[a-z0-9])(?:Test|Tests|Spec)$")
_EVERYWHERE = frozenset(
    ["__init__", "__main__", "index", "main", "mod", "lib", "conftest", "readme", "types", "setup", "package"]
)
_MOST = 8
"""Files of one name among which nobody looks for twins."""


def bare(path: str) -> str:
    """The name of a file without its endings and without what marks a test."""
    stem = posixpath.basename(path)
    stem = stem[: stem.find(".", 1)] if "." in stem[1:] and not is_test(path) else stem.rpartition(".")[0] or stem
    return _TEST.sub("", stem).lower()


def is_test(path: str) -> bool:
    """Whether a file is named as a test is."""
    name = posixpath.basename(path)
    return bool(_TEST.search(name.rpartition(".")[0]))


def twins(paths: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of files that belong together by name, sorted: tests/test_x.py and src/x.py, a.h and a.c."""
    named: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        name = bare(path)
        if len(name) > 1 and name not in _EVERYWHERE:
            named[name].append(path)
    found = set()
    for group in named.values():
        for path in group if len(group) <= _MOST else ():
            near = [other for other in group if other != path and _apart(path, other)]
            if near:
                best = max(near, key=lambda other: (_alike(path, other), other))
                found.add((min(path, best), max(path, best)))
    return sorted(found)


def _apart(one: str, other: str) -> bool:
    """A test and no test; or two forms of one thing in the same folder."""
    return is_test(one) != is_test(other) or posixpath.dirname(one) == posixpath.dirname(other)


def _alike(one: str, other: str) -> int:
    """How many parts of their paths two files have in common."""
    return len(set(one.split("/")[:-1]) & set(other.split("/")[:-1]))
