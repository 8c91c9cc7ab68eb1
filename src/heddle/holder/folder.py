"""The folder of one held process: everything that a daemon needs to find it again.

- spec.json: what to run (placed once, before the start)
- lock: flocked for as long as the holder lives
- started.json: the intent to start, on disk before the fork
- transcript: standard output, raw, only appended
- errors: standard error, the first 4 MiB
- inputs.jsonl: every message, logged before it is written
- exit.json: how it ended, renamed into place
"""

import errno
import fcntl
import json
import os
import threading
from pathlib import Path
from typing import Any

VERSION = 1
SESSION = "HEDDLE_SESSION"
"""The environment variable that tells a held process its key."""
MARKER = "HEDDLE_HOLDER"
"""The environment variable by which a session's processes are told from all others: a chance value per folder,
because two installations of one user may use the same keys."""

ROOM = 4096
"""Bytes taken on disk at the start for the exit."""


class Folder:
    """Paths and small atomic files of one held process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spec = path / "spec.json"
        self.lock = path / "lock"
        self.started = path / "started.json"
        self.transcript = path / "transcript"
        self.errors = path / "errors"
        self.inputs = path / "inputs.jsonl"
        self.exit = path / "exit.json"
        self.room = path / "exit.room"

    def load(self, file: Path) -> dict[str, Any] | None:
        """A JSON file of the folder, or None when it is absent or half a file."""
        try:
            value = json.loads(file.read_bytes())
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None
        return value if isinstance(value, dict) else None

    def place(self, file: Path, value: dict[str, Any]) -> None:
        """Put a JSON file into place unless one is there: whole, on disk, and the first one stays. Raises OSError."""
        temporary = file.with_name(f".{file.name}.{threading.get_native_id()}")
        try:
            _fill(temporary, json.dumps(value).encode(), os.O_TRUNC)
            os.link(temporary, file)
        except FileExistsError:
            pass
        finally:
            temporary.unlink(missing_ok=True)
        self._keep_names()

    def reserve(self) -> None:
        """Take the room for the exit, so that a full disk cannot hide an end. Raises OSError when there is none."""
        if not _allocated(self.room, ROOM):
            _fill(self.room, b" " * ROOM, os.O_TRUNC)

    def settle(self, ended: dict[str, Any]) -> dict[str, Any]:
        """Write how it ended, under the lock; the first answer stands and is returned. Raises OSError."""
        known = self.load(self.exit)
        if known is not None:
            return known
        _fill(self.room, json.dumps(ended).encode().ljust(ROOM))
        os.replace(self.room, self.exit)
        self._keep_names()
        return ended

    def take_lock(self) -> int | None:
        """The descriptor that holds the folder's lock, or None when somebody else does."""
        fd = os.open(self.lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            return None
        return fd

    def _keep_names(self) -> None:
        fd = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def ending(why: str, detail: str, code: int | None = None, signal: int | None = None) -> dict[str, Any]:
    """The content of exit.json; the detail is cut so that it fits into its room."""
    return {"code": code, "signal": signal, "why": why, "detail": detail[:500]}


def write_all(fd: int, data: bytes) -> tuple[int, str]:
    """Write what can be written: how many bytes, and the system's reason when that was not all."""
    written = 0
    try:
        while written < len(data):
            written += os.write(fd, data[written:])
    except OSError as error:
        return written, error.strerror or str(error)
    return written, ""


def _allocated(path: Path, size: int) -> bool:
    """Take room on disk without waiting for it; False where only writing takes room. Raises OSError when there is none."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.posix_fallocate(fd, 0, size)
    except (AttributeError, OSError) as error:  # some systems, and some of their file systems, do not know how
        if isinstance(error, OSError) and error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            raise
        return False
    finally:
        os.close(fd)
    return True


def _fill(path: Path, data: bytes, flags: int = 0) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | flags, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.fsync(fd)
    finally:
        os.close(fd)
