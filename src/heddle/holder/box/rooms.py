"""The file system of a box, built from a list of places while the host's is still in sight, then made the only one."""

import os
import shutil
import stat
from pathlib import Path
from typing import Any

from heddle.holder.box import kernel

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
MACHINE_WIDE = ("sys", "bus", "fs", "irq", "acpi", "asound", "scsi", "driver", "mtrr", "sysrq-trigger")
TELLING = ("kcore", "keys", "kmsg", "kpagecount", "kpageflags", "latency_stats", "sched_debug", "timer_list")
PID_MAX_IS_LOCAL = (6, 14)
"""Since that kernel, the greatest pid is each namespace's own: it bounds the processes of whoever is not bound by
RLIMIT_NPROC, which the user id 0 is not."""

TMPFS_FLAGS = kernel.MS_NOSUID | kernel.MS_NODEV
_PLACE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


def build(root: str, places: list[dict[str, Any]]) -> None:
    """Make the file system at the folder `root` and move into it.

    A place is a dict with `kind` (read, write, empty, overlay, proc, dev, link), `at` and what that kind needs: see
    ports.Mount; `link` has a `source` that it points to. Raises OSError, ValueError.
    """
    kernel.mount("", "", "/", kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("tmpfs", "heddle", root, TMPFS_FLAGS, "mode=755,size=4m")
    for place in places:
        _KINDS[place["kind"]](root, place)
    kernel.move_root(root)
    kernel.restrict("/", kernel.ATTR_RDONLY, below=False)


def _read(root: str, place: dict[str, Any]) -> None:
    target = _bound(root, place)
    if target:
        kernel.restrict(target, kernel.ATTR_RDONLY | kernel.ATTR_NOSUID | kernel.ATTR_NODEV)


def _write(root: str, place: dict[str, Any]) -> None:
    target = _bound(root, place)
    if target:
        kernel.restrict(target, kernel.ATTR_NOSUID | kernel.ATTR_NODEV)


def _bound(root: str, place: dict[str, Any]) -> str:
    """Bind the source; returns where it is, or "" when it is optional and not there."""
    try:
        source = os.open(place["source"], os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        if place.get("optional"):
            return ""
        raise
    with _Open(source):
        target = spot(root, place["at"], folder=stat.S_ISDIR(os.fstat(source).st_mode), must=not place.get("optional"))
        if target < 0:
            return ""
        with _Open(target):
            kernel.bind(source, target)
    return f"{root}{place['at']}"


def _empty(root: str, place: dict[str, Any]) -> None:
    with _Open(spot(root, place["at"])) as target:
        options = f"mode={place.get('mode', 0o700):o},size={place['size']}"
        kernel.mount("tmpfs", "heddle", f"/proc/self/fd/{target}", TMPFS_FLAGS, options)
    if place.get("sealed"):
        kernel.restrict(root + place["at"], kernel.ATTR_RDONLY)


def _overlay(root: str, place: dict[str, Any]) -> None:
    """Layers are named by descriptors: no path of them needs escaping, and none is looked up twice."""
    upper, work = str(place.get("upper") or ""), str(place.get("work") or "")
    if upper:
        forget_volatile(work)
        require_attributes(upper)
    else:
        layers = f"{root}/.layers{place['at']}"
        os.makedirs(layers)
        kernel.mount("tmpfs", "heddle", layers, TMPFS_FLAGS, f"mode=700,size={place['size']}")
        upper, work = f"{layers}/upper", f"{layers}/work"
        os.mkdir(upper)
        os.mkdir(work)
    opened = [os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for path in (*place["lower"], upper, work)]
    *lower, upper_fd, work_fd = (f"/proc/self/fd/{fd}" for fd in opened)
    options = f"userxattr,volatile,lowerdir={':'.join(lower)},upperdir={upper_fd},workdir={work_fd}"
    try:
        with _Open(spot(root, place["at"])) as target:
            kernel.mount("overlay", "heddle", f"/proc/self/fd/{target}", TMPFS_FLAGS, options)
    finally:
        for fd in opened:
            os.close(fd)


def require_attributes(upper: str) -> None:
    """Raises OSError where the file system keeps no attributes of files: there an overlay can be mounted, and then
    fails at some deletions, in the middle of somebody's work."""
    try:
        os.setxattr(upper, "user.heddle", b"")
        os.removexattr(upper, "user.heddle")
    except OSError as error:
        raise OSError(error.errno, "its file system keeps no attributes of files, as layers need them", upper) from None


def forget_volatile(work: str) -> None:
    """Allow a `volatile` upper folder to be mounted again: the kernel leaves a mark against it."""
    inner = Path(work, "work")
    if inner.is_dir():
        inner.chmod(0o700)  # the kernel leaves it without any right
        shutil.rmtree(inner / "incompat", ignore_errors=True)


def _proc(root: str, place: dict[str, Any]) -> None:
    """The box's own processes. What is the machine's in there obeys the user id 0 without any capability: so it is
    read-only, or covered where even reading tells too much."""
    at = place["at"]
    with _Open(spot(root, at)) as target:
        kernel.mount("proc", "proc", f"/proc/self/fd/{target}", TMPFS_FLAGS | kernel.MS_NOEXEC)
    if kernel.release() >= PID_MAX_IS_LOCAL:
        Path(f"{root}{at}/sys/kernel/pid_max").write_text(str(place["pids"]))
    for name in MACHINE_WIDE:
        _read(root, {"source": f"{root}{at}/{name}", "at": f"{at}/{name}", "optional": True})
    for name in TELLING:
        if os.path.exists(f"{root}{at}/{name}"):
            _read(root, {"source": os.devnull, "at": f"{at}/{name}"})


def _dev(root: str, place: dict[str, Any]) -> None:
    at = place["at"]
    _empty(root, {"at": at, "size": 65536, "mode": 0o755})
    for name in DEVICES:
        _bound(root, {"source": f"/dev/{name}", "at": f"{at}/{name}"})
    with _Open(spot(root, f"{at}/pts")) as target:
        flags = kernel.MS_NOSUID | kernel.MS_NOEXEC
        kernel.mount("devpts", "devpts", f"/proc/self/fd/{target}", flags, "newinstance,ptmxmode=0666,mode=620")
    _empty(root, {"at": f"{at}/shm", "size": place["size"], "mode": 0o1777})
    links = {
        "fd": "/proc/self/fd",
        "stdin": "/proc/self/fd/0",
        "stdout": "/proc/self/fd/1",
        "stderr": "/proc/self/fd/2",
    }
    for name, leads_to in {**links, "ptmx": "pts/ptmx"}.items():
        os.symlink(leads_to, f"{root}{at}/{name}")
    kernel.restrict(root + at, kernel.ATTR_RDONLY, below=False)


def _link(root: str, place: dict[str, Any]) -> None:
    path = Path(root + place["at"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(place["source"])


def spot(root: str, at: str, *, folder: bool = True, must: bool = True) -> int:
    """A descriptor of the place to mount at, made where it is missing.

    The way there is walked name by name: what lies in a layer may have been written by an agent, and none of its
    links is followed. Raises OSError; without `must` the answer is -1 where nothing can be made.
    """
    names = [name for name in at.split("/") if name]
    if ".." in names or not at.startswith("/"):
        raise ValueError(f"'{at}' is no absolute path")
    here = os.open(root, _PLACE | os.O_DIRECTORY)
    for number, name in enumerate(names, start=1):
        with _Open(here):
            is_folder = folder or number < len(names)
            try:
                here = _entry(here, name, folder=is_folder)
            except OSError:
                if must:
                    raise
                return -1
    return here


def _entry(parent: int, name: str, *, folder: bool) -> int:
    flags = _PLACE | (os.O_DIRECTORY if folder else 0)
    try:
        found = os.open(name, flags, dir_fd=parent)
    except FileNotFoundError:
        if folder:
            os.mkdir(name, 0o755, dir_fd=parent)
        else:
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644, dir_fd=parent))
        found = os.open(name, flags, dir_fd=parent)
    if stat.S_ISLNK(os.fstat(found).st_mode):
        os.close(found)
        raise NotADirectoryError(20, "a link is in the way", name)
    return found


class _Open:
    """A descriptor for the length of a block."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __enter__(self) -> int:
        return self.fd

    def __exit__(self, *_: object) -> None:
        if self.fd >= 0:
            os.close(self.fd)


_KINDS = {
    "read": _read,
    "write": _write,
    "empty": _empty,
    "overlay": _overlay,
    "proc": _proc,
    "dev": _dev,
    "link": _link,
}
