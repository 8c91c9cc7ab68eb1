"""What is said between a box and outside: JSON with a length of four bytes before it, and descriptors that come with it.

A module of its own: who has one command run in a box loads little else, and does so anew for each.
"""

import json
import os
import socket
import struct
from typing import Any

FRAME_LIMIT = 16 * 1024 * 1024


def tell(connection: socket.socket, message: dict[str, Any], descriptors: list[int] | None = None) -> None:
    """Send a frame. Raises OSError."""
    data = json.dumps(message).encode()
    frame = struct.pack("=I", len(data)) + data
    if descriptors:
        sent = socket.send_fds(connection, [frame], descriptors)
        frame = frame[sent:]
    connection.sendall(frame)


def receive(connection: socket.socket, descriptors: int = 0) -> tuple[dict[str, Any] | None, list[int]]:
    """A frame and what came with it (all of the descriptors, or none); None at the end.

    Raises ValueError for a frame that makes no sense.
    """
    head, fds = _exactly(connection, 4, descriptors)
    if not head:
        return None, fds
    size = struct.unpack("=I", head)[0]
    if size > FRAME_LIMIT:
        raise ValueError(size)
    message = json.loads(_exactly(connection, size)[0])
    if not isinstance(message, dict) or len(fds) not in (0, descriptors):
        raise ValueError(message)
    return message, fds


def _exactly(connection: socket.socket, size: int, descriptors: int = 0) -> tuple[bytes, list[int]]:
    data, fds = bytearray(), list[int]()
    while len(data) < size:
        if descriptors:
            piece, came, _, _ = socket.recv_fds(connection, size - len(data), descriptors)
            for fd in came:
                os.set_inheritable(fd, False)
            fds += came
        else:
            piece = connection.recv(size - len(data))
        if not piece:
            break
        data += piece
    return bytes(data) if len(data) == size else b"", fds
