"""One instant workspace on disk, and the view of the machine that its sessions have. What Layout has, and besides:

<root>/<id>/tree    the overlay's upper folder: everything that was written, and only that
           /git     the same of its own git directory
           /work    the kernel's, for the tree; /work-git for the git directory
           /lock    held by the one box that may mount it
           /caches  for each cache: what was written into it, and the kernel's folder for that
           /beneath  which base its box was made over: see Base.identity
           /boot    which boot of the machine has written into it since it was last put safely on disk
"""

import os
from collections.abc import Mapping
from pathlib import Path

from heddle.adapters.workspaces.documents import load_document
from heddle.adapters.workspaces.instant.bases import Base
from heddle.adapters.workspaces.private import Layout
from heddle.adapters.workspaces.private.layout import PINNED
from heddle.ports import Mount, View

OUT = "/heddle/out"
HOOKS = "/heddle/hooks"
CACHES = "/heddle/caches"
MADE = frozenset((*(name.partition("/")[0] for name in PINNED), "objects", "refs", "HEAD", "heddle"))
"""What a git directory has before a session writes to it; `heddle` comes with the first reader."""

KEPT = frozenset(("heddle",))
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class LayerLayout(Layout):
    """Paths of one instant workspace."""

    def __init__(self, root: Path, id: str) -> None:
        super().__init__(root, id)
        self.work = self.path / "work"
        self.work_git = self.path / "work-git"
        self.caches = self.path / "caches"
        self.beneath = self.path / "beneath"
        self.boot = self.path / "boot"

    def make_rooms(self) -> None:
        """All folders but the git directory."""
        super().make_rooms()
        for path in (self.work, self.work_git, self.caches):
            path.mkdir(mode=0o700)

    def make_cache(self, name: str) -> None:
        """The folders of a cache; nothing when they are there."""
        for path in (self.cache(name), self.caches / name / "work"):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def cache(self, name: str) -> Path:
        """Where what is written into a cache goes."""
        return self.caches / name / "upper"

    def cache_names(self) -> list[str]:
        """The caches that it has; none in one that an older Heddle made."""
        return sorted(path.name for path in self.caches.iterdir()) if self.caches.is_dir() else []

    def is_pristine(self, start: str) -> bool:
        """Whether tree and git directory are as they were made for a commit, but for what readers leave behind."""
        try:
            return not os.listdir(self.tree) and self.has_pristine_git(start)
        except OSError:
            return False

    def has_pristine_git(self, start: str) -> bool:
        """Whether the git directory is as it was made for a commit, but for what readers leave behind."""
        try:
            written = set(os.listdir(self.git)) - MADE or set(os.listdir(self.git / "refs")) - KEPT
            head = load_document(self.git, "HEAD", len(start) + 2)
            return not written and head == f"{start}\n".encode()
        except OSError:
            return False

    def note_boot(self) -> None:
        """From now on a crash of the machine may cost what is written: overlays do not wait for the disk."""
        if not self.boot.exists():
            self.boot.write_text(boot())

    def put_on_disk(self) -> None:
        """Have all that was written on disk; what a crash cost stays noted. Call it when no box has it mounted."""
        if self.boot.exists() and self.survived():
            os.sync()
            self.boot.unlink(missing_ok=True)

    def survived(self) -> bool:
        """Whether the machine has run ever since the last write that may not be on disk."""
        return not self.boot.exists() or self.boot.read_text() == boot()


def boot() -> str:
    """Which boot of the machine this is."""
    return _BOOT.read_text().strip() if _BOOT.exists() else ""


def view(
    layout: LayerLayout, key: str, tree: str, base: Base, shared: tuple[str, ...], caches: Mapping[str, Path]
) -> View:
    """What a session sees: its tree where the checkout is, its git directory, the repository's objects, its documents.

    The git directory is a layer too, because all sessions begin with the same index: a link to it would be theirs to
    write into, and what git believes of the files of every other session with it.
    """
    git = f"{tree}/.git"
    mounts = [
        Mount("overlay", tree, lower=tuple(map(str, base.trees)), upper=str(layout.tree), work=str(layout.work)),
        Mount("overlay", git, lower=(str(base.git),), upper=str(layout.git), work=str(layout.work_git)),
    ]
    mounts += [Mount("read", f"{git}/{name}", source=str(layout.git / name)) for name in PINNED]
    mounts += [Mount("read", at, source=source) for at, source in zip(inside(shared), shared, strict=True)]
    mounts += [_cache(layout, name, caches.get(name)) for name in layout.cache_names()]
    mounts.append(Mount("write", OUT, source=str(layout.out)))
    if layout.hooks.exists():
        mounts.append(Mount("read", HOOKS, source=layout.hooks.read_text(errors="surrogateescape"), optional=True))
    return View(key, tuple(mounts), str(layout.home), str(layout.path / "lock"))


def _cache(layout: LayerLayout, name: str, below: Path | None) -> Mount:
    """A cache over what a layer brought, or one that begins empty."""
    at, upper = f"{CACHES}/{name}", str(layout.cache(name))
    if below is None:
        return Mount("write", at, source=upper)
    return Mount("overlay", at, lower=(str(below),), upper=upper, work=str(layout.caches / name / "work"))


def inside(shared: tuple[str, ...]) -> list[str]:
    """Where the repository's object folders are inside."""
    return [f"/heddle/objects/{number}" for number, _ in enumerate(shared)]
