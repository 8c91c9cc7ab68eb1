"""Finding and ending every process of a session, also those that left its group, its session and their parents."""

import ctypes
import os
import signal
import sys
import time
from typing import NamedTuple

from heddle.holder.folder import MARKER

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
LINUX = sys.platform.startswith("linux")
PAUSE_S = 0.002


class Process(NamedTuple):
    """A process as /proc tells it; one that is not alive waits for its parent to collect it."""

    pid: int
    parent: int
    group: int
    alive: bool


def become_subreaper() -> None:
    """Orphans among our descendants become our children, so that none escapes."""
    if LINUX:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent(parent: int) -> None:
    """The calling process is killed when `parent` dies (never let an agent run without its holder).

    It follows the thread that forked: fork only from the holder's main thread.
    """
    if LINUX:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before we asked
        os._exit(127)


def descendants(root: int) -> list[Process]:
    """All living processes below `root`, parents first, from /proc; empty where there is no /proc."""
    return [process for process in below(root) if process.alive]


def below(root: int) -> list[Process]:
    """As descendants, with those that wait to be collected."""
    children: dict[int, list[Process]] = {}
    for process in processes():
        children.setdefault(process.parent, []).append(process)
    found: list[Process] = []
    pending = [root]
    while pending:
        below = children.get(pending.pop(), [])
        found.extend(below)
        pending.extend(process.pid for process in below)
    return found


def children(pid: int) -> list[int]:
    """Children of a process, at once; none where the kernel keeps no such list."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                found += map(int, file.read().split())
    except OSError:  # a thread left, or there are no such files
        pass
    return found


def end_all(main: int) -> dict[int, int]:
    """Kill everything below the calling process until nothing is left; returns the wait statuses collected on the way.

    `main` leads the group that is all we can name where /proc is missing. Elsewhere the groups of our descendants are
    killed too: a chain of processes that each fork once and leave is too fast for pids, but not for its group. Such a
    group lies in a session that began below us, so it has no strangers in it.
    """
    ended: dict[int, int] = {}
    if main and not LINUX:
        send(main, signal.SIGKILL, group=True)
    while True:
        below = descendants(os.getpid())
        for group in {process.group for process in below} - {os.getpgrp()}:
            send(group, signal.SIGKILL, group=True)
        for process in below:
            send(process.pid, signal.SIGKILL)
        gone = reap()
        ended |= gone
        if not below and not gone:
            return ended
        time.sleep(PAUSE_S)


def end_marked(marker: str, patience_s: float = 10.0) -> int:
    """Kill every process that carries the marker, and what is below it; returns how many would not die in time."""
    deadline = time.monotonic() + patience_s
    while pids := marked(marker):
        if time.monotonic() > deadline:
            break
        for pid in pids:
            for below in descendants(pid):
                send(below.pid, signal.SIGKILL)
            send(pid, signal.SIGKILL)
        time.sleep(PAUSE_S)
    return len(pids)


def marked(marker: str) -> list[int]:
    """Living processes whose environment carries the marker, as far as we may read it."""
    wanted = f"{MARKER}={marker}".encode()
    return [process.pid for process in processes() if process.alive and wanted in _environment(process.pid)]


def _environment(pid: int) -> list[bytes]:
    """The environment of a process; when its main thread left, another one knows it."""
    try:
        threads = [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return []
    for thread in sorted(threads, key=lambda thread: thread != pid):
        try:
            with open(f"/proc/{pid}/task/{thread}/environ", "rb") as file:
                if told := file.read():
                    return told.split(b"\0")
        except OSError:
            continue
    return []


def reap() -> dict[int, int]:
    """Collect every child that has ended: pid -> wait status."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended[pid] = status


def send(pid: int, number: signal.Signals, *, group: bool = False) -> None:
    """A signal to a process or its group; no error when it is gone."""
    try:
        if group:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def processes() -> list[Process]:
    """Every process that can be seen from here."""
    try:
        names = os.listdir("/proc")
    except OSError:
        return []
    found = []
    for name in filter(str.isdigit, names):
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                about = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        state, parent, group, threads = about[0], about[1], about[2], about[17]
        alive = state != b"Z" or int(threads) > 1  # a main thread that left is a Z, also while other threads go on
        found.append(Process(int(name), int(parent), int(group), alive))
    return found
