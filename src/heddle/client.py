"""The daemon's client: HTTP over its unix socket by hand, because a status read may not cost an import.

Standard library only, and little of it. Starts the daemon when there is none.
"""

import json
import os
import socket
import sys
from collections.abc import Iterator
from typing import Any

from heddle.core.errors import KINDS, OutsideError, SetupError
from heddle.places import daemon_socket, home

START_S = 20.0
"""How long a daemon may take to answer for the first time."""


def call(method: str, start: bool = True, **params: object) -> dict[str, Any]:
    """Call an API method. Raises the HeddleError that the daemon answers, or SetupError when there is no daemon."""
    answer: dict[str, Any] = json.loads(call_raw(method, start, **params))
    return answer


def call_raw(method: str, start: bool = True, **params: object) -> bytes:
    """The answer as the daemon wrote it."""
    body = json.dumps(params).encode()
    head = f"POST /v1/{method} HTTP/1.1\r\nHost: heddle\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    with _connect(start) as connection:
        connection.sendall(head.encode() + body)
        status, answer = _read(connection)
    if status != 200:
        raise error_of(answer)
    return answer


def follow(after: int = 0, task: str = "") -> Iterator[dict[str, Any]]:
    """Events from a position on, as they come. Ends when the daemon does."""
    with _connect(True) as connection:
        head = f"GET /v1/events/follow?after={after}&task={task} HTTP/1.0\r\nHost: heddle\r\n\r\n"
        connection.sendall(head.encode())
        with connection.makefile("rb") as lines:
            for line in lines:
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])


def is_running() -> bool:
    """Whether a daemon answers."""
    try:
        _open().close()
    except OSError:
        return False
    return True


def error_of(answer: bytes) -> Exception:
    """The error in an answer of the daemon."""
    try:
        told = json.loads(answer)["error"]
        kind = KINDS[told["kind"]]
        return kind(told["message"], slug=told["slug"], hint=told["hint"], **told["facts"])
    except (ValueError, KeyError, TypeError):
        return OutsideError("the daemon gave no answer that makes sense", slug="daemon-garbled", hint="see: heddle doctor")


def start_daemon(*, keep_aside: bool = False) -> None:
    """Start the daemon and wait until it answers. Raises SetupError(slug="daemon-failed") or what it failed with."""
    import subprocess
    import time

    path = home()
    os.makedirs(path, mode=0o700, exist_ok=True)
    log = os.path.join(path, "daemon.log")
    command = [sys.executable, "-m", "heddle.server", *(["--keep-aside"] if keep_aside else [])]
    with open(log, "ab") as file:
        began = file.tell()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True, cwd="/"
        )
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if is_running():
            return
        if process.poll() not in (None, 0):
            raise _start_error(log, began)
        time.sleep(0.02)
    raise SetupError("the daemon does not answer", slug="daemon-failed", hint=f"its log is '{log}'")


def _start_error(log: str, began: int) -> Exception:
    with open(log, "rb") as file:
        file.seek(began)
        lines = file.read().strip().splitlines()
    if lines and lines[-1].startswith(b'{"error"'):
        return error_of(lines[-1])
    tail = lines[-1].decode(errors="replace") if lines else "no word"
    return SetupError(f"the daemon did not start: {tail}", slug="daemon-failed", hint=f"its log is '{log}'")


def _connect(start: bool) -> socket.socket:
    try:
        return _open()
    except OSError:
        if not start:
            raise SetupError(
                "no daemon is running", slug="no-daemon", hint="start it with: heddle daemon start"
            ) from None
    start_daemon()
    return _open()


def _open() -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(daemon_socket())
    except OSError:
        connection.close()
        raise
    return connection


def _read(connection: socket.socket) -> tuple[int, bytes]:
    data = bytearray()
    while block := connection.recv(262_144):
        data += block
    head, _, body = bytes(data).partition(b"\r\n\r\n")
    if not head:
        raise OutsideError("the daemon closed the line", slug="daemon-gone", hint="try again; it starts by itself")
    if b"transfer-encoding: chunked" in head.lower():
        body = _unchunk(body)
    return int(head.split(b" ", 2)[1]), body


def _unchunk(body: bytes) -> bytes:
    whole = bytearray()
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        whole += rest[:length]
        body = rest[length + 2 :]
    return bytes(whole)
