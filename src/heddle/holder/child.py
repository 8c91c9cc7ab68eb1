"""Starting the held process: a session of its own, default signals, nothing open but its three streams."""

import os
import signal
from dataclasses import dataclass
from typing import Any, NoReturn

from heddle.holder.folder import MARKER, SESSION
from heddle.holder.reaper import die_with_parent


@dataclass
class Child:
    """The process and our ends of its streams; `stdin` is -1 when it has none, `failure` says why it did not start."""

    pid: int
    stdin: int
    stdout: int
    stderr: int
    failure: str


def run_child(spec: dict[str, Any]) -> Child:
    """Fork and exec what the spec says; returns once the program runs or could not be run. Raises OSError."""
    stdin_read, stdin_write = os.pipe() if spec["stdin"] == "pipe" else (os.open(os.devnull, os.O_RDONLY), -1)
    stdout_read, stdout_write = os.pipe()
    stderr_read, stderr_write = os.pipe()
    told_read, told_write = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become(spec, (stdin_read, stdout_write, stderr_write), parent, told_write)
    for fd in (stdin_read, stdout_write, stderr_write, told_write):
        os.close(fd)
    failure = os.read(told_read, 4096).decode(errors="replace")
    os.close(told_read)
    for fd in (stdin_write, stdout_read, stderr_read):
        if fd >= 0:
            os.set_blocking(fd, False)
    return Child(pid, stdin_write, stdout_read, stderr_read, failure)


def _become(spec: dict[str, Any], streams: tuple[int, int, int], parent: int, told: int) -> NoReturn:
    """In the fork: become the program, or tell why not. Every other descriptor closes itself at the exec."""
    what = "process"
    try:
        os.setsid()
        die_with_parent(parent)
        _restore_signals()
        for target, fd in enumerate(streams):
            os.dup2(fd, target)
        what = f"folder '{spec['cwd']}'"
        os.chdir(spec["cwd"])
        what = f"program '{spec['argv'][0]}'"
        env = {**spec["env"], SESSION: spec["key"], MARKER: spec["marker"]}
        os.execvpe(spec["argv"][0], spec["argv"], env)
    except BaseException as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        os.write(told, f"{what}: {reason}".encode(errors="replace")[:4096])
    finally:
        os._exit(127)


def _restore_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
