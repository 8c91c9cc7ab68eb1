"""The daemon's client: HTTP over its unix socket by hand, because a status read may not cost an import.

Standard library only, and little of it. Starts the daemon when there is none.
"""

import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from heddle.core.errors import KINDS, HeddleError, OutsideError, Refused, SetupError
from heddle.places import daemon_socket, home

START_S = 20.0
"""How long a daemon may take to answer for the first time."""

SILENCE_S = 120.0
"""Longer than any method takes; the stream of events shows a sign of life every 15 s."""


def call(method: str, start: bool = True, **params: object) -> dict[str, Any]:
    """Call an API method. Raises the HeddleError that the daemon answers, or SetupError when there is no daemon."""
    answer: dict[str, Any] = json.loads(call_raw(method, start, **params))
    return answer


def call_raw(method: str, start: bool = True, **params: object) -> bytes:
    """The answer as the daemon wrote it."""
    body = json.dumps(params).encode()
    head = f"POST /v1/{method} HTTP/1.1\r\nHost: heddle\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    with _connect(start) as connection, _line():
        connection.sendall(head.encode() + body)
        status, answer = _read(connection)
    if status != 200:
        raise error_of(answer)
    return answer


def follow(after: int = 0, task: str = "") -> Iterator[dict[str, Any]]:
    """Events from a position on, as they come. Raises OutsideError(slug="daemon-gone") when the daemon ends."""
    with _connect(True) as connection:
        head = f"GET /v1/events/follow?after={after}&task={task} HTTP/1.0\r\nHost: heddle\r\n\r\n"
        with _line():
            connection.sendall(head.encode())
        with connection.makefile("rb") as lines:
            while True:
                with _line():
                    line = lines.readline()
                if not line:
                    raise _gone()
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])


def is_running() -> bool:
    """Whether a daemon answers."""
    try:
        _open().close()
    except OSError:
        return False
    return True


def is_claimed() -> bool:
    """Whether a daemon lives, answering or not: it holds the lock on the state folder as long as it does."""
    import fcntl

    try:
        lock = os.open(os.path.join(home(), "daemon.lock"), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False


def error_of(answer: bytes) -> HeddleError:
    """The error in an answer of the daemon."""
    try:
        told = json.loads(answer)["error"]
        kind = KINDS[told["kind"]]
        return kind(told["message"], slug=told["slug"], hint=told["hint"], **told["facts"])
    except (ValueError, KeyError, TypeError):
        return OutsideError(
            "the daemon gave no answer that makes sense", slug="daemon-garbled", hint="see: heddle doctor"
        )


def start_daemon(*, keep_aside: bool = False) -> None:
    """Start the daemon and wait until it answers. Raises SetupError(slug="daemon-failed") or what it failed with."""
    import time

    path = home()
    log = os.path.join(path, "daemon.log")
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        opened = open(log, "ab", opener=_private)  # noqa: SIM115
    except OSError as error:
        hint = "set HEDDLE_HOME to a folder that can be written"
        raise SetupError(f"no state folder '{path}': {error.strerror}", slug="no-home", hint=hint) from error
    with opened as file:
        began = file.tell()
        process = _spawn(file.fileno(), keep_aside)
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if is_running():
                return
            if process.poll() not in (None, 0):
                raise _start_error(log, began)
            if process.returncode == 0 and not is_claimed():  # it gave way to one that has ended since
                process = _spawn(file.fileno(), keep_aside)
            time.sleep(0.02)
    raise SetupError("the daemon does not answer", slug="daemon-failed", hint=f"its log is '{log}'")


def run_editor(editor: str, path: str) -> None:
    """Let the person edit a file. Raises OutsideError(slug="editor-failed")."""
    import shlex
    import subprocess

    try:
        status = subprocess.call([*shlex.split(editor), path])
    except (OSError, ValueError) as error:
        status, why = -1, str(error)
    else:
        why = f"it ended with status {status}"
    if status:
        hint = f"the text is in '{path}'"
        raise OutsideError(f"the editor '{editor}' failed: {why}", slug="editor-failed", hint=hint, program=editor)


def open_browser(url: str) -> None:
    """Show an address in the person's browser. Raises OutsideError(slug="no-browser")."""
    import webbrowser

    try:
        opened = webbrowser.open(url)
    except webbrowser.Error:
        opened = False
    if not opened:
        raise OutsideError(f"no browser could be started for {url}", slug="no-browser", hint=f"open {url} yourself")


def become(argv: list[str]) -> NoReturn:
    """Be that program from now on, on our own streams. Raises OutsideError(slug="program-failed")."""
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execv(argv[0], argv)
    except OSError as error:
        raise _program_failed(argv[0], error) from error


def run_captured(argv: list[str]) -> tuple[int, bytes, bytes]:
    """Run a program to its end on our standard input: its exit status and what it wrote.

    Raises OutsideError(slug="program-failed").
    """
    import subprocess

    try:
        done = subprocess.run(argv, capture_output=True, check=False)
    except OSError as error:
        raise _program_failed(argv[0], error) from error
    return done.returncode, done.stdout, done.stderr


def _program_failed(program: str, error: OSError) -> OutsideError:
    return OutsideError(
        f"'{program}' cannot be run: {error.strerror}",
        slug="program-failed",
        hint="see: heddle doctor",
        program=program,
    )


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _spawn(log: int, keep_aside: bool) -> Any:
    from subprocess import DEVNULL, Popen

    # `-P`: what lies in a working folder is never imported; the folder is `/` so that none is held
    command = [sys.executable, "-P", "-m", "heddle.server", *(["--keep-aside"] if keep_aside else [])]
    named = {name: os.environ[name] for name in ("HEDDLE_HOME", "HEDDLE_RUNTIME_DIR") if os.environ.get(name)}
    env = os.environ | {name: os.path.abspath(value) for name, value in named.items()}
    return Popen(command, stdin=DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/", env=env)


def _start_error(log: str, began: int) -> HeddleError:
    with open(log, "rb") as file:
        file.seek(began)
        lines = file.read().strip().splitlines()
    if lines and lines[-1].startswith(b'{"error"'):
        return error_of(lines[-1])
    tail = lines[-1].decode(errors="replace") if lines else "no word"
    return SetupError(f"the daemon did not start: {tail}", slug="daemon-failed", hint=f"its log is '{log}'")


def _connect(start: bool) -> socket.socket:
    if "HEDDLE_SESSION" in os.environ:  # no enforcement at tier 0, but an agent that asks by the front door is told no
        raise Refused(
            "a session may not ask the daemon: decisions are the person's",
            slug="inside-session",
            hint="leave the question in the handoff; the person sees it",
        )
    try:
        return _open()
    except OSError:
        if not start:
            raise SetupError(
                "no daemon is running", slug="no-daemon", hint="start it with: heddle daemon start"
            ) from None
    start_daemon()
    with _line():
        return _open()


def _open() -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(SILENCE_S)
        connection.connect(daemon_socket())
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def _line() -> Iterator[None]:
    """What goes wrong between us and the daemon, as an error that says so."""
    try:
        yield
    except TimeoutError as error:
        raise OutsideError(
            f"the daemon was silent for {SILENCE_S:.0f} s",
            slug="daemon-silent",
            hint="see: heddle daemon status",
        ) from error
    except OSError as error:
        raise _gone() from error


def _gone() -> OutsideError:
    return OutsideError(
        "the daemon ended before it had answered; what was asked may have happened",
        slug="daemon-gone",
        hint="look, it starts again by itself: heddle status",
    )


def _read(connection: socket.socket) -> tuple[int, bytes]:
    data = bytearray()
    while block := connection.recv(262_144):
        data += block
    head, end, body = bytes(data).partition(b"\r\n\r\n")
    told = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
    if not end or len(body) != int(told.get(b"content-length", -1)):
        raise _gone()
    return int(head.split(b" ", 2)[1]), body
