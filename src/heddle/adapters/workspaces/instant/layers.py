"""Dependency layers: what was installed once, for workspaces to lie over.

<root>/<name>/tree    folders as they were written into the overlay of the workspace that installed them
             /cache   what was written into its cache, when there is one
             /closed  written last: nothing is changed in it after that

Whoever changes one from outside would have it run in every session over it, so all of it is looked over before its first
use in a daemon's life, as a base is. One that was changed is set aside and made anew.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from heddle.adapters.workspaces import faults
from heddle.adapters.workspaces.folder import require_id
from heddle.adapters.workspaces.instant.touched import is_untouched
from heddle.adapters.workspaces.trash import delete_tree
from heddle.ports import Clock

CLOSED = "closed"
CHANGED = ".changed-"
"""What one is called that was set aside."""


class Layers:
    """The dependency layers of one repository, in `root`, on the disk of its workspaces: each is there whole or not."""

    def __init__(self, root: Path, clock: Clock) -> None:
        self.root, self.clock = root, clock
        self._sound: set[str] = set()

    def tree(self, name: str) -> Path:
        """Where a layer is, or would be."""
        require_id(name)
        return self.root / name / "tree"

    def cache(self, name: str) -> Path | None:
        """What a layer brings for its cache."""
        path = self.tree(name).with_name("cache")
        return path if path.is_dir() else None

    def has(self, name: str) -> bool:
        """Whether it is there; asked for, no sweep takes it for a while."""
        if not self.tree(name).is_dir():
            return False
        os.utime(self.root / name)
        return True

    async def is_sound(self, name: str) -> bool:
        """Whether it is there and nobody changed it from outside; one that was changed is set aside."""
        if not self.has(name):
            return False
        if name not in self._sound:
            layer = self.root / name
            parts = [part for part in ("tree", "cache") if (layer / part).is_dir()]
            if not (layer / CLOSED).exists():  # an older Heddle made it
                (layer / CLOSED).touch()
            if not await asyncio.to_thread(is_untouched, layer, parts, CLOSED):
                self._set_aside(layer)
                return False
            self._sound.add(name)
        return True

    def _set_aside(self, layer: Path) -> None:
        """Out of the way, but not away: boxes may have it mounted."""
        with suppress(FileNotFoundError):
            aside = self.root / f"{CHANGED}{layer.name}-{layer.lstat().st_ino}"
            os.rename(layer, aside)
            os.utime(aside)

    def keep(self, name: str, tree: Path, folders: tuple[str, ...], cache: Path) -> None:
        """Move the folders of those names out of a tree that nobody works in, and its cache: aside, to disk, then one
        rename."""
        draft = self.root / f".new-{name}"
        _clear(draft)
        (draft / "tree").mkdir(parents=True)
        for found in list(_outermost(tree, folders)):
            target = draft / "tree" / found.relative_to(tree)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.rename(found, target)
        if cache.is_dir():
            os.rename(cache, draft / "cache")
        faults.step("layer-moved")
        os.sync()  # what an overlay wrote may not be on disk yet
        (draft / CLOSED).touch()
        if not self.has(name):
            os.rename(draft, self.root / name)
        faults.step("layer-placed")
        _clear(draft)

    async def sweep(self, used: set[str], older_than_s: float) -> None:
        """Delete the layers that no workspace lies over and that nobody asked for in that long."""
        for path in list(self.root.iterdir()) if self.root.is_dir() else ():
            if path.name in used or self.clock.now() - path.lstat().st_mtime < older_than_s:
                continue
            gone = self.root / f".gone-{path.name.lstrip('.')}"
            if path != gone:
                os.rename(path, gone)
            await asyncio.to_thread(delete_tree, gone)


def _clear(draft: Path) -> None:
    if draft.exists():
        delete_tree(draft)


def cache_of(layer: str) -> str:
    """The cache that a layer brings something for."""
    return layer.rpartition("-")[0]


def _outermost(tree: Path, names: tuple[str, ...]) -> Iterator[Path]:
    """Folders of those names, but none inside of another; no link is followed."""
    for folder, below, _ in os.walk(tree):
        for name in names:
            if name in below:
                below.remove(name)
                path = Path(folder, name)
                if not path.is_symlink():
                    yield path
