"""Which paths a plan may write, as globs with `/` between parts: `*` and `?` within a part, `**` for any parts.

A scope that names a directory covers what is below it. An empty scope is undeclared: it meets everything.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from heddle.core.errors import UserError


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
                f"scope '{glob!a}' {complaint}",
                slug="bad-scope",
                hint='name paths inside the repository, for instance "src/app/**"',
            )
        kept.append(glob.strip().removeprefix("./").rstrip("/"))
    return Scope(tuple(dict.fromkeys(kept)))


def _complaint(glob: str) -> str:
    bare = glob.strip()
    if not bare or bare in {".", "./"}:
        return "is empty"
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
    if not glob:
        return True
    if glob[0] == "**":
        return any(_covers(glob[1:], path[skip:]) for skip in range(len(path) + 1))
    if not path:
        return False
    return _meet_part(glob[0], path[0], literal=True) and _covers(glob[1:], path[1:])


@lru_cache(maxsize=4096)
def _meet(a: tuple[str, ...], b: tuple[str, ...]) -> bool:
    """Whether one path can match both globs: the product of two small automata, a part at a time."""
    if not a and not b:
        return True
    if a and a[0] == "**" and _meet(a[1:], b):
        return True
    if b and b[0] == "**" and _meet(a, b[1:]):
        return True
    if not a or not b:
        return False
    if a[0] == "**":
        return _meet(a, b[1:])
    if b[0] == "**":
        return _meet(a[1:], b)
    return _meet_part(a[0], b[0]) and _meet(a[1:], b[1:])


@lru_cache(maxsize=4096)
def _meet_part(a: str, b: str, literal: bool = False) -> bool:
    """Whether one name can match both part globs; with `literal`, `b` is a name and no glob."""
    if not a and not b:
        return True
    if a.startswith("*"):
        return _meet_part(a[1:], b, literal) or (bool(b) and _meet_part(a, b[1:], literal))
    if not literal and b.startswith("*"):
        return _meet_part(a, b[1:]) or (bool(a) and _meet_part(a[1:], b))
    if not a or not b:
        return False
    same = a[0] == b[0] or a[0] == "?" or (not literal and b[0] == "?")
    return same and _meet_part(a[1:], b[1:], literal)
