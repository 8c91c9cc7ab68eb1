"""The parent of one command inside a box: starts it, tells how it ended, and leaves nothing of it behind.

The first frame says what to run and comes with three descriptors, or with a `terminal` to be made, whose outer end is
then the answer's. Or it is {"listen": [HOST, PORT]}, which is answered with a listening socket, or {"dial": PORT},
answered with a connected one.
Later ones are {"signal": N}, {"freeze": true or false} and {"end": true}. Answers are {"pid": N, "freezes": true} or
{"failed": "..."}, to "freeze" {"frozen": true or false}, then {"ended": WAIT STATUS} and, once nothing is left,
{"gone": true}. When the other end leaves, everything ends.
"""

import os
import select
import signal
import socket
import time
from collections.abc import Callable
from typing import Any, NoReturn

from heddle.holder.box.frames import receive, tell
from heddle.holder.freezer import Freezer
from heddle.holder.program import start_program
from heddle.holder.reaper import become_subreaper, end_all, reap, send
from heddle.holder.terminal import controlled_by, open_terminal

BIND_S = 2.0
"""How long an address may be taken before it counts as taken."""

LOOPBACK = ("127.0.0.1", "::1")
"""Where a server of the session may listen, in the order in which it is tried."""

DIAL_S = 2.0
"""How long a connection to each may take: a session can have one wait for as long as it likes."""


def mind(connection: socket.socket, close: tuple[int, ...], mark: Callable[[bool], None]) -> NoReturn:
    """In a fork of the init: serve one connection. `mark` tells the init while something is being frozen."""
    status = 1
    try:
        for fd in close:
            os.close(fd)
        become_subreaper()
        Minder(connection, mark).serve()
        status = 0
    except (OSError, ValueError, KeyError, TypeError):
        end_all(0)
        status = 0
    finally:
        os._exit(status)


class Minder:
    """One command and what it started."""

    def __init__(self, connection: socket.socket, mark: Callable[[bool], None]) -> None:
        self.connection, self.mark = connection, mark
        self.connection.setblocking(True)
        self.wake, wake_write = os.pipe()
        for fd in (self.wake, wake_write):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        self.freezer = Freezer(whole=True)
        self.child = 0
        self.told = False

    def serve(self) -> None:
        """From the order to the last process."""
        order, streams = receive(self.connection, descriptors=3)
        if order is None:
            return
        if "listen" in order:
            return listen(self.connection, *order["listen"])
        if "dial" in order:
            return dial(self.connection, order["dial"])
        self._start(order, streams)
        while self._attend():
            pass
        ended = end_all(self.child)
        if not self.told:
            self._ended(ended.get(self.child, signal.SIGKILL))
        tell(self.connection, {"gone": True})

    def _start(self, order: dict[str, Any], streams: list[int]) -> None:
        """Start it on these streams, or on a terminal of the box's own, and say so."""
        outer, prepare = list[int](), _nothing
        try:
            if "terminal" in order:
                end, inner = open_terminal(order["terminal"])
                outer, streams, prepare = [end], [inner] * 3, controlled_by(inner)
            self.child, failure = start_program(order, streams, lambda: self._become(prepare))
            tell(self.connection, {"failed": failure} if failure else {"pid": self.child, "freezes": True}, outer)
        except OSError as error:
            tell(self.connection, {"failed": error.strerror or str(error)})
        finally:
            for fd in {*streams, *outer}:
                os.close(fd)

    def _become(self, prepare: Callable[[], None]) -> None:
        """In the fork: what only the minder has is let go of."""
        self.connection.close()
        prepare()

    def _attend(self) -> bool:
        """One thing that happened; False when everything is to end."""
        ready, _, _ = select.select([self.connection.fileno(), self.wake], [], [])
        if self.wake in ready:
            os.read(self.wake, 512)
            if self.child in (gone := reap()):
                self._ended(gone[self.child])
        if self.connection.fileno() not in ready:
            return True
        request, _ = receive(self.connection)
        if request is None or "end" in request:
            return False
        if "freeze" in request:
            self._freeze(bool(request["freeze"]))
        else:
            send(self.child, signal.Signals(request["signal"]), group=True)
        return True

    def _freeze(self, wanted: bool) -> None:
        if wanted:
            self.mark(True)
            self.freezer.freeze()
            self.mark(False)
        else:
            self.freezer.thaw()
        tell(self.connection, {"frozen": self.freezer.frozen})

    def _ended(self, status: int) -> None:
        self.told = True
        tell(self.connection, {"ended": status})


def _nothing() -> None:
    return


def listen(connection: socket.socket, host: str, port: int) -> None:
    """Make a listening socket in here and hand it out: who accepts on it knows which box is calling."""
    deadline = time.monotonic() + BIND_S
    while True:
        try:
            with socket.create_server((host, int(port)), backlog=256) as listener:
                return tell(connection, {"listening": True}, [listener.fileno()])
        except OSError as error:  # an earlier one may be about to close
            if time.monotonic() > deadline:
                return tell(connection, {"failed": f"{host}:{port}: {error.strerror}"})
            time.sleep(0.01)


def dial(connection: socket.socket, port: int) -> None:
    """Connect to what listens in here on that port, and hand the connection out."""
    failure = ""
    for address in LOOPBACK:
        try:
            with socket.create_connection((address, port), timeout=DIAL_S) as made:
                return tell(connection, {"dialed": True}, [made.fileno()])
        except OSError as error:
            failure = failure or error.strerror or str(error)
    tell(connection, {"failed": failure})
