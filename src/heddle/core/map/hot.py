"""Files that many tasks touch, and what would let them: fragments, regeneration, union; or else cutting them up."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from heddle.core.map.coupling import Coupling

SHARE = 0.05
"""Of recent commits: a file that more touch is hot."""

SHARE_OF_KNOWN = 0.02
"""The same for a file whose name tells why everybody touches it."""

LEAST = 10
"""Commits below which no file is hot."""

MOST = 15
"""Hot files that are told."""


class Policy(StrEnum):
    """What lets many touch one file."""

    FRAGMENTS = "fragments"
    REGENERATE = "regenerate"
    UNION = "union"
    SPLIT = "split"


MEANS = {
    Policy.FRAGMENTS: "let each task write a file of its own, and put these together at release",
    Policy.REGENERATE: "merge what it is made from, and make it anew with its tool",
    Policy.UNION: "keep the added lines of both sides, sorted",
    Policy.SPLIT: "it is many things at once: cut it up",
}
"""What each policy asks for."""

_NAMES = (
    (
        Policy.REGENERATE,
        re.compile(
            r"(?:package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml|[\w.-]*\.lock|go\.sum|[\w.-]*\.snap|[\w.-]*\.min\.js)$"
        ),
    ),
    (
        Policy.FRAGMENTS,
        re.compile(
            r"(?:change(?:s|log)|history|news|release[_-]?notes|authors|contributors)(?:\.(?:md|rst|txt|adoc))?$",
            re.IGNORECASE,
        ),
    ),
    (
        Policy.UNION,
        re.compile(
            r"(?:__init__\.py|index\.[jt]sx?|mod\.rs|lib\.rs|\.gitignore|requirements[\w.-]*\.txt|package\.json|Cargo\.toml|pyproject\.toml|go\.mod|[\w.-]*(?:registry|routes|urls)\.\w+)$"
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Hot:
    """A hot file. `share`: of recent commits."""

    path: str
    share: float
    commits: int
    policy: Policy


def policy(path: str) -> Policy:
    """What would let many touch a file, by its name."""
    name = path.rpartition("/")[2]
    return next((kind for kind, names in _NAMES if names.match(name)), Policy.SPLIT)


def hot_files(coupling: Coupling, paths: Collection[str]) -> tuple[Hot, ...]:
    """The hot ones of these files, hottest first."""
    found = []
    for path in paths:
        count, share, kind = coupling.count.get(path, 0), coupling.share(path), policy(path)
        if count >= LEAST and share >= (SHARE if kind is Policy.SPLIT else SHARE_OF_KNOWN):
            found.append(Hot(path, share, count, kind))
    return tuple(sorted(found, key=lambda hot: (-hot.share, hot.path))[:MOST])
