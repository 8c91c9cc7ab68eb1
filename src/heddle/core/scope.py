"""Which paths a plan may write, as globs with `/` between parts: `*` and `?` within a part, `**` for any parts.

A scope that names a directory covers what is below it. An empty scope is undeclared: it meets everything.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from heddle.core.errors import UserError

LONGEST = 1_000
"""Characters of a glob."""


@dataclass(frozen=True, slots=True)
class Scope:
    """A set of globs relative to the repository's root."""

    globs: tuple[str, ...] = ()

    @property
    def declared(self) -> bool:
        """Whether it says anything; an undeclared scope meets every other."""
        return bool(self.globs)

    def covers(self, path: str) -> bool:
        """Whether `path` may be written."""
        parts = tuple(path.split("/"))
        return any(_covers(tuple(glob.split("/")), parts) for glob in self.globs)

    def outside(self, paths: Iterable[str]) -> tuple[str, ...]:
        """Those of `paths` that it does not cover."""
        return tuple(path for path in paths if not self.covers(path))

    def meeting(self, other: "Scope") -> tuple[str, str] | None:
        """A pair of globs (ours, theirs) that some path can match both of, or None."""
        if not self.declared or not other.declared:
            return ("**", "**")
        for ours in self.globs:
            for theirs in other.globs:
                if _meet(_spread(ours), _spread(theirs)):
                    return (ours, theirs)
        return None


def require_scope(globs: Iterable[str]) -> Scope:
    """A checked scope. Raises UserError(slug="bad-scope") for absolute paths, `..`, options and control characters."""
    kept = []
    for glob in globs:
        complaint = _complaint(glob)
        if complaint:
            raise UserError(
                f"scope {_shown(glob)} {complaint}",
                slug="bad-scope",
                hint='name paths inside the repository, for instance "src/app/**"',
            )
        kept.append(glob.strip().removeprefix("./").rstrip("/"))
    return Scope(tuple(dict.fromkeys(kept)))


def _shown(glob: str) -> str:
    return ascii(glob if len(glob) <= 80 else f"{glob[:79]}…")


def _complaint(glob: str) -> str:
    bare = glob.strip()
    if not bare or bare in {".", "./"}:
        return "is empty"
    if len(bare) > LONGEST:
        return f"has more than {LONGEST} characters"
    if any(ord(char) < 32 or ord(char) == 127 for char in bare):
        return "has control characters"
    if bare.startswith(("/", "~", "\\")) or bare[1:2] == ":":
        return "is an absolute path"
    if bare.startswith("-"):
        return "begins with a dash"
    if ".." in bare.split("/"):
        return "leads out of the repository"
    if bare.split("/")[0] == ".git":
        return "lies in git's own folder"
    return ""


def _spread(glob: str) -> tuple[str, ...]:
    """The parts of a glob; a trailing `**` is implied, because a directory covers what is below it."""
    return (*glob.split("/"), "**")


def _covers(glob: tuple[str, ...], path: tuple[str, ...]) -> bool:
    """Whether a path lies at or below what a glob names. Every place in the glob is tried at once: no glob takes long."""
    at = _past_any(glob, {0})
    for part in path:
        if len(glob) in at:
            return True
        stay = {place for place in at if glob[place] == "**"}
        at = _past_any(glob, stay | {place + 1 for place in at - stay if _meet_part(glob[place], part, literal=True)})
    return len(glob) in at


def _past_any(glob: tuple[str, ...], places: set[int]) -> set[int]:
    """Those places, and those after a `**` that stands there for no part."""
    found = set(places)
    front = list(places)
    while front:
        place = front.pop()
        if place < len(glob) and glob[place] == "**" and place + 1 not in found:
            found.add(place + 1)
            front.append(place + 1)
    return found


@lru_cache(maxsize=4096)
def _meet(a: tuple[str, ...], b: tuple[str, ...]) -> bool:
    """Whether one path can match both globs: the product of two small automata, a part at a time."""
    return _reach(a, b, "**", "**", _meet_part)


@lru_cache(maxsize=4096)
def _meet_part(a: str, b: str, literal: bool = False) -> bool:
    """Whether one name can match both part globs; with `literal`, `b` is a name and no glob."""

    def same(ours: str, theirs: str) -> bool:
        return ours in (theirs, "?") or (not literal and theirs == "?")

    return _reach(a, b, "*", "" if literal else "*", same)


def _reach(a: Sequence[str], b: Sequence[str], any_a: str, any_b: str, same: Callable[[str, str], bool]) -> bool:
    """Whether both can be used up together, where `any_a` and `any_b` stand for as many as one likes of the other's. No
    two places are looked at twice, and nothing is called deeper the longer they are: these come from outside.
    """
    seen, front = {(0, 0)}, [(0, 0)]
    while front:
        x, y = front.pop()
        if (x, y) == (len(a), len(b)):
            return True
        wide_a, wide_b = x < len(a) and a[x] == any_a, y < len(b) and b[y] == any_b
        steps = [(x + 1, y)] if wide_a or (wide_b and x < len(a)) else []
        steps += [(x, y + 1)] if wide_b or (wide_a and y < len(b)) else []
        if not steps and x < len(a) and y < len(b) and same(a[x], b[y]):
            steps.append((x + 1, y + 1))
        front += [step for step in steps if step not in seen]
        seen.update(steps)
    return False
