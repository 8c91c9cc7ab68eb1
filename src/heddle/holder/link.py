"""One connection of a daemon to a holder: JSON lines, both ways. Garbage costs only the connection that sent it."""

import json
import os
import selectors
import socket
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from heddle.holder.supervisor import Supervisor

FRAME_LIMIT = 32 * 1024 * 1024


class Link:
    """Reads requests, answers them, pushes news to a subscriber."""

    def __init__(self, connection: socket.socket, owner: "Supervisor") -> None:
        self.socket = connection
        self.owner = owner
        self.subscribed = False
        self.incoming = bytearray()
        self.outgoing = bytearray()
        connection.setblocking(False)
        if peer_uid(connection) not in (None, os.getuid()):
            connection.close()
            return
        owner.selector.register(connection, selectors.EVENT_READ, self.on_ready)

    def on_ready(self) -> None:
        """Bytes came, or there is room for ours."""
        self._drain()
        try:
            data = self.socket.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            return self.drop()
        if not data:
            return self.drop()
        self.incoming += data
        if b"\n" in data:
            *lines, self.incoming = self.incoming.split(b"\n")
            if not all(self._obey(bytes(line)) for line in lines):
                return self.drop()
        if len(self.incoming) > FRAME_LIMIT:
            self.drop()

    def _obey(self, line: bytes) -> bool:
        """Carry out one request; False when it makes no sense."""
        try:
            request = json.loads(line)
            answer = self._answer(request)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return False
        self.tell({"n": request.get("n"), **answer})
        return True

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        owner = self.owner
        match request["op"]:
            case "hello":
                return owner.hello()
            case "subscribe":
                self.subscribed = True
                return {"size": owner.size}
            case "input":
                return {"fresh": owner.accept(str(request["id"]), str(request["data"]))}
            case "close-input":
                owner.close_input()
            case "stop":
                why, detail = str(request.get("why", "stopped")), str(request.get("detail", ""))
                owner.stop(_seconds(request["grace_s"]), why, detail)
            case "freeze":
                return {"frozen": owner.freeze()}
            case "thaw":
                owner.thaw()
            case "sync":
                owner.sync()
            case _:
                return {"error": "unknown"}  # of a newer daemon, which can then do without
        return {"ok": True}

    def tell(self, message: dict[str, Any]) -> None:
        """Queue one line; a client that reads nothing is dropped before it costs memory."""
        self.outgoing += json.dumps(message).encode() + b"\n"
        if len(self.outgoing) > FRAME_LIMIT:
            return self.drop()
        self._drain()

    def _drain(self) -> None:
        try:
            while self.outgoing:
                del self.outgoing[: self.socket.send(self.outgoing)]
        except BlockingIOError:
            self._watch(selectors.EVENT_READ | selectors.EVENT_WRITE)
            return
        except OSError:
            return self.drop()
        self._watch(selectors.EVENT_READ)

    def _watch(self, events: int) -> None:
        if self.socket.fileno() >= 0 and self.socket in self.owner.selector.get_map():
            self.owner.selector.modify(self.socket, events, self.on_ready)

    def flush(self, timeout_s: float) -> None:
        """Send what is queued, within a bound, before the holder leaves."""
        try:
            self.socket.settimeout(timeout_s)
            self.socket.sendall(self.outgoing)
        except OSError:
            return

    def drop(self) -> None:
        """Forget this connection."""
        self.owner.links.discard(self)
        if self.socket.fileno() >= 0 and self.socket in self.owner.selector.get_map():
            self.owner.selector.unregister(self.socket)
        self.socket.close()


def _seconds(value: Any) -> float:
    """A grace that makes sense; ValueError for all else (a NaN would never come due)."""
    if not 0 <= value <= 86_400:
        raise ValueError(value)
    return float(value)


def peer_uid(connection: socket.socket) -> int | None:
    """The user at the other end, where the system tells."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", packed)[1])
