"""The visitor's end of a door: a program on the person's own streams, which never go through it.

A process inside could open whatever descriptor it is handed a second time, and with other rights: it could write to a
file that it was given to read, and type into the person's terminal. So it gets pipes, or a terminal of its own, and
what passes is carried across here. Standard library only; started in isolation by the command line of `Held.door`.
"""

import os
import select
import selectors
import signal
import socket
import termios
import time
import tty
from contextlib import suppress
from typing import Any

from heddle.holder.box.frames import receive, tell
from heddle.holder.terminal import modes_of

CLOSED = 7
"""The exit status when nobody is behind the door, or when its holder was lost."""

PASSED_ON = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
BLOCK = 65_536
FULL = 1 << 20
"""Bytes that wait for the process; while there are more, nothing is read for it."""

DRAIN_S = 1.0
"""How long the last words of a process that has ended may take to come."""

CALM = b"\x1b7\x1b[?1049l\x1b8\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?1l\x1b>\x1b[?25h\x1b[m"
"""What a full-screen program that is ended has no time to say: back to the plain screen, mouse and keys as usual."""


def visit(path: str, farewell: str) -> int:
    """Go through the door at `path` and stay until the process ends; the exit status is the process's.

    `farewell` is said on standard error when it was ended from outside.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until it is carried across
    for fd in range(3):
        _require_open(fd)
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        door.connect(path)
        hello, _ = receive(door)
        if hello is None:
            raise ConnectionResetError
        relay = _enter(door, on_terminal=bool(hello["terminal"]))
    except (OSError, ValueError, KeyError):
        return _say("nobody is behind this door any more", CLOSED)
    if isinstance(relay, str):
        return _say(relay, 127)
    with relay:
        ended = relay.serve()
    if relay.left:
        return 128 + relay.left
    if ended is None:
        return _say("the process that held it was lost, and it was ended", CLOSED, relay.on_terminal)
    if ended["why"] != "exited":
        _say(farewell, 0, relay.on_terminal)
    return int(ended["code"]) if ended["code"] is not None else 128 + int(ended["signal"] or signal.SIGKILL)


def _enter(door: socket.socket, *, on_terminal: bool) -> "Relay | str":
    """What carries across, or why the process could not be started."""
    if on_terminal:
        told = {"size": _size(), "modes": modes_of(0)} if os.isatty(0) else {}
        tell(door, told)
        answer, fds = receive(door, descriptors=1)
        routes = {0: fds[0], fds[0]: 1} if fds else {}
    else:
        (theirs_0, ours_0), (ours_1, theirs_1), (ours_2, theirs_2) = (os.pipe() for _ in range(3))
        tell(door, {}, [theirs_0, theirs_1, theirs_2])
        for fd in (theirs_0, theirs_1, theirs_2):
            os.close(fd)
        answer, _ = receive(door)
        routes = {0: ours_0, ours_1: 1, ours_2: 2}
    if answer is None:
        raise ConnectionResetError
    return str(answer["failed"]) if "failed" in answer else Relay(door, routes, on_terminal=on_terminal)


class Relay:
    """Carries bytes and signals across until the process has ended. `left`: the signal that ended the visit before.

    `routes`: whence and whither; what goes inward never waits for the process, what comes out waits for the person.
    """

    def __init__(self, door: socket.socket, routes: dict[int, int], *, on_terminal: bool) -> None:
        self.door, self.routes, self.on_terminal = door, routes, on_terminal
        self.inward = routes[0]
        self.open = set(routes)
        self.pending = bytearray()
        self.ended: dict[str, Any] | None = None
        self.gone = False
        self.left = 0
        self.selector = selectors.SelectSelector()  # the one kind that takes files too
        self.modes = termios.tcgetattr(0) if on_terminal and os.isatty(0) else None

    def __enter__(self) -> "Relay":
        self.wake, wake_write = os.pipe()
        for fd in (self.wake, wake_write, self.inward):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        for number in (*PASSED_ON, signal.SIGHUP, signal.SIGWINCH):
            signal.signal(number, lambda *_: None)
        if self.modes is not None:
            tty.setraw(0, termios.TCSADRAIN)
            self._resize()
        return self

    def __exit__(self, *_: object) -> None:
        """The person's terminal as it was; what it was made to answer to the process is not typed into their shell."""
        if self.modes is None:
            return
        by_itself = self.ended is not None and self.ended["why"] == "exited" and self.ended["code"] is not None
        with suppress(OSError):
            if os.isatty(1) and not by_itself:
                os.write(1, CALM)
        with suppress(termios.error):
            termios.tcsetattr(0, termios.TCSAFLUSH, self.modes)

    def serve(self) -> dict[str, Any] | None:
        """How it ended; None when nobody can tell any more."""
        self.selector.register(self.door, selectors.EVENT_READ, self._on_word)
        self.selector.register(self.wake, selectors.EVENT_READ, self._on_signal)
        while not (self.gone or self.left):
            self._listen()
            for key, events in self.selector.select():
                key.data(key.fd, events)
        if not self.left:
            self._drain()
        return self.ended

    def _listen(self) -> None:
        """Wait for what can be done now, and for nothing else."""
        for fd in {0, *self.open, self.inward} - {-1}:
            full = fd == 0 and len(self.pending) > FULL
            reads = selectors.EVENT_READ if fd in self.open and not full else 0
            events = reads | (selectors.EVENT_WRITE if fd == self.inward and self.pending else 0)
            if fd in self.selector.get_map():
                self.selector.unregister(fd)
            if events:
                self.selector.register(fd, events, self._on_bytes)

    def _on_word(self, _: int, __: int) -> None:
        try:
            told, _fds = receive(self.door)
        except (OSError, ValueError):
            told = None
        self.ended = told.get("ended") if told else None
        self.gone = True

    def _on_signal(self, _: int, __: int) -> None:
        for number in os.read(self.wake, 512):
            if number == signal.SIGWINCH:
                self._resize()
            elif number in PASSED_ON and not self.on_terminal:
                with suppress(OSError):
                    tell(self.door, {"signal": number})
            else:
                self.left = number

    def _resize(self) -> None:
        if self.modes is not None:
            with suppress(OSError, termios.error):
                termios.tcsetwinsize(self.inward, _size())

    def _on_bytes(self, fd: int, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self._push()
        if events & selectors.EVENT_READ:
            self._carry(fd)

    def _carry(self, source: int) -> None:
        """Take what is there to where it belongs."""
        try:
            data = os.read(source, BLOCK)
        except BlockingIOError:
            return
        except OSError:  # Linux ends a terminal that nobody holds with an error
            data = b""
        if source == 0 and data:
            self.pending += data
            return self._push()
        if source != 0 and data and _written(self.routes[source], data):
            return
        self.open.discard(source)
        if self.on_terminal and (source == 0 or data):  # the person's terminal is gone, not the process's
            self.left = signal.SIGHUP
        elif source == 0:
            self._push()
        elif source != self.inward:
            self._let_go(source)

    def _push(self) -> None:
        """Write what the process is ready to take, and its end once all of it is written."""
        try:
            while self.pending:
                del self.pending[: os.write(self.inward, self.pending[:BLOCK])]
        except BlockingIOError:
            return
        except OSError:  # it closed its end
            self.pending.clear()
            self.open.discard(0)
        if 0 not in self.open and not self.on_terminal and self.inward >= 0:
            self._let_go(self.inward)
            self.inward = -1

    def _let_go(self, fd: int) -> None:
        if fd in self.selector.get_map():
            self.selector.unregister(fd)
        os.close(fd)

    def _drain(self) -> None:
        """The last words: all writers are dead, so there is an end, unless one of them lent its descriptor on."""
        deadline = time.monotonic() + DRAIN_S
        while (sources := self.open - {0}) and (patience := deadline - time.monotonic()) > 0:
            for source in select.select(sources, [], [], patience)[0]:
                self._carry(source)


def _written(fd: int, data: bytes) -> bool:
    """Write all of it, however long that takes; False when nobody reads any more."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            select.select([], [fd], [])
        except OSError:
            return False
    return True


def _require_open(fd: int) -> None:
    """A stream that is closed would be the next descriptor that something else is opened on."""
    try:
        os.fstat(fd)
    except OSError:
        os.open(os.devnull, os.O_RDWR)


def _size() -> tuple[int, int]:
    """Rows and columns of the person's terminal."""
    size = os.get_terminal_size(0)
    return size.lines, size.columns


def _say(text: str, status: int, on_terminal: bool = False) -> int:
    """`on_terminal`: who knows where on its line the process left off."""
    start = "\r\n" if on_terminal else ""
    with suppress(OSError):
        os.write(2, f"{start}heddle: {text}\n".encode(errors="replace"))
    return status
