"""The last steps of a fork: becoming the program it was made for."""

import os
import signal
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

RESTORED = tuple(map(int, signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}))
"""Worked out once, before the fork: every process that is started pays for what is done after it."""


def become_program(order: dict[str, Any], streams: Sequence[int], told: int, prepare: Callable[[], None]) -> NoReturn:
    """In a fork: become `order`'s `argv` in its `cwd` with its `env`, or say on `told` why not and end with 127.

    `prepare` runs once this is a session of its own. Every descriptor but the streams closes itself at the exec.
    """
    what = "process"
    try:
        os.setsid()
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
