"""A repository's past as the map reads it: newest commit first, paths under the names they have now, noise left out."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

LARGEST = 20
"""Files of a commit; one with more is a sweep, an import or a merge of many things, and tells of no coupling."""

ENOUGH = 200
"""Commits below which a past says too little."""

_BOT = re.compile(r"\[bot\]|\bbot\b|dependabot|renovate|pre-commit-ci|github-actions", re.IGNORECASE)
_SWEEP = re.compile(
    r"^(?:\w+(?:\([^)]*\))?!?: ?)?(?:auto-?format|re-?format|format(?:ting)? (?:all|code|everything)|run (?:black|prettier|ruff|gofmt|isort)"
    r"|black|prettier|gofmt|isort|cargo fmt|fix typos|bump version|update copyright|update licen[cs]e)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Touched:
    """A commit as it was made: paths under their names of then, and what it renamed as (old, new)."""

    id: str
    author: str
    message: str
    paths: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit that tells something: what it says it did, and the files it touched, under the names they have now."""

    id: str
    message: str
    paths: tuple[str, ...]


def is_noise(commit: Touched) -> bool:
    """Whether it says nothing about what belongs together."""
    return not 0 < len(commit.paths) <= LARGEST or bool(_BOT.search(commit.author) or _SWEEP.match(commit.message))


def useful(history: Iterable[Touched]) -> list[Commit]:
    """What tells something of a history that is told newest first."""
    called: dict[str, str] = {}
    kept = []
    for commit in history:
        if not is_noise(commit):
            names = dict.fromkeys(called.get(path, path) for path in commit.paths)
            kept.append(Commit(commit.id, commit.message, tuple(names)))
        for old, new in commit.renamed:
            called[old] = called.get(new, new)
    return kept
