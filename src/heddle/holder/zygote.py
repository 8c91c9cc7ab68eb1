"""The process that forks holders: it imported everything once, so that a holder costs a fork.

Requests come as JSON lines on one inherited socket: {"n": 1, "start": "<folder>"}; the answer is {"n": 1, "word": ...}
with started, held, ended or lost. When the daemon goes, the zygote goes; holders stay.
"""

import json
import os
import signal
import socket
import sys
import traceback
from pathlib import Path

from heddle.holder.supervisor import hold


def serve(fd: int) -> None:
    """Fork a holder per request until the other end is gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = socket.socket(fileno=fd)
    with connection.makefile("rb") as requests:
        for line in requests:
            request = json.loads(line)
            if os.fork() == 0:
                _hold(connection, request["n"], Path(request["start"]))


def _hold(connection: socket.socket, number: int, path: Path) -> None:
    """In the fork: become a holder. Never returns."""
    status = 1

    def report(word: str) -> None:
        connection.sendall(json.dumps({"n": number, "word": word}).encode() + b"\n")
        connection.close()

    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        hold(path, report)
        status = 0
    except BaseException:
        with open(path / "holder-crash", "a") as file:
            traceback.print_exc(file=file)
    finally:
        os._exit(status)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
