"""A control group for a box (cgroups(7)): what all of it may take of memory, and how many processes it may have.

It is made without any helper, or not at all: below our own group where that is ours to divide (delegated to the user, or
all of the hierarchy is the administrator's who we are), in version 2 or 1. A group names the process that made it, so
that one that a killed holder left is found and removed.
"""

import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

PREFIX = "heddle-"
CONTROLLERS = ("memory", "pids")
PATIENCE_S = 5.0
PAUSE_S = 0.005
_ESCAPED = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """Where groups can be made: `folder` by which controllers, and whether by version 2."""

    folder: str
    controllers: tuple[str, ...]
    unified: bool


class Group:
    """One group: a folder, or with version 1 one for each controller."""

    def __init__(self, folders: tuple[str, ...], *, unified: bool) -> None:
        self.folders, self.unified = folders, unified

    def enter(self) -> None:
        """The calling process is in it from now on, with whatever it starts. Raises OSError."""
        for folder in self.folders:
            _write(folder, "cgroup.procs", "0")

    def kill(self) -> None:
        """End all that is in it at once, where the kernel can (version 2, Linux 5.14); else nothing."""
        for folder in self.folders:
            if os.path.exists(os.path.join(folder, "cgroup.kill")):
                with suppress(OSError):
                    _write(folder, "cgroup.kill", "1")

    def remove(self) -> None:
        """Once nothing is in it. What is not left in time goes when the next group is made."""
        deadline = time.monotonic() + PATIENCE_S
        left = list(self.folders)
        while left := [folder for folder in left if not _removed(folder)]:
            if time.monotonic() > deadline:
                return
            time.sleep(PAUSE_S)


def make_group(memory: int, processes: int) -> Group:
    """A group in which nobody is yet; `memory` in bytes, 0: as much as there is. Raises OSError where none can be had."""
    places = _places()
    if not places:
        raise OSError("no control group is ours to divide")
    made = list[str]()
    unified = places[0].unified
    try:
        for place in places:
            _sweep(place.folder)
            folder = os.path.join(place.folder, f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}")
            os.mkdir(folder, 0o755)
            made.append(folder)
            _limit(folder, place, memory, processes)
    except OSError:
        Group(tuple(made), unified=unified).remove()
        raise
    return Group(tuple(made), unified=unified)


def why_none() -> str:
    """Why no group can be made here; "" when one really was, and is gone again."""
    try:
        make_group(1 << 30, 16).remove()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _limit(folder: str, place: Hierarchy, memory: int, processes: int) -> None:
    """What is limited may not go elsewhere: swap counts too, where the kernel counts it."""
    if "pids" in place.controllers:
        _write(folder, "pids.max", str(processes))
    if "memory" in place.controllers and memory:
        _write(folder, "memory.max" if place.unified else "memory.limit_in_bytes", str(memory))
        swap = ("memory.swap.max", "0") if place.unified else ("memory.memsw.limit_in_bytes", str(memory))
        if os.path.exists(os.path.join(folder, swap[0])):
            _write(folder, *swap)


def _places() -> list[Hierarchy]:
    """The places for a group: one of version 2, or one of version 1 for each controller; none where one is lacking."""
    own, mounts = _own_groups(), list(_mounts())
    for point, root, kind, _ in mounts:
        if kind == "cgroup2" and (folder := _folder(point, root, own.get("", ""))):
            while True:
                if _divides(folder):
                    return [Hierarchy(folder, CONTROLLERS, unified=True)]
                if folder == point or not os.access(os.path.dirname(folder), os.W_OK):
                    break
                folder = os.path.dirname(folder)
    found = list[Hierarchy]()
    for controller in CONTROLLERS:
        for point, root, kind, options in mounts:
            if kind == "cgroup" and controller in options:
                folder = _folder(point, root, own.get(controller, ""))
                if folder and os.access(folder, os.W_OK):
                    found.append(Hierarchy(folder, (controller,), unified=False))
                    break
    return found if len(found) == len(CONTROLLERS) else []


def _divides(folder: str) -> bool:
    """Whether groups in it get the controllers: they do already, or it is ours to say so and nobody is right in it."""
    if not os.access(folder, os.W_OK) or not os.access(os.path.join(folder, "cgroup.procs"), os.W_OK):
        return False
    wanted = [name for name in CONTROLLERS if name not in _read(folder, "cgroup.subtree_control").split()]
    if any(name not in _read(folder, "cgroup.controllers").split() for name in wanted):
        return False
    try:
        if wanted:
            _write(folder, "cgroup.subtree_control", " ".join(f"+{name}" for name in wanted))
    except OSError:
        return False
    return True


def _own_groups() -> dict[str, str]:
    """Our own group by controller; that of version 2 has the name ""."""
    found = dict[str, str]()
    for line in _read("/proc/self", "cgroup").splitlines():
        _, names, path = line.split(":", 2)
        found |= dict.fromkeys(names.split(","), path)
    return found


def _mounts() -> Iterator[tuple[str, str, str, list[str]]]:
    """Mount point, root, kind and options of what is mounted of control groups (proc_pid_mountinfo(5))."""
    for line in _read("/proc/self", "mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ")[:3]
        root, point = (_ESCAPED.sub(lambda one: chr(int(one[1], 8)), word) for word in before.split(" ")[3:5])
        if kind in ("cgroup", "cgroup2"):
            yield point, root, kind, options.split(",")


def _folder(point: str, root: str, path: str) -> str:
    """Where a group can be seen; "" when its mount shows another part."""
    if not path.startswith("/") or "/.." in path:
        return ""
    inner = path if root == "/" else path.removeprefix(root) if f"{path}/".startswith(f"{root}/") else None
    return "" if inner is None else os.path.normpath(point + "/" + inner)


def _sweep(folder: str) -> None:
    """Remove what killed holders left there."""
    for name in os.listdir(folder):
        maker = name.removeprefix(PREFIX).partition("-")[0]
        if name.startswith(PREFIX) and maker.isdigit() and not os.path.exists(f"/proc/{maker}"):
            _removed(os.path.join(folder, name))


def _removed(folder: str) -> bool:
    try:
        os.rmdir(folder)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _read(folder: str, name: str) -> str:
    try:
        with open(os.path.join(folder, name)) as file:
            return file.read()
    except OSError:
        return ""


def _write(folder: str, name: str, text: str) -> None:
    fd = os.open(os.path.join(folder, name), os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
