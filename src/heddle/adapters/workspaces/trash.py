"""The trash: removed workspaces lie here for a while, each with its marker, and go only when that still holds (W3)."""

import asyncio
import os
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from heddle.adapters.workspaces.folder import MARKER, Folder, Marker, load_marker
from heddle.core.errors import Refused


@dataclass(frozen=True, slots=True)
class Trashed:
    """A removed workspace. `since`: when it came, Unix seconds."""

    path: Path
    marker: Marker
    since: float


def put_away(folder: Folder, marker: Marker, trash: Path, now: float) -> Path:
    """Rename a workspace into the trash; returns where it is.

    What was moved is looked at again: when something else had taken its place at the last moment, it goes back.
    Raises Refused(slug="not-ours") then, and OSError when it cannot be renamed.
    """
    trash.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = trash / f"{folder.id}-{now:.6f}-{marker.inode}"
    os.rename(folder.path, target)
    if not _is_that(target, marker):
        if not os.path.lexists(folder.path):
            os.rename(target, folder.path)
        raise Refused(
            f"what lies at '{folder.path}' is not workspace '{folder.id}'",
            slug="not-ours",
            hint="look at what is there; nothing of it was removed",
        )
    return target


def trashed(trash: Path) -> Iterator[Trashed]:
    """What lies in the trash and is provably a removed workspace; anything else is passed over."""
    for path in sorted(trash.iterdir()) if trash.is_dir() else ():
        marker = None if path.is_symlink() else load_marker(path / MARKER)
        with suppress(ValueError):
            id, since, _ = path.name.rsplit("-", 2)
            if marker is not None and marker.id == id and (_is_that(path, marker) or os.listdir(path) == [MARKER]):
                yield Trashed(path, marker, float(since))


async def delete(path: Path) -> None:
    """Delete a removed workspace while nothing else wants the disk; its marker goes last, so it can be done again."""
    pool = ThreadPoolExecutor(1, initializer=_step_back)
    try:
        await asyncio.get_running_loop().run_in_executor(pool, _delete, path)
    finally:
        pool.shutdown(wait=False)


def _is_that(path: Path, marker: Marker) -> bool:
    """Whether the tree in `path` is the very directory that the marker tells of."""
    with suppress(OSError):
        about = (path / "tree").lstat()
        return not path.is_symlink() and (about.st_dev, about.st_ino) == (marker.device, marker.inode)
    return False


def _delete(path: Path) -> None:
    for entry in sorted(path.iterdir(), key=lambda entry: entry.name == "tree"):
        if entry.name == MARKER:
            continue
        if entry.is_dir() and not entry.is_symlink():
            delete_tree(entry)
        else:
            entry.unlink()
    (path / MARKER).unlink()
    path.rmdir()


def delete_tree(folder: Path) -> None:
    """Delete a folder, also where directories in it are read-only, as package caches have them."""
    for parent, names, _ in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if not path.is_symlink():
                path.chmod(0o700)
    shutil.rmtree(folder)


def _step_back() -> None:
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
