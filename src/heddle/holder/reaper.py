"""Finding and ending every process of a session, also those that left its group, its session and their parents."""

import ctypes
import os
import signal
import sys
import time

from heddle.holder.folder import MARKER

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
LINUX = sys.platform.startswith("linux")


def become_subreaper() -> None:
    """Orphans among our descendants become our children, so that none escapes."""
    if LINUX:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent() -> None:
    """The calling process is killed when its parent dies (never let an agent run without its holder)."""
    if LINUX:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def descendants(root: int) -> list[int]:
    """All living processes below `root`, from /proc; empty where there is no /proc."""
    children: dict[int, list[int]] = {}
    for pid, parent, state in _processes():
        if state != "Z":
            children.setdefault(parent, []).append(pid)
    found: list[int] = []
    pending = [root]
    while pending:
        below = children.get(pending.pop(), [])
        found.extend(below)
        pending.extend(below)
    return found


def marked(key: str) -> list[int]:
    """Processes of this user whose environment carries the session's marker."""
    wanted = f"{MARKER}={key}".encode()
    found = []
    for pid, _, state in _processes():
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if state != "Z" and wanted in file.read().split(b"\0"):
                    found.append(pid)
        except OSError:
            continue
    return found


def _processes() -> list[tuple[int, int, str]]:
    """(pid, parent, state) of every process."""
    found = []
    try:
        names = os.listdir("/proc")
    except OSError:
        return []
    for name in names:
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        found.append((int(name), int(fields[1]), fields[0].decode()))
    return found


def end_all(root: int, main: int | None) -> dict[int, int]:
    """Kill everything below `root` until nothing is left; returns the wait statuses collected on the way.

    `main` names the group to kill, which is all that can be done where /proc is missing.
    """
    ended: dict[int, int] = {}
    if main is not None:
        send(main, signal.SIGKILL, group=True)
    while True:
        below = descendants(root)
        for pid in below:
            send(pid, signal.SIGKILL)
        gone = reap()
        ended |= gone
        if not below and not gone:
            return ended
        time.sleep(0.002)


def end_marked(key: str) -> None:
    """Kill every process that carries the marker until none is left."""
    while pids := marked(key):
        for pid in pids:
            send(pid, signal.SIGKILL)
        time.sleep(0.002)


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
