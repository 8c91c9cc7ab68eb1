"""Whether this machine can confine a process without namespaces: one is really confined, on the disk that counts."""

import json
import os
import select
import socket
import tempfile
from pathlib import Path
from typing import Any, NoReturn

from heddle.holder import landlock
from heddle.holder.confined import enclose, listener_of
from heddle.holder.sockets import serve_sockets

ANY_PORT = 1


def trial(folder: str) -> dict[str, Any]:
    """The `version` of Landlock here (0: none), and `why` a process cannot be confined; "" when it can."""
    told_read, told_write = os.pipe()
    here, there = socket.socketpair()
    with tempfile.TemporaryDirectory(dir=folder) as name, here:
        pid = os.fork()
        if pid == 0:
            _confine_and_tell(Path(name), there, told_write)
        os.close(told_write)
        there.close()
        with os.fdopen(told_read, "rb") as told:
            requests = listener_of(here)
            while requests >= 0 and not select.select([told], [], [], 0.01)[0]:
                serve_sockets(requests)
            said = told.read()
        os.waitpid(pid, 0)
    result: dict[str, Any] = json.loads(said) if said else {"version": 0, "why": "the trial ended without an answer"}
    return result


def _confine_and_tell(place: Path, there: socket.socket, told: int) -> NoReturn:
    version, why = 0, ""
    try:
        version = landlock.abi()
        inside, outside = place / "inside", place / "outside"
        inside.mkdir()
        outside.touch()
        plan = {"rules": [("write", str(inside))], "ports": [], "limits": {}, "tasks": 1 << 20}
        enclose(plan, [ANY_PORT] if version >= landlock.PORTS else [], there)
        (inside / "file").touch()
        why = _what_is_open(outside, version)
    except OSError as error:
        why = error.strerror or str(error)
    os.write(told, json.dumps({"version": version, "why": why}).encode())
    os._exit(0)


def _what_is_open(outside: Path, version: int) -> str:
    """What a confined process can still do and must not. Raises OSError for what it must be able to do."""
    if _opens(outside):
        return "a file outside could be opened"
    if version >= landlock.PORTS:
        with socket.socket() as made:
            if made.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(b"\0") != b"lo":
                return "a socket is not tied to the loopback"
    return ""


def _opens(path: Path) -> bool:
    try:
        path.open("rb").close()
    except PermissionError:
        return False
    return True
