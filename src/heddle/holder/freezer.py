"""Stopping every process of a session where it is, and letting it go on: nothing is lost, nothing runs meanwhile."""

import os
import signal
import time
from contextlib import suppress

from heddle.holder.reaper import LINUX, Process, below, children, descendants, processes, send

PAUSE_S = 0.005
STUCK_S = 1.0
"""What waits in the kernel for so long while all else is stopped waits for that, as for a child of vfork. It stops
before it comes back out."""

CHASE_S = 0.02
"""How long new processes are chased between two looks at all of them."""

PATIENCE_S = 20.0
"""How long the processes may keep each other going, by forks or by signals, before they count as not to be frozen."""

_STOPPED = b"T"
_STILL = frozenset((_STOPPED, b"t", b"Z", b"X"))
_WAITS = frozenset((b"D",))
_HOST = "pid:[4026531836]"
"""The machine's own namespace of processes: its number is a constant of the kernel."""


class Freezer:
    """Freezes what is below the calling process.

    `whole`: the caller works in a box. There one call stops everything at once, and no fork escapes it; what is not
    below is let go on right away. Elsewhere processes and their groups are stopped one by one, again and again.
    """

    def __init__(self, *, whole: bool = False) -> None:
        self.whole = whole and _is_apart()
        self.frozen = False
        self._rested = frozenset[int]()

    def freeze(self) -> bool:
        """Stop everything; False when that cannot be had, and then it goes on. Idempotent."""
        if self.frozen or not LINUX:
            return self.frozen
        ours = processes() if self.whole else descendants(os.getpid())
        self._rested = frozenset(process.pid for process in ours if _STOPPED in _states(process.pid) <= _STILL)
        began = since = time.monotonic()
        before: tuple[frozenset[Process], dict[int, frozenset[bytes]]] = (frozenset(), {})
        while True:
            self._stop()
            found = frozenset(below(os.getpid()))
            awake = {one.pid: told for one in found if one.alive and (told := _states(one.pid) - _STILL)}
            now = time.monotonic()
            if (found, awake) != before:
                before, since = (found, awake), now
            elif not awake or (set(awake.values()) == {_WAITS} and now > since + STUCK_S):
                self.frozen = True
                return True
            if now > began + PATIENCE_S:
                self.thaw()
                return False
            if since == now and not self.whole:
                self._chase()
            else:
                time.sleep(PAUSE_S)

    def thaw(self) -> None:
        """Let it go on, but for what had stopped by itself."""
        self._wake(descendants(os.getpid()))
        self.frozen = False

    def _stop(self) -> None:
        if not self.whole:
            ours = descendants(os.getpid())
            for group in {process.group for process in ours} - {os.getpgrp()}:
                send(group, signal.SIGSTOP, group=True)
            for process in ours:
                send(process.pid, signal.SIGSTOP)
            return
        send(-1, signal.SIGSTOP)
        known = {process.pid for process in below(os.getpid())}
        self._wake([process for process in processes() if process.pid not in known])

    def _chase(self) -> None:
        """A chain of processes that each fork once and leave is born faster than all of them are looked at; whoever of it
        lost its parent is our child, and these can be looked at in no time.
        """
        until = time.monotonic() + CHASE_S
        while time.monotonic() < until:
            for pid in children(os.getpid()):
                with suppress(ProcessLookupError):
                    group = os.getpgid(pid)
                    if group != os.getpgrp():
                        send(group, signal.SIGSTOP, group=True)
                send(pid, signal.SIGSTOP)

    def _wake(self, stopped: list[Process]) -> None:
        """Children first, so that no parent sees a stopped one. Groups too: only a signal to all of a group reaches the
        child of a fork that is under way, which else would stop as its parent was told to."""
        for process in reversed(stopped):
            if process.pid not in self._rested:
                send(process.pid, signal.SIGCONT)
        resting = {process.group for process in stopped if process.pid in self._rested}
        for group in {process.group for process in stopped} - resting:
            send(group, signal.SIGCONT, group=True)


def _is_apart() -> bool:
    """Whether only processes of a box can be seen and reached from here."""
    try:
        return os.readlink("/proc/self/ns/pid") != _HOST
    except OSError:
        return False


def _states(pid: int) -> frozenset[bytes]:
    """The states of a process's threads; empty when it is gone."""
    found = set()
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/stat", "rb") as file:
                found.add(file.read().rpartition(b")")[2].split()[0])
    except OSError:  # it, or one of them, left: the next look sees what is left
        pass
    return frozenset(found)
