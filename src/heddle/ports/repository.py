"""The person's repository."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from heddle.core.radar import Hunk, Touched


@dataclass(frozen=True, slots=True)
class Change:
    """One path that differs between two trees. `kind` is added, modified, deleted or type (mode, link)."""

    path: str
    kind: Literal["added", "modified", "deleted", "type"]
    insertions: int | None = 0  # None: binary
    deletions: int | None = 0


@dataclass(frozen=True, slots=True)
class Merged:
    """Two sides compose without conflict into `tree`."""

    tree: str


@dataclass(frozen=True, slots=True)
class Conflicted:
    """A real merge of the two sides fails on `paths`; `detail` quotes git's messages."""

    paths: tuple[str, ...]
    detail: str


@dataclass(frozen=True, slots=True)
class Unmerged:
    """Nobody can say whether the two sides compose; `why` quotes git. It is neither a merge nor a conflict (M3)."""

    why: str


@dataclass(frozen=True, slots=True)
class Trio:
    """A three-way merge: trees of two sides, and of what both come from."""

    ours: str
    theirs: str
    ancestor: str


@dataclass(frozen=True, slots=True)
class Advanced:
    """The ref moved. `checkout`: updated, or not-checked-out."""

    checkout: Literal["updated", "not-checked-out"]


@dataclass(frozen=True, slots=True)
class MovedOn:
    """The ref was not where the landing expected it; it is at `actual`."""

    actual: str


@dataclass(frozen=True, slots=True)
class Blocked:
    """The person's checkout has changes on `paths` that the landing touches: nothing was moved."""

    paths: tuple[str, ...]
    detail: str


class Repository(Protocol):
    """The person's repository, through git's own plumbing. Commits and trees are full hex object ids.

    A git error raises OutsideError with program, args, exit and tail; it is never read as an answer (M3).
    """

    key: str  # stable id of the repository (from the real path of its common git dir): safe in file names and refs
    root: str  # the main checkout, for display

    async def current_branch(self) -> str:
        """The branch that is checked out. Raises UserError (slug detached-head, empty-repository, odd-branch)."""
        ...

    async def resolve(self, revision: str) -> str:
        """The commit id of a revision. Raises UserError(slug="no-such-revision")."""
        ...

    async def tree_of(self, commit: str) -> str:
        """The tree id of a commit."""
        ...

    async def is_ancestor(self, old: str, new: str) -> bool:
        """Whether `old` is reachable from `new`."""
        ...

    async def fork_point(self, one: str, other: str) -> str:
        """The newest commit that both go back to; "" when there is none."""
        ...

    async def commit_hooks(self) -> str:
        """The folder of the person's commit hooks on the host; "" when there are none. Nothing there is run here (M6)."""
        ...

    async def read_file(self, commit: str, path: str) -> bytes | None:
        """A blob of a commit; None when there is no such file."""
        ...

    async def links(self, commit: str) -> tuple[str, ...]:
        """Every path of a commit that is a symbolic link."""
        ...

    async def link_target(self, commit: str, path: str) -> str:
        """What a symbolic link of a commit says, as it says it; "" where there is none at that path."""
        ...

    async def list_files(self, commit: str) -> tuple[str, ...]:
        """Every tracked path of a commit."""
        ...

    async def changes(self, old: str, new: str) -> tuple[Change, ...]:
        """What differs between two commits or trees."""
        ...

    async def diff(self, old: str, new: str, *, limit_bytes: int = 2_000_000, paths: Sequence[str] = ()) -> str:
        """A unified diff for people, of some paths or of all; no external diff program, no textconv; cut at the limit with
        a note.
        """
        ...

    async def log(self, old: str, new: str) -> tuple[tuple[str, str], ...]:
        """(commit, subject) from `old` (exclusive) to `new`, oldest first, first parents only."""
        ...

    async def count(self, tip: str, most: int) -> int:
        """Commits up to `tip` that merge nothing; `most` where there are more."""
        ...

    async def merge(self, ours: str, theirs: str, ancestor: str) -> Merged | Conflicted:
        """Three-way merge of two commits' trees over `ancestor`'s tree, in objects only."""
        ...

    async def merges(self, asked: Sequence[Trio]) -> tuple[Merged | Conflicted | Unmerged, ...]:
        """Many such merges at once, in the order asked; nothing that they make is kept. Attributes are those of the
        ancestor. A merge that git fails on is Unmerged and spoils no other.
        """
        ...

    async def touched(self, asked: Sequence[tuple[str, str]]) -> tuple[tuple[Touched, ...] | None, ...]:
        """For each (old tree, new tree) which paths differ, renames told as such; None where nobody can say."""
        ...

    async def contents(self, asked: Sequence[str]) -> tuple[bytes | None, ...]:
        """The content of each blob; None for "", for what is no blob, and for more than a megabyte."""
        ...

    async def hunks(
        self, asked: Sequence[tuple[str, str]], paths: Sequence[str]
    ) -> tuple[Mapping[str, tuple[Hunk, ...]], ...]:
        """For each (old tree, new tree) which lines of the old one differ, by path; of those paths alone."""
        ...

    async def commit(
        self, tree: str, parents: Sequence[str], message: str, *, as_person: bool, at: float | None = None
    ) -> str:
        """Write a commit object. `as_person`: the user's identity and signing as configured; else Heddle's own
        identity, unsigned. With `at` the same input gives the same id (for idempotent steps)."""
        ...

    async def message(self, commit: str) -> str:
        """The message of a commit."""
        ...

    async def ignored(self, patterns: bytes) -> tuple[str, ...]:
        """Files of the main checkout that git ignores and that match `patterns` (gitignore syntax)."""
        ...

    async def keep(self, ref: str, commit: str) -> None:
        """Point a ref under refs/heddle/ at a commit, so that gc cannot take it."""
        ...

    async def kept(self, *prefixes: str) -> tuple[tuple[str, str], ...]:
        """(ref, commit) of all that lies under one of some prefixes below refs/heddle/."""
        ...

    async def forget(self, ref: str) -> None:
        """Delete a ref under refs/heddle/ (never one under recovery)."""
        ...

    async def advance(
        self, branch: str, old: str, new: str, records: Mapping[str, str]
    ) -> Advanced | MovedOn | Blocked:
        """Move `branch` from `old` to `new` by compare-and-swap, together with refs below refs/heddle/landed/ that record
        what landed: `new`, and commits before it.

        Where the branch is checked out, that checkout moves first by a two-tree update that refuses on any overlap
        (then nothing moves: Blocked). Never stashes, resets or switches branches. Idempotent: safe after a crash
        between any two of its steps.
        """
        ...
