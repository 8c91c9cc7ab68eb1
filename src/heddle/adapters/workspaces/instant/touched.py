"""Whether somebody changed a base from outside.

Nothing in a base is written again once its index has got its last time. So whatever has a later change time (which
nobody sets, as they do other times) was written, replaced, renamed or deleted, a deletion being a change of its folder.
A layer is the folder of one commit: see bases.
"""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

INDEX = "git/index"
"""What is written last to a base."""


def close_up(layer: Path) -> None:
    """From now on every change in it shows."""
    os.utime(layer / INDEX)


def is_untouched(layer: Path, parts: Iterable[str] = ("tree",), by: str = INDEX) -> bool:
    """Whether all of its parts are as they were when the file `by` got its time. O(files): an lstat each."""
    try:
        since, pending = _closed_up(layer, by), [str(layer / part) for part in parts]
        if any(os.lstat(path).st_ctime_ns > since for path in pending):
            return False
        while pending:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    about = entry.stat(follow_symlinks=False)
                    if about.st_ctime_ns > since:
                        return False
                    if stat.S_ISDIR(about.st_mode):
                        pending.append(entry.path)
    except OSError:
        return False
    return True


def is_touched(layer: Path, paths: Iterable[str]) -> bool:
    """Whether what it says of any of these paths may be another thing than when it was laid out. O(paths)."""
    try:
        since = _closed_up(layer)
    except OSError:
        return True
    known: dict[str, bool] = {}
    for path in paths:
        here = str(layer / "tree")
        for name in ("", *path.split("/")):
            here = os.path.join(here, name) if name else here
            if here not in known:
                try:
                    known[here] = os.lstat(here).st_ctime_ns > since
                except OSError:
                    break  # not there: had somebody deleted it, its folder would tell
            if known[here]:
                return True
    return not os.path.isdir(layer / "tree")


def _closed_up(layer: Path, by: str = INDEX) -> int:
    return (layer / by).lstat().st_mtime_ns
