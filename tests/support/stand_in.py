"""A daemon that only speaks the transport: real HTTP on the real socket, with answers that a test names."""

import json
import os
import threading
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from heddle import places

Answer = dict[str, Any] | bytes | Callable[[dict[str, Any]], dict[str, Any] | bytes]


class StandIn(ThreadingMixIn, UnixStreamServer):
    """`answers` by method: a dictionary is sent as JSON (with "error" as a failure), bytes as they are, and then the line
    is closed. `asked` keeps every call; `events` are streamed to who follows, then the line is closed."""

    daemon_threads = True
    request_queue_size = 32

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.events: Iterable[dict[str, Any]] = ()
        self.asked: list[tuple[str, dict[str, Any]]] = []
        super().__init__(places.daemon_socket(), Line)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def calls(self, method: str) -> list[dict[str, Any]]:
        """The parameters of every call of a method."""
        return [parameters for name, parameters in self.asked if name == method]

    def close(self) -> None:
        """Stop serving, and leave no socket behind."""
        self.shutdown()
        self.server_close()
        self._thread.join()
        Path(os.fsdecode(self.server_address)).unlink(missing_ok=True)  # type: ignore[arg-type]


class Line(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: StandIn

    def address_string(self) -> str:
        """A unix socket has none."""
        return "-"

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        """Call a method."""
        method = self.path.removeprefix("/v1/")
        parameters = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((method, parameters))
        answer = self.server.answers[method]
        told = answer(parameters) if callable(answer) else answer
        if isinstance(told, bytes):
            self.wfile.write(told)
            self.close_connection = True
            return
        body = json.dumps(told).encode()
        self.send_response(400 if "error" in told else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        """Follow the events."""
        asked = parse_qs(urlsplit(self.path).query)
        self.server.asked.append(("events.follow", {name: values[0] for name, values in asked.items()}))
        self.send_response(200)
        self.end_headers()
        for event in self.server.events:
            self.wfile.write(f"id: {event['position']}\ndata: {json.dumps(event)}\n\n".encode())
        self.close_connection = True
