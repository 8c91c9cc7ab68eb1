"""Where processes are: held processes by their keys, and others by their working directory (W4)."""

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path
from weakref import WeakValueDictionary

from heddle.adapters.workspaces.folder import Folder
from heddle.core.errors import UserError
from heddle.ports import Held, Sandbox

TRIES = 3
"""How often a removal looks again when the workspace changed while its work was being kept."""


class Presence:
    """Who entered which workspace, and its locks."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._reading: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._entered: dict[str, set[str]] = {}

    def lock(self, id: str) -> asyncio.Lock:
        """Held by what must not happen to one workspace side by side: entering, sealing, making and removing it."""
        return self._locks.setdefault(id, asyncio.Lock())

    def reading(self, id: str) -> asyncio.Lock:
        """Held by whoever has the content of one workspace written down and takes it over."""
        return self._reading.setdefault(id, asyncio.Lock())

    def entered(self, folder: Folder) -> set[str]:
        """Keys of all processes that entered, also when the agent deleted what was written down about them."""
        return self._entered.setdefault(folder.id, set()).union(folder.entered())

    def remember(self, folder: Folder, key: str) -> None:
        """Write down that the process of `key` enters."""
        self._entered.setdefault(folder.id, set()).add(key)
        folder.enter(key)


async def live(sandbox: Sandbox, keys: Iterable[str]) -> list[Held]:
    """The processes among `keys` that have not ended."""
    found = [await sandbox.find(key) for key in keys]
    return [held for held in found if held is not None and held.ended() is None]


def inhabitant(folder: Path) -> int:
    """A process whose working directory lies in the folder, or 0. Where there is no /proc nothing is found."""
    inside = os.path.realpath(folder)
    try:
        pids = [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return 0
    for pid in pids:
        try:
            cwd = os.readlink(f"/proc/{pid}/cwd")
        except OSError:
            continue
        if cwd == inside or cwd.startswith(inside + os.sep):
            return int(pid)
    return 0


def within(tree: str, cwd: str) -> str:
    """A working directory told relative to the tree. Raises UserError(slug="bad-folder") for one outside."""
    path = os.path.normpath(os.path.join(tree, cwd))
    if path != tree and not path.startswith(tree + os.sep):
        raise UserError(f"'{cwd}' is not inside the tree", slug="bad-folder", hint="name a folder of the repository")
    return path
