"""The process that forks holders: it imported everything once, so that a holder costs a fork.

Requests come as JSON lines on one inherited socket: {"n": 1, "start": "<folder>"}. The holder itself answers
{"n": 1, "word": ...} with started, held, ended, lost or failed; once it is dead the zygote adds "gone", so that a
request whose holder was killed is answered too. When the daemon goes, the zygote goes; holders stay.
"""

import json
import os
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

from heddle.holder.reaper import reap
from heddle.holder.supervisor import hold


def serve(fd: int) -> None:
    """Fork a holder per request until the other end is gone."""
    connection = socket.socket(fileno=fd)
    connection.set_inheritable(False)
    requests: dict[int, int] = {}

    def on_child(*_: Any) -> None:
        for pid in reap():
            _tell(connection, requests.pop(pid, 0), "gone")

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, on_child)
    with connection.makefile("rb") as lines:
        for line in lines:
            request = json.loads(line)
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
            pid = os.fork()
            if pid == 0:
                _hold(connection, request["n"], Path(request["start"]))
            requests[pid] = request["n"]
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])


def _hold(connection: socket.socket, number: int, path: Path) -> NoReturn:
    """In the fork: become a holder."""
    status = 1

    def report(word: str, detail: str = "") -> None:
        _tell(connection, number, word, detail)
        if (fd := connection.detach()) >= 0:  # close() would leave it open: the zygote's reader refers to it
            os.close(fd)

    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
        hold(path, report)
        status = 0
    except BaseException:
        print(f"holder of '{path}'", file=sys.stderr)
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


def _tell(connection: socket.socket, number: int, word: str, detail: str = "") -> None:
    """Answer a request; a daemon that is gone asks again when it is back."""
    try:
        connection.sendall(json.dumps({"n": number, "word": word, "detail": detail}).encode() + b"\n")
    except OSError:
        return
