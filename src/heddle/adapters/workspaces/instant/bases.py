"""Base trees: the files of a commit, laid out once, shared by every workspace that starts there.

<root>/<commit>/tree    the files; or of another base what differs, as a layer over that one
               /git     what git directories begin with: an index in which all of them are unchanged
               /below   the commit of that other base, when there is one

Nothing in a base is ever written again. Whoever changes one from outside would have it in every session, and in every
result as if the session had written it, so it is looked over: all of it before it is first used in a daemon's life, and
what a result says of it whenever one is read. A base that was changed is set aside for as long as sessions may work
over it, and laid out anew.

Main moves on with every landing and every validation starts on a commit of its own, so a base is most often a layer:
it costs what changed, not what the repository holds.
"""

import asyncio
import os
import shutil
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from weakref import WeakValueDictionary

from heddle.adapters.workspaces import faults
from heddle.adapters.workspaces.instant.touched import close_up, is_touched, is_untouched
from heddle.ports import Clock, PrivateGits, Repository

KEEP = "refs/heddle/bases/"
GONE, CHANGED = ".gone-", ".changed-"
"""What a base is called that is being deleted, and one that was set aside."""

DEPTH = 4
"""Layers over the lowest tree: each makes the overlay's look-ups a little slower."""

NEAR = 2_000
"""Entries of a layer that are worth one: above that the files are laid out anew."""

CANDIDATES = 8
"""At most so many bases, the newest, are asked how far they are."""


@dataclass(frozen=True, slots=True)
class Base:
    """`trees`: the layers, topmost first; the lowest has an empty folder .git to mount at. `git`: see the module."""

    trees: tuple[Path, ...]
    git: Path

    @property
    def index(self) -> Path:
        """The one file in `git`."""
        return self.git / "index"

    @property
    def layers(self) -> tuple[Path, ...]:
        """The folders of the commits that it is made of, topmost first."""
        return tuple(tree.parent for tree in self.trees)

    @property
    def identity(self) -> str:
        """Tells it from any other that is laid out for the same commit."""
        indexes = [(layer / "git" / "index").lstat() for layer in self.layers]
        return " ".join(f"{index.st_ino}:{index.st_mtime_ns}" for index in indexes)

    @property
    def is_whole(self) -> bool:
        """Whether every part is there."""
        return self.index.is_file() and all(tree.is_dir() for tree in self.trees) and (self.trees[-1] / ".git").is_dir()

    def entry(self, name: str) -> Path | None:
        """Where the layers have what is seen under a name; None when nothing is seen there."""
        for tree in self.trees:
            found = _entry(tree, name.split("/"))
            if found is not None:
                return found or None
        return None

    def find(self, name: str) -> tuple[str, os.stat_result] | None:
        """As `entry`, with its facts and one question a layer, for a name whose folders are known to be no links."""
        for tree in self.trees:
            try:
                path = f"{tree}/{name}"
                about = os.lstat(path)
            except FileNotFoundError:
                continue
            except NotADirectoryError:  # a folder of it is hidden, or a file by now
                return None
            return None if stat.S_ISCHR(about.st_mode) else (path, about)
        return None


class Bases:
    """The base trees of one repository, in `root`: one folder per commit, there whole or not at all."""

    def __init__(self, root: Path, repository: Repository, privates: PrivateGits, clock: Clock) -> None:
        self.root = root
        self.repository, self.privates, self.clock = repository, privates, clock
        self._making: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._placing = asyncio.Lock()
        self._sound: set[str] = set()

    async def ensure(self, commit: str) -> Base:
        """The base of a commit, laid out when it is not there. Whoever comes meanwhile waits for the same one."""
        async with self._making.setdefault(commit, asyncio.Lock()):
            if not (await self._is_sound(commit) and self.of(commit).is_whole):
                await self._lay_out(commit)
            base = self.of(commit)
            for layer in base.layers:
                with suppress(OSError):  # a disk that cannot be written is not swept either
                    os.utime(layer)  # asked for: no sweep takes it
        return base

    async def touched(self, commit: str, paths: Sequence[str]) -> bool:
        """Whether what the base of a commit says of these paths may have been changed from outside."""
        layers = self.of(commit).layers if paths else ()
        return await asyncio.to_thread(lambda: any(is_touched(layer, paths) for layer in layers))

    def doubt(self, commit: str) -> None:
        """Have the base of a commit looked over again when it is asked for next."""
        self._sound.difference_update(layer.name for layer in self.of(commit).layers)

    def of(self, commit: str) -> Base:
        """Where the base of a commit is, or will be."""
        trees, here = [self.root / commit / "tree"], commit
        while (here := self._below(here)) and len(trees) <= DEPTH:
            trees.append(self.root / here / "tree")
        return Base(tuple(trees), self.root / commit / "git")

    async def sweep(self, used: set[str], older_than_s: float) -> None:
        """Delete the bases that no workspace and no other base is made of and that nobody asked for in that long."""
        for name in os.listdir(self.root) if self.root.is_dir() else ():
            path = self.root / name
            if name.startswith((GONE, CHANGED)) and self.clock.now() - path.lstat().st_mtime >= older_than_s:
                await asyncio.to_thread(shutil.rmtree, path)
        for name in sorted(self._known(), key=lambda name: -len(self.of(name).trees)):  # what is carried goes after it
            path = self.root / name
            needed = used.union(map(self._below, self._known()))
            if name in needed or self.clock.now() - path.lstat().st_mtime < older_than_s:
                continue
            gone = self.root / f"{GONE}{name}"
            os.rename(path, gone)
            await self.repository.forget(f"{KEEP}{name}")
            await asyncio.to_thread(shutil.rmtree, gone)

    async def _lay_out(self, commit: str) -> None:
        """Aside, then one rename. What a crash left of an earlier attempt was never visible."""
        await self.repository.keep(f"{KEEP}{commit}", commit)
        below, draft = await self._nearest(commit), self.root / f".new-{commit}"
        await asyncio.to_thread(shutil.rmtree, draft, ignore_errors=True)
        for name in ("tree", "git"):
            (draft / name).mkdir(parents=True)
        faults.step("base-begun")
        if below:
            await self.privates.lay_over(below, self.of(below).index, commit, draft / "tree", draft / "git" / "index")
            (draft / "below").write_text(below)
        else:
            (draft / "tree" / ".git").mkdir()
            await self.privates.lay_out(commit, draft / "tree", draft / "git" / "index")
        close_up(draft)
        faults.step("base-laid-out")
        async with self._placing:
            self._set_aside(commit)
            os.rename(draft, self.root / commit)
            self._sound.add(commit)

    async def _is_sound(self, commit: str) -> bool:
        """Whether no layer was changed from outside; one that was is set aside, and what it carried is not whole."""
        async with self._placing:
            for layer in self.of(commit).layers:
                if layer.name in self._sound or not layer.exists():
                    continue
                if not await asyncio.to_thread(is_untouched, layer):
                    self._set_aside(layer.name)
                    return False
                self._sound.add(layer.name)
        return True

    def _set_aside(self, name: str) -> None:
        """Out of the way with all that it carries, but not away: boxes may have it mounted."""
        self._sound.discard(name)
        for other in self._known():
            if self._below(other) == name:
                self._set_aside(other)
        layer = self.root / name
        with suppress(FileNotFoundError):
            aside = self.root / f"{CHANGED}{name}-{layer.lstat().st_ino}"
            os.rename(layer, aside)
            os.utime(aside)

    async def _nearest(self, commit: str) -> str:
        """The base that a layer for the commit would be smallest over; "" when none is near."""
        known = [(name, self.of(name)) for name in self._known() if name != commit]
        fit = [(name, len(base.trees)) for name, base in known if base.is_whole and len(base.trees) <= DEPTH]
        found = [(await self.privates.distance(name, commit), depth, name) for name, depth in fit[:CANDIDATES]]
        near = [(far, depth, name) for far, depth, name in found if far is not None and far <= NEAR]
        for _, _, name in sorted(near):
            if await self._is_sound(name):
                return name
        return ""

    def _below(self, commit: str) -> str:
        try:
            return (self.root / commit / "below").read_text()
        except OSError:
            return ""

    def _known(self) -> list[str]:
        """Commits that have a folder, the newest first."""
        found = [path for path in self.root.iterdir() if path.name[0] != "."] if self.root.is_dir() else []
        return [path.name for path in sorted(found, key=lambda path: path.lstat().st_mtime, reverse=True)]


def _entry(tree: Path, names: list[str]) -> Path | Literal[False] | None:
    """What one layer has under a name: its path; False when it hides what lies below; None when it says nothing."""
    path = tree
    for number, name in enumerate(names, start=1):
        path = path / name
        try:
            about = path.lstat()
        except FileNotFoundError:
            return None
        if stat.S_ISCHR(about.st_mode):
            return False
        if number < len(names) and not stat.S_ISDIR(about.st_mode):
            return False
    return path
