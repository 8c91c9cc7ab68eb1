"""A command inside a box, from outside: the connection to its minder."""

import os
import signal
import socket
from collections.abc import Sequence
from typing import Any

from heddle.holder.box.frames import receive, tell

PATIENCE_S = 30.0
"""How long a box may take to answer that something was started, or that all of it has ended."""

KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "GIT_PROTOCOL")
"""Everything else that a program of the host has in its environment is no business of the box."""


class Entry:
    """One command in a box, or the reason why it could not be started (`failure`)."""

    def __init__(self, path: str) -> None:
        self.connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.path = path
        self.failure = ""
        self.terminal = -1
        self.ended: int | None = None
        self.gone = False
        self.freezes = self.frozen = self._answered = False

    def start(self, order: dict[str, Any], streams: Sequence[int]) -> None:
        """Have it started on these descriptors; `order` has argv, env and cwd.

        With a `terminal` in the order there are none: it gets one in the box, whose outer end is `terminal` then.
        """
        fds: list[int] = []
        self.connection.settimeout(PATIENCE_S)
        try:
            self.connection.connect(self.path)
            tell(self.connection, order, list(streams))
            answer, fds = receive(self.connection, descriptors=1)
        except (OSError, ValueError) as error:
            answer = {"failed": f"the box does not answer: {error}"}
        self.freezes = bool(answer and answer.get("freezes"))  # a box that an older Heddle made does not
        self.terminal = fds[0] if fds else -1
        self.failure = "the box ended" if answer is None else str(answer.get("failed", ""))
        if self.failure:
            self.ended = 127 << 8

    def collect(self) -> int | None:
        """The wait status once it has ended. Never waits."""
        while self.ended is None and not self.gone and self._heard(0.0):
            pass
        return self.ended

    def signal(self, number: signal.Signals) -> None:
        """To the process and its group; no error when it is gone."""
        self._ask({"signal": int(number)})

    def freeze(self) -> bool:
        """Have nothing of it run any more; False when that cannot be had."""
        if self.freezes and not self.frozen:
            self._ask({"freeze": True})
            self._settle()
        return self.frozen

    def thaw(self) -> None:
        """Let what was frozen go on; returns once it does."""
        if self.frozen:
            self._ask({"freeze": False})
            self._settle()

    def end(self) -> int | None:
        """Kill it with all that it started; returns its wait status once nothing is left."""
        self._ask({"end": True})
        while not self.gone and self._heard(PATIENCE_S):
            pass
        self.connection.close()
        return self.ended

    def fileno(self) -> int:
        """Readable when there is something to collect."""
        return self.connection.fileno()

    def _settle(self) -> None:
        """Take answers up to the one to our request."""
        self._answered = False
        while not self._answered and not self.gone and self._heard(PATIENCE_S):
            pass

    def _ask(self, request: dict[str, Any]) -> None:
        try:
            tell(self.connection, request)
        except OSError:
            return

    def _heard(self, patience_s: float) -> bool:
        """Take one answer; False when none came in time. A box that ended has killed what was in it."""
        self.connection.settimeout(patience_s)
        try:
            answer, _ = receive(self.connection)
        except (BlockingIOError, TimeoutError):
            return False
        except (OSError, ValueError):
            answer = None
        if answer is None or "gone" in answer:
            self.gone = True
            self.ended = int(signal.SIGKILL) if self.ended is None else self.ended
            return True
        if "ended" in answer:
            self.ended = int(answer["ended"])
        if "frozen" in answer:
            self.frozen, self._answered = bool(answer["frozen"]), True
        return True


def listener_in(path: str, host: str, port: int) -> socket.socket:
    """A socket that listens in the network of the box. Raises OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(PATIENCE_S)
        connection.connect(path)
        tell(connection, {"listen": [host, port]})
        answer, fds = receive(connection, descriptors=1)
    if not fds:
        raise OSError(f"no listener in the box: {(answer or {}).get('failed', 'it ended')}")
    return socket.socket(fileno=fds[0])


def bridge(path: str, cwd: str, argv: list[str]) -> int:
    """Run a command in the box on our own standard streams; its exit status. Of our environment it gets KEPT."""
    entry = Entry(path)
    env = {name: os.environ[name] for name in KEPT if name in os.environ}
    entry.start({"argv": argv, "cwd": cwd, "env": env}, (0, 1, 2))
    if entry.failure:
        os.write(2, f"{entry.failure}\n".encode())
        return 127
    while entry.ended is None and entry._heard(86_400.0):
        pass
    status = entry.end() or 0
    return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
