"""Pid 1 of a box: builds what is seen inside, gives up every right, and forks a minder per command."""

import fcntl
import mmap
import os
import selectors
import signal
import socket
from pathlib import Path
from typing import Any, NoReturn

from heddle.holder.box import filter, kernel, minder, rooms
from heddle.holder.box.groups import Group
from heddle.holder.program import limit

HOSTNAME = "heddle"
SLOTS = 4096
"""One for each minder that there can be at a time, more or less."""


def become_init(plan: dict[str, Any], listener: socket.socket, life: int, told: int) -> NoReturn:
    """In a fork of the holder: go into fresh namespaces and serve there. `told` is closed once the box is ready.

    The process that unshares stays outside of the new pid namespace; its child is the init. It tells the child's pid
    first ("pid N" and a newline) and ends, so that the holder, a subreaper, becomes the init's parent. `life` brings a
    byte once the holder has seen that end, and ends when the holder does.
    """
    try:
        uid, gid = os.getuid(), os.getgid()
        kernel.unshare(kernel.NEW_ALL)
        kernel.map_own_ids(uid, gid)
        pid = os.fork()
        if pid == 0:
            _serve_as_init(plan, listener, life, told)
        os.write(told, f"pid {pid}\n".encode())
    except BaseException as error:
        tell_failure(told, error)
        os._exit(127)
    os._exit(0)


def join(group: Group | None, told: int) -> None:
    """In a fork of the holder: be in the group, with all that comes; there is no box that was to be in it and is not."""
    try:
        if group is not None:
            group.enter()
    except OSError as error:
        tell_failure(told, error)
        os._exit(127)


def _serve_as_init(plan: dict[str, Any], listener: socket.socket, life: int, told: int) -> NoReturn:
    try:
        if not os.read(life, 1):  # only now is the holder our parent
            os._exit(0)
        kernel.end_with_parent()
        lock = _take(plan["lock"])
        _enclose(plan)
        init = Init(listener, life, lock)
    except BaseException as error:
        tell_failure(told, error)
        os._exit(127)
    os.close(told)
    init.serve()
    os._exit(0)


def _take(path: str) -> int:
    """Hold the lock for as long as the box lives. Raises OSError when another box has it."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BlockingIOError(16, "another box works in the same folder") from None
    return lock


def _enclose(plan: dict[str, Any]) -> None:
    os.umask(0o022)
    socket.sethostname(HOSTNAME)
    kernel.raise_loopback()
    Path(plan["root"]).mkdir(mode=0o700, exist_ok=True)
    rooms.build(plan["root"], plan["places"])
    limit(plan["limits"])
    kernel.drop_capabilities()
    kernel.close_up()
    kernel.install_filter(filter.program(strict=plan.get("strict", False)))


class Init:
    """The loop of pid 1. Signals from inside never reach it: it has no handler for any but SIGCHLD."""

    def __init__(self, listener: socket.socket, life: int, lock: int) -> None:
        self.listener, self.life, self.lock = listener, life, lock
        self.selector = selectors.DefaultSelector()
        self.wake, wake_write = os.pipe()
        for fd in (self.wake, wake_write):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)
        listener.setblocking(False)
        self.minders: set[int] = set()
        self.freezing = mmap.mmap(-1, SLOTS)

    def serve(self) -> None:
        """Until the holder is gone."""
        for fd in (self.listener.fileno(), self.wake, self.life):
            self.selector.register(fd, selectors.EVENT_READ)
        while True:
            for key, _ in self.selector.select():
                if key.fd == self.life:
                    return
                if key.fd == self.wake:
                    self._reap()
                else:
                    self._accept()

    def _reap(self) -> None:
        """Collect who ended. A minder that was killed, or put to sleep, leaves processes without a master: the box ends.

        One that freezes what is below it stops the others for a moment: then they are to go on.
        """
        try:
            while os.read(self.wake, 512):
                pass
        except BlockingIOError:
            pass
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self.minders and os.WIFSTOPPED(status) and b"\1" in self.freezing[:]:
                os.kill(pid, signal.SIGCONT)
            elif pid in self.minders and status != 0:
                os._exit(1)
            if not os.WIFSTOPPED(status):
                self.minders.discard(pid)

    def _accept(self) -> None:
        try:
            connection, _ = self.listener.accept()
        except OSError:
            return
        try:
            pid = os.fork()
        except OSError:  # the session has used up what processes it may have: nobody more comes in
            return connection.close()
        if pid == 0:
            self.selector.close()
            minder.mind(connection, (self.listener.fileno(), self.life, self.lock, self.wake), self._mark)
        self.minders.add(pid)
        connection.close()

    def _mark(self, freezes: bool) -> None:
        """In a minder: say whether it is about to freeze something. The memory is shared, the sessions' is not."""
        self.freezing[os.getpid() % SLOTS] = int(freezes)


def tell_failure(told: int, error: BaseException) -> None:
    """Say why it could not be made."""
    reason = (error.strerror or str(error)) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
    where = f" ('{error.filename}')" if isinstance(error, OSError) and error.filename else ""
    os.write(told, f"{reason}{where}".encode(errors="replace")[:4000])
