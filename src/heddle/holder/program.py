"""Starting a program: the fork, and its last steps, in which it becomes what it was made for."""

import os
import resource
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

RESTORED = tuple(map(int, signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}))
"""Worked out once, before the fork: every process that is started pays for what is done after it."""


def start_program(order: dict[str, Any], streams: Sequence[int], prepare: Callable[[], None]) -> tuple[int, str]:
    """Fork, and in there `become_program`; the pid once it runs, and why it could not be run."""
    told_read, told_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        become_program(order, streams, told_write, prepare)
    os.close(told_write)
    with os.fdopen(told_read, "rb") as told:
        return pid, told.read(4096).decode(errors="replace")


def become_program(order: dict[str, Any], streams: Sequence[int], told: int, prepare: Callable[[], None]) -> NoReturn:
    """In a fork: become `order`'s `argv` in its `cwd` with its `env`, or say on `told` why not and end with 127.

    `prepare` runs once this is a session of its own. Every descriptor but the streams closes itself at the exec.
    """
    what = "process"
    try:
        os.setsid()
        what = "sandbox"
        prepare()
        restore_signals()
        for target, fd in enumerate(streams):
            os.dup2(fd, target)
        what = f"folder '{order['cwd']}'"
        os.chdir(order["cwd"])
        what = f"program '{order['argv'][0]}'"
        os.execvpe(order["argv"][0], order["argv"], order["env"])
    except BaseException as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        os.write(told, f"{what}: {reason}".encode(errors="replace")[:4096])
    finally:
        os._exit(127)


def restore_signals() -> None:
    """Default actions for all, as a fresh program expects."""
    signal.set_wakeup_fd(-1)
    for number in RESTORED:
        if signal.getsignal(number) is not signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def limit(limits: Mapping[str, int]) -> None:
    """Resource limits by the names of setrlimit(2), for this process and whatever it starts; none is ever raised."""
    for name, value in limits.items():
        number = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(number)[1]
        least = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (least, least))
