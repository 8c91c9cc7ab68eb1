"""What git ignores, told without git, from the texts of the lists themselves.

Patterns in their usual forms are understood; a list with any other has no answer here (ValueError), and git is asked.
So it is where an answer might take long: lists and names are an agent's, and may be made for that. Names are bytes, as
they are to git.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

MOST_RULES = 2_000
MOST_STEPS = 1_000_000
"""In one comparison of a name with a pattern: each star may be tried at each of its places."""

_BRACKET = re.compile(rb"\[([!^]?)((?:[A-Za-z0-9](?:-[A-Za-z0-9])?|[_.~])+)\]")


@dataclass(frozen=True, slots=True)
class Rule:
    """One line. `named`: it is about the last name of a path alone; `back`: what it matches is not ignored; `stars`: how
    many runs of them it has."""

    matches: re.Pattern[bytes]
    back: bool
    folder: bool
    named: bool
    stars: int


class Ignored:
    """Lists by folder ("" is the root, others end in a slash), read when first needed, and one that all share."""

    def __init__(self, load: Callable[[bytes], bytes], shared: bytes) -> None:
        self._load = load
        self._left = MOST_RULES
        self._shared = self._taken(shared)
        self._lists: dict[bytes, tuple[Rule, ...]] = {}

    def hides(self, path: bytes, *, folder: bool) -> bool:
        """Whether it is ignored where its folder is not. Raises ValueError."""
        name = path.rpartition(b"/")[2]
        at = path[: len(path) - len(name)]
        while True:
            decided = _decided(self._list(at), path[len(at) :], name, folder=folder)
            if decided is not None:
                return decided
            if not at:
                return bool(_decided(self._shared, path, name, folder=folder))
            at = at[: at.rfind(b"/", 0, -1) + 1]

    def _list(self, at: bytes) -> tuple[Rule, ...]:
        if at not in self._lists:
            self._lists[at] = self._taken(self._load(at))
        return self._lists[at]

    def _taken(self, text: bytes) -> tuple[Rule, ...]:
        self._left -= text.count(b"\n")
        if self._left < 0:
            raise ValueError("too many rules")
        return parsed(text)


def _decided(rules: tuple[Rule, ...], path: bytes, name: bytes, *, folder: bool) -> bool | None:
    for rule in reversed(rules):
        told = name if rule.named else path
        if len(told) ** rule.stars > MOST_STEPS:
            raise ValueError(told)
        if (folder or not rule.folder) and rule.matches.fullmatch(told):
            return not rule.back
    return None


def parsed(text: bytes) -> tuple[Rule, ...]:
    """The rules of a list. Raises ValueError for one that is not understood."""
    lines = (line.removesuffix(b"\r") for line in text.removeprefix(b"\xef\xbb\xbf").split(b"\n"))
    return tuple(rule for line in lines if (rule := _rule(line)) is not None)


def _rule(line: bytes) -> Rule | None:
    if line.startswith(b"#"):
        return None
    if b"\\" in line and line.endswith(b" "):
        raise ValueError(line)
    pattern = line.rstrip(b" ")
    back, pattern = pattern.startswith(b"!"), pattern.removeprefix(b"!")
    folder, pattern = pattern.endswith(b"/"), pattern.removesuffix(b"/")
    if not pattern:
        return None
    named = b"/" not in pattern
    expression = _expression(pattern.removeprefix(b"/"), named=named)
    return Rule(re.compile(expression, re.DOTALL), back, folder, named, len(re.findall(rb"\*+", pattern)))


def _expression(pattern: bytes, *, named: bool) -> bytes:
    found, at = b"", 0
    while at < len(pattern):
        here = pattern[at : at + 1]
        if here == b"*":
            stars = len(pattern[at:]) - len(pattern[at:].lstrip(b"*"))
            part, at = _stars(pattern, at, stars, named=named)
            found += part
        elif here == b"?":
            found, at = found + b"[^/]", at + 1
        elif here == b"[":
            bracket = _BRACKET.match(pattern, at)
            if bracket is None:
                raise ValueError(pattern)
            other, members = bracket.groups()
            found, at = found + (b"[^/" if other else b"[") + members + b"]", bracket.end()
        elif here == b"\\":
            if at + 1 == len(pattern):
                raise ValueError(pattern)
            found, at = found + re.escape(pattern[at + 1 : at + 2]), at + 2
        else:
            found, at = found + re.escape(here), at + 1
    return found


def _stars(pattern: bytes, at: int, stars: int, *, named: bool) -> tuple[bytes, int]:
    """What a run of stars stands for, and where the pattern goes on: several are folders where slashes enclose them."""
    end = at + stars
    if stars == 1 or named:
        return b"[^/]*", end
    if stars != 2 or pattern[at - 1 : at] not in (b"", b"/"):
        raise ValueError(pattern)
    if end == len(pattern):
        return b".*", end
    if pattern[end : end + 1] != b"/":
        raise ValueError(pattern)
    return b"(?:.*/)?", end + 1
