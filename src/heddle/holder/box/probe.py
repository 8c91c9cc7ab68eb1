"""What this machine can do for a box: each step is really taken, in a process of its own, on the disk that counts."""

import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from heddle.holder.box import filter, kernel

Steps = dict[str, Callable[[], object]]


def probe(folder: str) -> dict[str, str]:
    """Every step of making a box on the disk of `folder`: "" when it works, else why not, and nothing beyond that."""
    told_read, told_write = os.pipe()
    with tempfile.TemporaryDirectory(dir=folder) as name:
        place = Path(name)
        pid = os.fork()
        if pid == 0:
            os.close(told_read)
            _tell(told_write, {}, _outer(place), _inner(place))
        os.close(told_write)
        with os.fdopen(told_read, "rb") as told:
            said = told.read()
        os.waitpid(pid, 0)
        inner = place / "work" / "work"
        if inner.is_dir():
            inner.chmod(0o700)
    results: dict[str, str] = json.loads(said) if said else {"namespaces": "the probe ended without an answer"}
    return results


def _tell(told: int, results: dict[str, str], steps: Steps, further: Steps | None = None) -> NoReturn:
    """Take the steps until one fails; what comes after them happens in the first process of the new pid namespace."""
    for name, step in steps.items():
        try:
            step()
        except OSError as error:
            results[name] = error.strerror or str(error)
            break
        results[name] = ""
    else:
        if further is not None:
            pid = os.fork()
            if pid == 0:
                _tell(told, results, further)
            os.waitpid(pid, 0)
            os._exit(0)
    os.write(told, json.dumps(results).encode())
    os._exit(0)


def _outer(place: Path) -> Steps:
    uid, gid = os.getuid(), os.getgid()
    return {
        "namespaces": lambda: kernel.unshare(kernel.NEW_ALL),
        "own ids": lambda: kernel.map_own_ids(uid, gid),
        "mounts": lambda: kernel.mount("", "", "/", kernel.MS_REC | kernel.MS_PRIVATE),
        "overlay": lambda: _overlay(place),
        "read-only mounts": lambda: kernel.restrict(str(place / "merged"), kernel.ATTR_RDONLY),
        "loopback": kernel.raise_loopback,
    }


def _inner(place: Path) -> Steps:
    return {
        "processes": lambda: kernel.mount("proc", "proc", str(place / "proc"), kernel.MS_NOSUID),
        "capabilities": kernel.drop_capabilities,
        "seccomp": lambda: kernel.install_filter(filter.program()),
    }


def _overlay(place: Path) -> None:
    for name in ("lower", "upper", "work", "merged", "proc"):
        (place / name).mkdir()
    (place / "lower" / "gone").mkdir()
    options = f"userxattr,volatile,lowerdir={place}/lower,upperdir={place}/upper,workdir={place}/work"
    kernel.mount("overlay", "heddle", str(place / "merged"), 0, options)
    (place / "merged" / "gone").rmdir()  # needs what an overlay writes down about a deletion
    (place / "merged" / "gone").mkdir()


if __name__ == "__main__":
    sys.stdout.write(json.dumps(probe(sys.argv[1])))
