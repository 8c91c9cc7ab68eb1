"""What a relay started, and all that came of it: found, collected and ended. From /proc, where there is one."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

LINUX = sys.platform.startswith("linux")
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_ROUNDS = 20


def become_subreaper() -> None:
    """Orphans among what we started become our children, so that none escapes."""
    if LINUX:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent(parent: int) -> Callable[[], None]:
    """What a fork does before it becomes a program, so that no agent runs without us."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl if LINUX else None

    def prepare() -> None:
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(127)

    return prepare


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


def kill_below() -> None:
    """Kill all that runs below us, groups and all, again and again until nothing does; the session's end does the rest."""
    for _ in range(_ROUNDS):
        found = below()
        if not found:
            return
        for pid, group in found:
            if group != os.getpgrp():
                send(group, signal.SIGKILL, group=True)
            send(pid, signal.SIGKILL)


def below() -> list[tuple[int, int]]:
    """(pid, group) of every living process below us; empty where there is no /proc."""
    children: dict[int, list[tuple[int, int]]] = {}
    try:
        names = [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []
    for name in names:
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                about = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        if about[0] != b"Z":
            children.setdefault(int(about[1]), []).append((int(name), int(about[2])))
    found: list[tuple[int, int]] = []
    pending = [os.getpid()]
    while pending:
        new = children.get(pending.pop(), [])
        found += new
        pending += [pid for pid, _ in new]
    return found


def send(pid: int, number: signal.Signals, *, group: bool = False) -> None:
    """A signal to a process or its group; no error when it is gone."""
    try:
        if group:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return
