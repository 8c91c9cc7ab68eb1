"""Starting the held process: here, in a box, or as a box."""

import os
import signal
import socket
from typing import Any, Protocol

from heddle.holder.box.entry import Entry
from heddle.holder.box.init import become_init
from heddle.holder.box.network import open_network, proxied
from heddle.holder.folder import MARKER, SESSION
from heddle.holder.program import become_program, restore_signals
from heddle.holder.reaper import die_with_parent, end_all, reap, send


class Child(Protocol):
    """The process and our ends of its streams; `stdin` is -1 when it has none, `failure` says why it did not start.

    `wake` becomes readable when there is something to collect, besides a SIGCHLD; -1 when only that tells.
    """

    stdin: int
    stdout: int
    stderr: int
    failure: str
    wake: int

    @property
    def pid(self) -> int:
        """Its number on this machine, or 0 when it has none that counts here."""
        ...

    def collect(self) -> int | None:
        """Its wait status once it has ended. Never waits."""
        ...

    def signal(self, number: signal.Signals) -> None:
        """To its group."""
        ...

    def end(self) -> int | None:
        """Kill everything that is left of it and what it started; its wait status when that came to light here."""
        ...


class LocalChild:
    """A process that is our own child."""

    wake = -1

    def __init__(self, pid: int, streams: tuple[int, int, int], failure: str) -> None:
        self.pid, self.failure = pid, failure
        self.stdin, self.stdout, self.stderr = streams
        for fd in streams:
            if fd >= 0:
                os.set_blocking(fd, False)

    def collect(self) -> int | None:
        """See Child."""
        return reap().get(self.pid)

    def signal(self, number: signal.Signals) -> None:
        """See Child."""
        if self.pid:
            send(self.pid, number, group=True)

    def end(self) -> int | None:
        """See Child."""
        return end_all(self.pid).get(self.pid)


class BoxedChild:
    """A process in a box; nothing of it is below us, its minder in there does what we ask."""

    pid = 0

    def __init__(self, entry: Entry, streams: tuple[int, int, int]) -> None:
        self.entry, self.failure, self.wake = entry, entry.failure, entry.fileno()
        self.stdin, self.stdout, self.stderr = streams
        for fd in streams:
            if fd >= 0:
                os.set_blocking(fd, False)

    def collect(self) -> int | None:
        """See Child."""
        reap()
        return self.entry.collect()

    def signal(self, number: signal.Signals) -> None:
        """See Child."""
        self.entry.signal(number)

    def end(self) -> int | None:
        """See Child."""
        return self.entry.end()


def run_child(spec: dict[str, Any]) -> Child:
    """Start what the spec says; returns once it runs or could not be started. Raises OSError."""
    if "make" in spec:
        return _run_box(spec)
    stdin_read, stdin_write = os.pipe() if spec["stdin"] == "pipe" else (os.open(os.devnull, os.O_RDONLY), -1)
    stdout_read, stdout_write = os.pipe()
    stderr_read, stderr_write = os.pipe()
    theirs, ours = (stdin_read, stdout_write, stderr_write), (stdin_write, stdout_read, stderr_read)
    try:
        if "enter" in spec:
            return _run_inside(spec, theirs, ours)
        pid, failure = _run_local(spec, theirs)
        return LocalChild(pid, ours, failure)
    finally:
        for fd in theirs:
            os.close(fd)


def _run_inside(spec: dict[str, Any], theirs: tuple[int, int, int], ours: tuple[int, int, int]) -> Child:
    """The network first, so that the process finds it; nothing is forked here any more once its threads run."""
    entry = Entry(spec["enter"])
    try:
        egress = open_network(spec["enter"], spec["hosts"], spec["forwards"])
    except OSError as error:
        entry.failure, entry.ended = f"network: {error}", 127 << 8
    else:
        env = environment(spec) | (proxied() if egress else {})
        entry.start({"argv": spec["argv"], "cwd": spec["cwd"], "env": env}, theirs)
    return BoxedChild(entry, ours)


def environment(spec: dict[str, Any]) -> dict[str, str]:
    """The environment of the held process, with what tells it from all others."""
    return {**spec["env"], SESSION: spec["key"], MARKER: spec["marker"]}


def _run_local(spec: dict[str, Any], streams: tuple[int, int, int]) -> tuple[int, str]:
    told_read, told_write = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        order = {"argv": spec["argv"], "cwd": spec["cwd"], "env": environment(spec)}
        become_program(order, streams, told_write, lambda: die_with_parent(parent))
    os.close(told_write)
    with os.fdopen(told_read, "rb") as told:
        return pid, told.read(4096).decode(errors="replace")


def _run_box(spec: dict[str, Any]) -> Child:
    """Make a box: its init is the child."""
    stdout_read, stdout_write = os.pipe()
    stderr_read, stderr_write = os.pipe()
    told_read, told_write = os.pipe()
    life_read, life_write = os.pipe()  # our end stays open for as long as we live
    listener = listen(spec["make"]["socket"])
    pid = os.fork()
    if pid == 0:
        null = os.open(os.devnull, os.O_RDONLY)
        for target, fd in enumerate((null, stdout_write, stderr_write)):
            os.dup2(fd, target)
        keep_only((listener.fileno(), life_read, told_write))
        os.setsid()
        restore_signals()
        become_init(spec["make"], listener, life_read, told_write)
    listener.close()
    for fd in (stdout_write, stderr_write, told_write, life_read):
        os.close(fd)
    with os.fdopen(told_read, "rb") as told:
        first = told.readline(8192)
        if first.startswith(b"pid "):
            os.waitpid(pid, 0)
            os.write(life_write, b"!")
            pid, first = int(first.removeprefix(b"pid ")), b""
        said = (first + told.read(8192)).decode(errors="replace")
    return LocalChild(pid, (-1, stdout_read, stderr_read), said)


def listen(path: str) -> socket.socket:
    """A listening unix socket that only we may use."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if os.path.lexists(path):
        os.unlink(path)
    mask = os.umask(0o177)
    try:
        listener.bind(path)
    finally:
        os.umask(mask)
    listener.listen(64)
    return listener


def keep_only(kept: tuple[int, ...]) -> None:
    """Close every descriptor but the three streams and these: a fork that never execs must do that itself."""
    low = 3
    for fd in sorted(kept):
        os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, os.sysconf("SC_OPEN_MAX"))
