"""One holder: starts the process, keeps its output, feeds its input, and writes how it ended."""

import json
import os
import selectors
import signal
import time
from pathlib import Path
from typing import Any, Protocol

from heddle.holder.child import NO_STREAMS, Child, LocalChild, listen, run_child
from heddle.holder.doorway import PATIENCE_S, Doorway
from heddle.holder.folder import VERSION, Folder, ending, write_all
from heddle.holder.link import Link
from heddle.holder.reaper import become_subreaper

ERRORS_LIMIT = 4 * 1024 * 1024
QUIET_S = 0.1
SYNC_BYTES = 1024 * 1024
CHUNK = 65536
LEAVE_S = 2.0
"""The grace of a process whose holder is asked to end by a signal or ends it for the wall limit."""


class Supervisor:
    """The event loop of a holder: one process, its pipes, its clients. Single-threaded; monotonic time only."""

    def __init__(self, folder: Folder, spec: dict[str, Any]) -> None:
        self.folder = folder
        self.spec = spec
        self.limit = int(spec["transcript_limit"])
        self.selector = selectors.DefaultSelector()
        self.links: set[Link] = set()
        self.seen: set[str] = set()
        self.pending = bytearray()
        self.size = 0
        self.unsynced = 0
        self.child: Child = LocalChild(0, NO_STREAMS, "")
        self.doorway: Doorway | None = None
        self.stopping = False
        self.status: int | None = None
        self.why = "exited"
        self.detail = ""
        self.closing = False
        self.sync_at: float | None = None
        self.kill_at: float | None = None
        self.deadline = time.monotonic() + spec["wall_s"] if spec.get("wall_s") else None
        self.frozen_at: float | None = None

    def start(self) -> None:
        """Become the reaper of all that follows, listen, and start the process."""
        os.setsid()
        become_subreaper()
        self._watch_signals()
        self.listener = listen(self.spec["socket"])
        self.listener.setblocking(False)
        self.selector.register(self.listener, selectors.EVENT_READ, self.on_connect)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self.transcript = os.open(self.folder.transcript, flags, 0o600)
        self.errors = os.open(self.folder.errors, flags, 0o600)
        self.inputs = os.open(self.folder.inputs, flags, 0o600)
        if self.spec["stdin"] not in ("lent", "terminal"):
            return self.adopt(run_child(self.spec))
        self.doorway = Doorway(self)
        self.why, self.detail = "start-failed", "nobody came through its door"
        self.kill_at = time.monotonic() + PATIENCE_S

    def adopt(self, child: Child) -> None:
        """From now on this is the process."""
        self.child, self.kill_at = child, None
        self.why, self.detail = ("start-failed", child.failure) if child.failure else ("exited", "")
        for fd, take in ((child.stdout, self.on_output), (child.stderr, self.on_errors), (child.wake, self._collect)):
            if fd >= 0:
                self.selector.register(fd, selectors.EVENT_READ, take)

    def _watch_signals(self) -> None:
        self.wake, wake_write = os.pipe()
        for fd in (self.wake, wake_write):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self.stop(LEAVE_S, "stopped"))
        self.selector.register(self.wake, selectors.EVENT_READ, self.on_wake)

    def run(self) -> None:
        """Serve until the process has ended and nothing it started is left."""
        while self.status is None:
            for key, _ in self.selector.select(self._patience()):
                key.data()
            self._tick()
        self._finish()

    def _patience(self) -> float | None:
        """Seconds until something is due; None when nothing is."""
        deadline = self.deadline if self.frozen_at is None else None
        due = [moment for moment in (deadline, self.kill_at, self.sync_at) if moment is not None]
        return min(max(0.0, min(due) - time.monotonic()), 3600.0) if due else None

    def _tick(self) -> None:
        now = time.monotonic()
        if self.deadline is not None and now >= self.deadline and self.frozen_at is None:
            self.deadline = None
            self.stop(LEAVE_S, "wall-limit", f"ran for {self.spec['wall_s']:g} s")
        if self.kill_at is not None and now >= self.kill_at and self.status is None:
            ended = self.child.end()
            self.status = int(signal.SIGKILL) if ended is None else ended
        if self.sync_at is not None and now >= self.sync_at:
            self.sync()

    def on_wake(self) -> None:
        """A signal came: most often a child that ended."""
        try:
            while os.read(self.wake, 512):
                pass
        except BlockingIOError:
            pass
        self._collect()

    def _collect(self) -> None:
        status = self.child.collect()
        if status is not None:
            self.status = status

    def on_connect(self) -> None:
        """A daemon attaches."""
        try:
            connection, _ = self.listener.accept()
        except OSError:  # it left again, or there is no descriptor for it
            return
        self.links.add(Link(connection, self))

    def on_output(self) -> None:
        """The process wrote to standard output: keep it, or end the process rather than lose some of it unsaid."""
        data = self._read(self.child.stdout)
        if not data:
            return
        kept = data[: self.limit - self.size]
        written, failure = write_all(self.transcript, kept)
        if written:
            self.size += written
            self.unsynced += written
            self.sync_at = time.monotonic() + QUIET_S
            self.announce({"size": self.size})
        if failure:
            self._give_up("disk-full", f"transcript: {failure}")
        elif len(data) > len(kept):
            self._give_up("transcript-limit", f"more than {self.limit} bytes of output")
        if self.unsynced >= SYNC_BYTES:
            self.sync()

    def _give_up(self, why: str, detail: str) -> None:
        """Nothing more is kept, so that the transcript has no hole; the process ends at once."""
        self.limit = self.size
        self.stop(0.0, why, detail)

    def on_errors(self) -> None:
        """The process wrote to standard error; the first 4 MiB are kept."""
        data = self._read(self.child.stderr)
        room = ERRORS_LIMIT - os.fstat(self.errors).st_size
        if data and room > 0:
            write_all(self.errors, data[:room])

    def _read(self, fd: int) -> bytes:
        try:
            data = os.read(fd, CHUNK)
        except BlockingIOError:
            return b""
        if not data:
            self.selector.unregister(fd)
        return data

    def takes(self, id: str) -> bool:
        """Whether a message may be written: nobody sent it before, and the process lives to read it."""
        self._collect()
        return id not in self.seen and self.status is None and self.child.stdin >= 0 and not self.closing

    def accept(self, id: str, text: str) -> bool:
        """Take one message for the process: logged first, written once. False when it is not taken."""
        data = text.encode(errors="surrogateescape")
        if not self.takes(id):
            return False
        _, failure = write_all(self.inputs, json.dumps({"id": id, "data": text}).encode() + b"\n")
        if failure := failure or _flush(self.inputs):
            self._give_up("disk-full", f"inputs: {failure}")
            return False
        self.seen.add(id)
        self.pending += data
        self._feed()
        return True

    def _feed(self) -> None:
        """Write what the process is ready to take; the rest follows when it reads."""
        stdin = self.child.stdin
        if stdin < 0:
            return
        try:
            while self.pending:
                del self.pending[: os.write(stdin, self.pending[:CHUNK])]
        except BlockingIOError:
            if stdin not in self.selector.get_map():
                self.selector.register(stdin, selectors.EVENT_WRITE, self._feed)
            return
        except OSError:  # it closed its end
            self.pending.clear()
            self.closing = True
        if stdin in self.selector.get_map():
            self.selector.unregister(stdin)
        if self.closing:
            os.close(stdin)
            self.child.stdin = -1

    def close_input(self) -> None:
        """Close standard input once everything accepted is written."""
        self.closing = True
        self._feed()

    def stop(self, grace_s: float, why: str, detail: str = "") -> None:
        """Ask the process to end, and see to it after the grace; a frozen one cannot hear. The first reason stands."""
        self.stopping = True
        if self.why == "exited":
            self.why, self.detail = why, detail
        if self.status is None:  # a shell at a terminal leaves when that hangs up, and not when it is asked
            self.child.signal(signal.SIGHUP if self.spec["stdin"] == "terminal" else signal.SIGTERM)
        nobody = self.doorway is not None and self.doorway.visitor is None
        due = time.monotonic() + (0.0 if nobody or self.frozen_at is not None else grace_s)
        self.kill_at = due if self.kill_at is None else min(due, self.kill_at)

    def freeze(self) -> bool:
        """Have nothing of the process run any more; False when that cannot be had, or it is about to end anyway."""
        if self.frozen_at is None and self.kill_at is None and self.child.freeze():
            self.frozen_at = time.monotonic()
        self._collect()  # an end may have come to light on the way
        return self.frozen_at is not None

    def thaw(self) -> None:
        """Let what was frozen go on; the time that it was frozen is no part of its wall limit."""
        if self.frozen_at is None:
            return
        self.child.thaw()
        self._collect()
        if self.deadline is not None:
            self.deadline += time.monotonic() - self.frozen_at
        self.frozen_at = None

    def sync(self) -> None:
        """Have the transcript on disk."""
        self.unsynced, self.sync_at = 0, None
        if failure := _flush(self.transcript):
            self._give_up("disk-full", f"transcript: {failure}")

    def announce(self, message: dict[str, Any]) -> None:
        """Tell every daemon that subscribed."""
        for link in list(self.links):
            if link.subscribed:
                link.tell(message)

    def hello(self) -> dict[str, Any]:
        """What a daemon is told when it attaches."""
        return {"version": VERSION, "key": self.spec["key"], "size": self.size, "child": self.child.pid}

    def _finish(self) -> None:
        """Nothing of the session stays: kill, drain, sync, then say how it ended."""
        self.child.end()
        for fd, take in ((self.child.stdout, self.on_output), (self.child.stderr, self.on_errors)):
            while fd >= 0 and fd in self.selector.get_map() and _readable(fd):
                take()
        self.sync()
        status = self.status or 0
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        made = self.spec.get("make", {}).get("socket")
        for path in filter(None, (self.spec["socket"], made, self.spec.get("door"))):
            Path(path).unlink(missing_ok=True)
        ended = self.folder.settle(ending(self.why, self.detail, code, number))
        self.announce({"exit": ended})
        if self.doorway is not None:
            self.doorway.tell_end(ended)
        for link in list(self.links):
            link.flush(1.0)


class Report(Protocol):
    """Tells the daemon what became of its request; called at least once unless the holder is killed."""

    def __call__(self, word: str, detail: str = "") -> None:
        """`word`: started, held, ended, lost or failed."""
        ...


def claim(folder: Folder) -> str:
    """Take the folder for the life of this process: "" when it may start, else held, ended or lost."""
    if folder.take_lock() is None:
        return "held"
    if folder.exit.exists():
        return "ended"
    return "lost" if folder.started.exists() else ""


def hold(path: Path, report: Report) -> None:
    """Hold the process of a folder, unless it is held, has ended or was lost."""
    folder = Folder(path)
    if word := claim(folder):
        return report(word)
    spec = folder.load(folder.spec)
    try:
        if spec is None:
            raise ValueError("there is no readable spec.json")
        supervisor = Supervisor(folder, spec)
        folder.reserve()
        folder.place(folder.started, {"version": VERSION, "holder": os.getpid()})
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
    ) as error:  # nothing was started: a later request may try again
        return report("failed", f"{type(error).__name__}: {error}")
    why = "start-failed"
    try:
        supervisor.start()
        report("started", supervisor.child.failure)
        why = "holder-lost"
        supervisor.run()
    except Exception as error:
        supervisor.child.end()
        folder.settle(ending(why, f"the holder failed: {type(error).__name__}: {error}"))
        report("ended")
        raise


def _flush(fd: int) -> str:
    """Have a file's content on disk; the system's reason when that failed."""
    try:
        getattr(os, "fdatasync", os.fsync)(fd)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _readable(fd: int) -> bool:
    with selectors.DefaultSelector() as probe:
        probe.register(fd, selectors.EVENT_READ)
        return bool(probe.select(0))
