"""Plain git worktrees, for the providers that make them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from heddle.core.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Ownership:
    """What proves that a directory is the worktree it was: `device` and `inode` of the directory itself, and the
    real path of the admin folder in the repository to which it points and which points back."""

    device: int
    inode: int
    gitdir: str


class Worktrees(Protocol):
    """Worktrees of one repository, made and read without any step that another git process could trip over."""

    async def add(self, path: Path, commit: str, name: str, branch: str | None = None) -> Ownership:
        """Make `path` a worktree at `commit`, locked from birth; detached, or on the new `branch`.

        `path` appears complete or not at all; called again after a crash it finishes or returns the same. `name`
        is the admin folder's name: [a-z0-9-]+. Raises UserError (slug path-taken, name-taken, branch-taken).
        """
        ...

    async def identify(self, path: Path) -> Ownership | None:
        """The proof for `path`; None when it is no worktree of this repository whose two pointers agree."""
        ...

    async def snapshot(self, path: Path, *, base: str = "", size_limit: int = 0) -> Snapshot:
        """Write what is at `path` as objects through a copied index: the worktree and its index stay untouched.

        Nested repositories are refused with the reason; sockets and pipes are no content to git. With `base`, a
        commit, the rules of a result apply to the worktree's tree (W8): ignored files that `base` does not hold and
        files above `size_limit` bytes (0: no limit) are refused too. Raises OutsideError(slug="workspace-lost").
        """
        ...

    async def fill(self, path: Path, snapshot: Snapshot) -> None:
        """Give a fresh worktree the files and the index of a snapshot (for a restore)."""
        ...

    async def stash_entries(self, branch: str) -> tuple[str, ...]:
        """Stash commits that were made on `branch`, newest first; "" asks for those made on a detached HEAD."""
        ...

    async def repair_admin(self, path: Path, name: str) -> None:
        """Make `path` and the admin folder `name` point at each other again after one was moved or its pointer lost.

        Raises Refused(slug="not-ours") when the admin folder belongs to another path that still exists.
        """
        ...

    async def drop_admin(self, path: Path, name: str) -> bool:
        """Remove the admin folder `name` if it points to `path`, and nothing else; False when there is none such."""
        ...
