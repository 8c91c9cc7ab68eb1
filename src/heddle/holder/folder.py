"""The folder of one held process: everything that a daemon needs to find it again.

    spec.json     what to run (written before the start)     transcript    standard output, raw, only appended
    lock          flocked for as long as the holder lives    errors        standard error, the first 4 MiB
    started.json  who runs: pids, start ticks, boot          inputs.jsonl  every message, logged before it is written
    exit.json     how it ended, renamed into place
"""

import fcntl
import json
import os
from pathlib import Path
from typing import Any

VERSION = 1
MARKER = "HEDDLE_SESSION"
"""The environment variable by which a session's processes are told from all others."""


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

    def load(self, file: Path) -> dict[str, Any] | None:
        """A JSON file of the folder, or None when it is absent or half a file."""
        try:
            value = json.loads(file.read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return value if isinstance(value, dict) else None

    def write(self, file: Path, value: dict[str, Any]) -> None:
        """Put a JSON file into place by rename, on disk before it has its name."""
        temporary = file.with_name(f".{file.name}.{os.getpid()}")
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, json.dumps(value).encode())
            os.fsync(fd)
        finally:
            os.close(fd)
        os.replace(temporary, file)

    def take_lock(self) -> int | None:
        """The descriptor that holds the folder's lock, or None when somebody else does."""
        fd = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            return None
        return fd

    def settle(self, why: str, detail: str) -> dict[str, Any]:
        """Write how it ended when nobody else will; the first answer stands."""
        known = self.load(self.exit)
        if known is not None:
            return known
        ended = {"code": None, "signal": None, "why": why, "detail": detail}
        self.write(self.exit, ended)
        return ended
