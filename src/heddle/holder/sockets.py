"""The sockets of a session that shares the machine's network: its holder makes them, and ties each to the loopback.

Landlock's rules know ports and no addresses: who may connect to the port of the proxy may connect to that port of any
machine. So the session's filter (heddle.holder.box.filter) asks the holder for every TCP socket. The holder makes it,
bound to the loopback device for good, and puts it into the session: the kernel copies no memory of the session's that
could change meanwhile, and nothing but a number leaves the holder. What listens on such a socket is seen by this
machine alone.
"""

import errno
import fcntl
import os
import select
import socket
import struct
from contextlib import suppress

_RECEIVE, _ANSWER, _ADD = 0xC0502100, 0xC0182101, 0x40182103
_SEND_WITH_IT = 2
_LOOPBACK = b"lo"
_INT = 0x7FFFFFFF
_AT_ONCE = 64
"""Requests that are answered before the holder looks at anything else."""


def serve_sockets(requests: int) -> None:
    """Answer what is asked on a listener of the session's filter. Never waits."""
    poll = select.poll()
    poll.register(requests, select.POLLIN)
    for _ in range(_AT_ONCE):
        if not any(events & select.POLLIN for _, events in poll.poll(0)):
            return
        asked = bytearray(80)
        with suppress(OSError):  # whoever asked is gone
            fcntl.ioctl(requests, _RECEIVE, asked, True)
            _serve(requests, *struct.unpack_from("=Q24x3Q", asked))


def _serve(requests: int, id: int, family: int, kind: int, protocol: int) -> None:
    try:
        with socket.socket(family & _INT, kind & _INT, protocol & _INT) as made:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, _LOOPBACK)
            flags = os.O_CLOEXEC if kind & socket.SOCK_CLOEXEC else 0
            fcntl.ioctl(requests, _ADD, struct.pack("=QIIII", id, _SEND_WITH_IT, made.fileno(), 0, flags))
    except OSError as error:
        refusal = struct.pack("=QqiI", id, 0, -(error.errno or errno.EACCES), 0)
        fcntl.ioctl(requests, _ANSWER, bytearray(refusal), True)
