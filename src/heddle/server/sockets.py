"""Sockets of ours that nobody else may reach."""

import os
import socket
from contextlib import suppress


def listen(path: str) -> socket.socket:
    """A listening unix socket that only we may use, in place of what an earlier process of ours left there.

    Whoever holds the lock on the state folder may do that. Nothing waits in here: the mask is that of the whole process.
    Raises OSError.
    """
    with suppress(FileNotFoundError):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        listener.bind(path)
    finally:
        os.umask(mask)
    listener.listen(128)
    return listener
