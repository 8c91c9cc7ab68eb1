"""A short command in a sandbox without namespaces, on the streams of whoever starts this program, and nothing of it left.

The program stays outside, the parent of all that the command starts. A SIGTERM ends everything, and so does the end of
its own parent.
"""

import json
import os
import signal
from contextlib import suppress
from typing import Any, NoReturn

from heddle.holder.box.entry import KEPT
from heddle.holder.box.kernel import end_with_parent
from heddle.holder.confined import enclose, enclosed
from heddle.holder.program import limit, start_program
from heddle.holder.reaper import LINUX, become_subreaper, die_with_parent, end_all


def run_errand(path: str, argv: list[str]) -> int:
    """Run a command by the plan in a file, which names its `env` beside what `enclose` takes; its exit status.

    Where a signal ended it, the same one ends this program.
    """
    with open(path, "rb") as file:
        plan: dict[str, Any] = json.load(file)
    become_subreaper()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _leave)
    if LINUX:
        end_with_parent(signal.SIGTERM)
    env = {name: os.environ[name] for name in KEPT if name in os.environ} | plan["env"]
    parent = os.getpid()

    def prepare() -> None:
        die_with_parent(parent)
        enclose(plan)

    order = {"argv": enclosed(plan, argv), "cwd": "/", "env": env}
    pid, failure = start_program(order, (0, 1, 2), prepare)
    if failure:
        os.write(2, f"{failure}\n".encode())
    status = os.waitpid(pid, 0)[1]
    end_all(pid)
    if os.WIFSIGNALED(status):
        limit({"CORE": 0})
        with suppress(OSError):  # that of SIGKILL is never another
            signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    return os.waitstatus_to_exitcode(status)


def _leave(number: int, _: object) -> NoReturn:
    end_all(0)
    os._exit(128 + number)
