"""Enclosing a process between fork and exec, without namespaces: Landlock, a seccomp filter, limits; or Seatbelt.

A plan has `rules` (pairs of kind and path, see heddle.holder.landlock), `ports` of the loopback on which the session
may listen, `limits` by the names of setrlimit(2), and `tasks`: how many more than now its user may have. With `seatbelt`
the rules are those of heddle.holder.seatbelt, `profile` names the file for them, and no tasks are counted.
"""

import os
import socket
from collections.abc import Iterable
from typing import Any

from heddle.holder import landlock, seatbelt
from heddle.holder.box import filter, kernel
from heddle.holder.program import limit


def enclosed(plan: dict[str, Any], argv: list[str], connects: Iterable[int] = ()) -> list[str]:
    """What is to be started in the place of a program, so that it is enclosed. Raises OSError, ValueError."""
    if not plan.get("seatbelt"):
        return argv
    return seatbelt.enclosed(seatbelt.profile(plan["rules"], plan["ports"], connects), plan["profile"], argv)


def enclose(plan: dict[str, Any], connects: Iterable[int] = (), told: socket.socket | None = None) -> None:
    """For this process and whatever it starts, for ever. Raises OSError.

    It may connect to `connects` and to its own ports, all of the loopback, and asks for each socket on a listener that
    is sent on `told` (see heddle.holder.sockets). Without `told`, or without a port, it gets no network at all.
    """
    if plan.get("seatbelt"):  # by the program that stands before it
        return limit(plan["limits"])
    reachable = [*connects, *plan["ports"]] if told else []
    if reachable and landlock.abi() < landlock.PORTS:
        raise OSError(f"Landlock of this kernel knows no TCP ports (version {landlock.abi()})")
    limit(plan["limits"] | {"NPROC": tasks_of(os.getuid()) + plan["tasks"]})
    kernel.forgo_privileges()
    landlock.restrict(plan["rules"], plan["ports"], reachable)
    kernel.hold_no_capabilities()
    if told is None or not reachable:
        kernel.install_filter(filter.program(filter.Network.NONE))
        return
    requests = kernel.install_filter(filter.program(filter.Network.STREAMS), listener=True)
    socket.send_fds(told, [b"!"], [requests])
    os.close(requests)


def listener_of(told: socket.socket) -> int:
    """What the enclosed process sent on the other end of `told`; -1 when it may make no socket, or has ended."""
    _, fds, _, _ = socket.recv_fds(told, 1, 1)
    return fds[0] if fds else -1


def tasks_of(user: int) -> int:
    """Processes and threads of a user now: wherever they are, they count against its RLIMIT_NPROC."""
    found = 0
    for name in (name for name in os.listdir("/proc") if name.isdigit()):
        try:
            if os.stat(f"/proc/{name}").st_uid == user:
                found += len(os.listdir(f"/proc/{name}/task"))
        except OSError:
            continue
    return found
