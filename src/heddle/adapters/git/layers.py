"""What one commit changes of another's files, as a layer of an overlay: O(changes), whatever the repository's size."""

import asyncio
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from heddle.adapters.git.objects import Store, require_id

ATTRIBUTES = ".gitattributes"
"""A change of it may change how files look that did not change themselves."""

AS_COMMITTED = {"core.sparseCheckout": "false", "core.splitIndex": "false", "core.autocrlf": "false"}
"""A tree is what its commit says: all of it, however much the person's checkout shows, with the line endings that
attributes give, which the session's git knows too; and its index is one file."""

_NOTHING, _FOLDER, _SUBMODULE = "000000", "040000", "160000"


@dataclass(frozen=True, slots=True)
class Difference:
    """Paths relative to the root: `files` to be written, `submodules` to be empty folders, `gone` to be hidden."""

    files: tuple[str, ...]
    submodules: tuple[str, ...]
    gone: tuple[str, ...]

    @property
    def size(self) -> int:
        """Entries that the layer would have."""
        return len(self.files) + len(self.submodules) + len(self.gone)

    @property
    def is_shallow(self) -> bool:
        """Whether everything else looks in a fresh checkout as it did before."""
        return all(PurePosixPath(path).name != ATTRIBUTES for path in (*self.files, *self.gone))


async def difference(store: Store, old: str, new: str) -> Difference:
    """What a layer of `new` over a tree of `old` has to hold. Raises OutsideError."""
    args = (
        "diff-tree",
        "-r",
        "-t",
        "-z",
        "--raw",
        "--no-renames",
        "--end-of-options",
        require_id(old),
        require_id(new),
    )
    fields = (await store.run(*args, "--")).fields
    entries = [(*record[1:].split(" ")[:2], path) for record, path in zip(fields[::2], fields[1::2], strict=True)]
    there = {path: mode for _, mode, path in entries if mode not in (_NOTHING, _FOLDER)}
    gone = {path for before, now, path in entries if now == _NOTHING}
    folders = {parent for path in there for parent in _parents(path)}
    hiding = gone | there.keys()
    return Difference(
        tuple(path for path, mode in there.items() if mode != _SUBMODULE),
        tuple(path for path, mode in there.items() if mode == _SUBMODULE),
        tuple(sorted(path for path in gone - folders - there.keys() if not hiding.intersection(_parents(path)))),
    )


async def lay_over(store: Store, old: str, new: str, found: Difference, below: Path, tree: Path, index: Path) -> None:
    """Write a difference to the empty folder `tree`, and to `index` the index of `new`.

    `below` is the index of `old`: what did not change is taken over with what git knows of its files. Where the two
    are stacked, everything is unchanged to git.
    """
    await asyncio.to_thread(shutil.copyfile, below, index)
    await asyncio.to_thread(_hide, tree, found)
    place = store.place(work_tree=tree, index=index)
    await store.git.run("read-tree", "-i", "-m", require_id(old), require_id(new), place=place, config=AS_COMMITTED)
    listed = "".join(f"{path}\0" for path in found.files).encode("utf-8", "surrogateescape")
    await store.git.run("checkout-index", "-f", "-u", "-z", "--stdin", place=place, stdin=listed, config=AS_COMMITTED)


def _hide(tree: Path, found: Difference) -> None:
    """A whiteout is a device 0:0, which the kernel lets anybody make: the overlay shows nothing in its place."""
    for path in found.submodules:
        (tree / path).mkdir(parents=True)
    for path in found.gone:
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        os.mknod(tree / path, stat.S_IFCHR, os.makedev(0, 0))


def _parents(path: str) -> tuple[str, ...]:
    return tuple(str(parent) for parent in PurePosixPath(path).parents)
