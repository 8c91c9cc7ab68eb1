"""Git directories of one session each: private refs, index and configuration over the repository's shared objects."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from heddle.core.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Entry:
    """What a tree is to hold at a path: git's mode (100644 or 100755) and the content; no mode: nothing."""

    path: str
    mode: str
    data: bytes


class PrivateGits(Protocol):
    """Makes such directories and takes over what sessions leave in them. Git itself runs on them only inside a box."""

    @property
    def shared(self) -> tuple[str, ...]:
        """Folders of the host with all objects of the repository, for a box to show read-only."""
        ...

    async def check_out(self, commit: str, tree: Path, index: Path) -> None:
        """The files of a commit at `tree`, all of them, and the index that belongs to them."""
        ...

    async def lay_out(self, commit: str, tree: Path, index: Path) -> None:
        """As `check_out`, and git finds all of them unchanged without reading any.

        That holds for as long as their inodes and times stay what they are, also through an overlay.
        """
        ...

    async def differing(self, old: str, new: str) -> tuple[str, ...]:
        """Paths of files that differ between two commits or trees."""
        ...

    async def distance(self, old: str, new: str) -> int | None:
        """How many entries a layer of `new` over the files of `old` has; None when such a layer would not do."""
        ...

    async def lay_over(self, old: str, below: Path, new: str, tree: Path, index: Path) -> None:
        """As `lay_out`, but `tree` becomes a layer for an overlay over the files of `old`, whose index is `below`."""
        ...

    async def ignores(self) -> bytes:
        """What the person has git ignore here by rules of their own, which no commit holds (gitignore syntax)."""
        ...

    def make(self, path: Path, commit: str, shared: Sequence[str], ignores: bytes) -> None:
        """A git directory at `path`, detached at `commit`, without an index; a few small files and no process.

        `shared`: where the folders of `shared` are inside, in the same order.
        """
        ...

    async def compose(self, commit: str, entries: Iterable[Entry]) -> str:
        """The tree of a commit with these entries in the place of its own; O(entries). Raises OutsideError.

        Its objects last until a ref keeps a commit of them.
        """
        ...

    def reader(self, tree: str, base: str, size_limit: int) -> tuple[str, ...]:
        """The command that, run inside, writes down what the session holds and tells it; see Worktrees.snapshot."""
        ...

    async def take_over(
        self, told: bytes, tree: str, upload_pack: Sequence[str], *, base: str, size_limit: int
    ) -> tuple[Snapshot, tuple[str, ...]]:
        """Fetch what the reader told of, checked as the word of a stranger: the snapshot and the stash, newest first.

        `upload_pack` is the command line that runs git's upload-pack inside. A file that grew beyond `size_limit`
        bytes (0: no limit) since `base` is an error. Raises OutsideError (slug session-git-broken, result-too-large).
        """
        ...
