"""Base trees: the files of a commit, laid out once, shared by every workspace that starts there."""

import asyncio
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakValueDictionary

from heddle.adapters.workspaces import faults
from heddle.ports import Clock, PrivateGits, Repository

KEEP = "refs/heddle/bases/"


@dataclass(frozen=True, slots=True)
class Base:
    """`tree`: the files, and an empty folder .git to mount at. `index`: an index in which they are unchanged."""

    tree: Path
    index: Path


class Bases:
    """The base trees of one repository, in `root`: one folder per commit, there whole or not at all."""

    def __init__(self, root: Path, repository: Repository, privates: PrivateGits, clock: Clock) -> None:
        self.root = root
        self.repository, self.privates, self.clock = repository, privates, clock
        self._making: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def ensure(self, commit: str) -> Base:
        """The base of a commit, laid out when it is not there. Whoever comes meanwhile waits for the same one."""
        base = self.of(commit)
        async with self._making.setdefault(commit, asyncio.Lock()):
            if not self._is_whole(base):
                await self._lay_out(commit, base)
        return base

    def of(self, commit: str) -> Base:
        """Where the base of a commit is, or will be."""
        return Base(self.root / commit / "tree", self.root / commit / "index")

    async def sweep(self, used: set[str], older_than_s: float) -> None:
        """Delete the bases that no workspace is made of and that nobody asked for in that long."""
        for path in sorted(self.root.iterdir()) if self.root.is_dir() else ():
            if path.name in used or self.clock.now() - path.lstat().st_mtime < older_than_s:
                continue
            gone = self.root / f".gone-{path.name}"
            os.rename(path, gone)
            await self.repository.forget(f"{KEEP}{path.name}")
            await asyncio.to_thread(shutil.rmtree, gone)

    async def _lay_out(self, commit: str, base: Base) -> None:
        """Aside, then one rename. What a crash left of an earlier attempt was never visible."""
        await self.repository.keep(f"{KEEP}{commit}", commit)
        draft = self.root / f".new-{commit}"
        await asyncio.to_thread(shutil.rmtree, draft, ignore_errors=True)
        (draft / "tree" / ".git").mkdir(parents=True)
        faults.step("base-begun")
        await self.privates.lay_out(commit, draft / "tree", draft / "index")
        faults.step("base-laid-out")
        if base.tree.parent.exists():
            await asyncio.to_thread(shutil.rmtree, base.tree.parent)
        os.rename(draft, base.tree.parent)

    def _is_whole(self, base: Base) -> bool:
        """Whether both parts are there; a hard link more or less is no matter."""
        return base.index.is_file() and (base.tree / ".git").is_dir()
