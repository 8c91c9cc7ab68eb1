"""How much room this machine has for one more session, measured when it is asked for (X3)."""

import os
from pathlib import Path

from heddle.core.extent import Disk, Extent

MB = 1024 * 1024
_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


class Headroom:
    """The engine's Room: what is available beyond what is kept free; the disk is the one of `folder`."""

    def __init__(self, folder: Path, *, keep_memory_mb: int, keep_disk_mb: int) -> None:
        self._folder, self._keep_memory_mb, self._keep_disk_mb = folder, keep_memory_mb, keep_disk_mb

    def missing(self, memory_mb: int) -> str:
        """Why there is no room for a process of that size; "" when there is. What cannot be measured counts as room."""
        disk = disk_mb(self._folder)
        if disk is not None and disk < self._keep_disk_mb:
            return f"the disk has {disk} MB left and {self._keep_disk_mb} MB are kept free"
        free = memory_mb_available()
        if free is not None and free < memory_mb + self._keep_memory_mb:
            return f"memory for it is missing: {memory_mb} MB, {free} MB are available, {self._keep_memory_mb} MB are kept free"
        return ""

    def disk(self) -> Disk | None:
        """What an ordinary user may still write to the disk, and what of it is kept free; None when it cannot be told."""
        left = disk_left(self._folder)
        return None if left is None else Disk(left, self._keep_disk_mb * MB)


def memory_mb_available() -> int | None:
    """What programs can still take without swapping: the machine's, or less where a control group says so."""
    figures = [figure for figure in (_machine_bytes(), _group_bytes()) if figure is not None]
    return min(figures) // MB if figures else None


def disk_mb(folder: Path) -> int | None:
    """What an ordinary user may still write to the disk of a folder."""
    left = disk_left(folder)
    return None if left is None else left.bytes // MB


def disk_left(folder: Path) -> Extent | None:
    """The same in bytes and files."""
    try:
        about = os.statvfs(folder)
    except OSError:
        return None
    return Extent(about.f_bavail * about.f_frsize, about.f_favail)


def _machine_bytes() -> int | None:
    try:
        lines = _MEMINFO.read_text().splitlines()
    except OSError:
        return None
    found = next((line.split()[1] for line in lines if line.startswith("MemAvailable:")), "")
    return int(found) * 1024 if found.isdigit() else None


def _group_bytes() -> int | None:
    """The tightest limit from our control group up to the root. Files in the page cache count as used there: they are
    added again, because the kernel drops them first."""
    try:
        own = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    path = next((line.removeprefix("0::/") for line in own if line.startswith("0::/")), "")
    left: list[int] = []
    for folder in (_CGROUP / path, *(_CGROUP / path).parents):
        limit, used = _number(folder / "memory.max"), _number(folder / "memory.current")
        if limit is not None and used is not None:
            left.append(limit - used + _droppable(folder / "memory.stat"))
        if folder == _CGROUP:
            break
    return max(0, min(left)) if left else None


def _droppable(path: Path) -> int:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("inactive_file ")), 0)


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
