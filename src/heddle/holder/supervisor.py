"""One holder: starts the process, keeps its output, feeds its input, and writes how it ended."""

import json
import os
import selectors
import signal
import socket
import time
from pathlib import Path
from typing import Any

from heddle.holder.folder import MARKER, VERSION, Folder
from heddle.holder.link import Link
from heddle.holder.reaper import become_subreaper, die_with_parent, end_all, reap, send

ERRORS_LIMIT = 4 * 1024 * 1024
QUIET_S = 0.1
SYNC_BYTES = 1024 * 1024
CHUNK = 65536


class Supervisor:
    """The event loop of a holder: one process, its pipes, its clients. Single-threaded."""

    def __init__(self, folder: Folder, spec: dict[str, Any]) -> None:
        self.folder = folder
        self.spec = spec
        self.selector = selectors.DefaultSelector()
        self.links: set[Link] = set()
        self.seen: set[str] = set()
        self.pending = bytearray()
        self.size = 0
        self.unsynced = 0
        self.child = 0
        self.status: int | None = None
        self.why = "exited"
        self.detail = ""
        self.kill_at: float | None = None
        self.close_stdin = False
        self.stdin = self.stdout = self.stderr = -1
        self.deadline = time.monotonic() + spec["wall_s"] if spec.get("wall_s") else None

    def start(self) -> None:
        """Become the reaper of all that follows, listen, and start the process."""
        os.setsid()
        become_subreaper()
        wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self.stop(2.0, "stopped"))
        self.wake = wake_read
        self.selector.register(wake_read, selectors.EVENT_READ, self.on_wake)
        self.listener = self._listen()
        self.selector.register(self.listener, selectors.EVENT_READ, self.on_connect)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self.transcript = os.open(self.folder.transcript, flags, 0o600)
        self.errors = os.open(self.folder.errors, flags, 0o600)
        self.inputs = os.open(self.folder.inputs, flags, 0o600)
        self._spawn()

    def _listen(self) -> socket.socket:
        path = self.spec["socket"]
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        Path(path).unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            listener.bind(path)
        finally:
            os.umask(mask)
        listener.listen(16)
        listener.setblocking(False)
        return listener

    def _spawn(self) -> None:
        in_read, in_write = os.pipe2(os.O_CLOEXEC)
        out_read, out_write = os.pipe2(os.O_CLOEXEC)
        err_read, err_write = os.pipe2(os.O_CLOEXEC)
        told_read, told_write = os.pipe2(os.O_CLOEXEC)
        if self.spec["stdin"] == "null":
            os.close(in_read)
            os.close(in_write)
            in_read, in_write = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), -1
        self.child = os.fork()
        if self.child == 0:
            self._become((in_read, out_write, err_write), told_write)
        for fd in (in_read, out_write, err_write, told_write):
            os.close(fd)
        failure = os.read(told_read, 4096)
        os.close(told_read)
        if failure:
            self.why, self.detail = "start-failed", failure.decode(errors="replace")
        self.stdin, self.stdout, self.stderr = in_write, out_read, err_read
        for fd, take in ((out_read, self.on_output), (err_read, self.on_errors)):
            os.set_blocking(fd, False)
            self.selector.register(fd, selectors.EVENT_READ, take)
        if in_write >= 0:
            os.set_blocking(in_write, False)

    def _become(self, pipes: tuple[int, int, int], told: int) -> None:
        """In the child: its own session, our descriptors as 0 1 2, then the program. Never returns."""
        try:
            os.setsid()
            die_with_parent()
            for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            signal.set_wakeup_fd(-1)
            for target, fd in enumerate(pipes):
                os.dup2(fd, target)
            os.chdir(self.spec["cwd"])
            env = {**self.spec["env"], MARKER: self.spec["key"]}
            os.execvpe(self.spec["argv"][0], self.spec["argv"], env)
        except OSError as error:
            os.write(told, f"'{self.spec['argv'][0]}' in '{self.spec['cwd']}': {error.strerror}".encode())
        finally:
            os._exit(127)

    def run(self) -> None:
        """Serve until the process has ended and nothing it started is left."""
        while self.status is None:
            for key, _ in self.selector.select(self._patience()):
                key.data()
            self._tick()
        self._finish()

    def _patience(self) -> float | None:
        """Seconds until something is due; None when nothing is."""
        due = [moment for moment in (self.deadline, self.kill_at) if moment is not None]
        waits = [max(0.0, moment - time.monotonic()) for moment in due]
        if self.unsynced:
            waits.append(QUIET_S)
        return min(waits) if waits else None

    def _tick(self) -> None:
        now = time.monotonic()
        if self.deadline is not None and now >= self.deadline and self.kill_at is None:
            self.stop(2.0, "wall-limit")
        if self.kill_at is not None and now >= self.kill_at:
            self.status = end_all(os.getpid(), self.child).get(self.child, signal.SIGKILL)
        if self.unsynced and not self.selector.select(0):
            self.sync()

    def on_wake(self) -> None:
        """A signal came: most often a child that ended."""
        try:
            while os.read(self.wake, 512):
                pass
        except BlockingIOError:
            pass
        status = reap().get(self.child)
        if status is not None:
            self.status = status

    def on_connect(self) -> None:
        """A daemon attaches."""
        connection, _ = self.listener.accept()
        link = Link(connection, self)
        self.links.add(link)

    def on_output(self) -> None:
        """The process wrote to standard output."""
        data = self._read(self.stdout)
        if not data:
            return
        room = self.spec["transcript_limit"] - self.size
        try:
            _write_all(self.transcript, data[:room])
        except OSError as error:
            self.detail = error.strerror or str(error)
            return self.stop(0.0, "disk-full")
        self.size += min(room, len(data))
        self.unsynced += len(data)
        if self.unsynced >= SYNC_BYTES:
            self.sync()
        self.announce({"size": self.size})
        if len(data) > room:
            self.detail = f"more than {self.spec['transcript_limit']} bytes of output"
            self.stop(0.0, "transcript-limit")

    def on_errors(self) -> None:
        """The process wrote to standard error; the first 4 MiB are kept."""
        data = self._read(self.stderr)
        room = ERRORS_LIMIT - os.fstat(self.errors).st_size
        if data and room > 0:
            try:
                _write_all(self.errors, data[:room])
            except OSError:
                return

    def _read(self, fd: int) -> bytes:
        try:
            data = os.read(fd, CHUNK)
        except BlockingIOError:
            return b""
        if not data:
            self.selector.unregister(fd)
        return data

    def accept(self, id: str, text: str) -> bool:
        """Take one message for the process: logged first, written once. False when the id is known."""
        if id in self.seen or self.stdin < 0 or self.close_stdin:
            return False
        _write_all(self.inputs, json.dumps({"id": id, "data": text}).encode() + b"\n")
        os.fdatasync(self.inputs)
        self.seen.add(id)
        self.pending += text.encode(errors="surrogateescape")
        self._feed()
        return True

    def _feed(self) -> None:
        """Write what the process is ready to take; the rest follows when it reads."""
        try:
            while self.pending:
                del self.pending[: os.write(self.stdin, self.pending[:CHUNK])]
        except BlockingIOError:
            if self.stdin not in self.selector.get_map():
                self.selector.register(self.stdin, selectors.EVENT_WRITE, self._feed)
            return
        except OSError:
            self.pending.clear()
            self.close_stdin = True
        if self.stdin in self.selector.get_map():
            self.selector.unregister(self.stdin)
        if self.close_stdin and self.stdin >= 0:
            os.close(self.stdin)
            self.stdin = -1

    def close_input(self) -> None:
        """Close standard input once everything accepted is written."""
        if self.stdin >= 0:
            self.close_stdin = True
            self._feed()

    def stop(self, grace_s: float, why: str) -> None:
        """Ask the process to end, and see to it after the grace."""
        if self.why == "exited":
            self.why = why
        send(self.child, signal.SIGTERM, group=True)
        due = time.monotonic() + grace_s
        self.kill_at = due if self.kill_at is None else min(due, self.kill_at)

    def sync(self) -> None:
        """Have the transcript on disk."""
        try:
            os.fdatasync(self.transcript)
        finally:
            self.unsynced = 0

    def announce(self, message: dict[str, Any]) -> None:
        """Tell every daemon that subscribed."""
        for link in list(self.links):
            if link.subscribed:
                link.tell(message)

    def hello(self) -> dict[str, Any]:
        """What a daemon is told when it attaches."""
        return {"version": VERSION, "key": self.spec["key"], "size": self.size, "inputs": sorted(self.seen)}

    def _finish(self) -> None:
        """Nothing of the session stays: kill, drain, sync, then say how it ended."""
        end_all(os.getpid(), self.child)
        for fd, take in ((self.stdout, self.on_output), (self.stderr, self.on_errors)):
            while fd in self.selector.get_map() and (before := self.size) >= 0:
                take()
                if fd in self.selector.get_map() and self.size == before and not _readable(fd):
                    break
        self.sync()
        status = self.status or 0
        ended = {
            "code": os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
            "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
            "why": self.why,
            "detail": self.detail,
        }
        Path(self.spec["socket"]).unlink(missing_ok=True)
        self.folder.write(self.folder.exit, ended)
        self.announce({"exit": ended})
        for link in list(self.links):
            link.flush(1.0)


def hold(path: Path, report: Any) -> None:
    """Hold the process of a folder, unless it is held, has ended or was lost. `report(word)` is told which."""
    folder = Folder(path)
    lock = folder.take_lock()
    if lock is None:
        return report("held")
    if folder.exit.exists():
        return report("ended")
    if folder.started.exists():
        return report("lost")
    spec = folder.load(folder.spec)
    if spec is None:
        folder.settle("start-failed", "the folder has no readable spec.json")
        return report("ended")
    supervisor = Supervisor(folder, spec)
    try:
        folder.write(folder.started, {"version": VERSION, "holder": os.getpid()})
        supervisor.start()
    except OSError as error:
        end_all(os.getpid(), None)
        folder.settle("start-failed", error.strerror or str(error))
        return report("ended")
    report("started")
    supervisor.run()


def _write_all(fd: int, data: bytes | bytearray) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _readable(fd: int) -> bool:
    probe = selectors.DefaultSelector()
    probe.register(fd, selectors.EVENT_READ)
    return bool(probe.select(0))
