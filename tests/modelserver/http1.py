"""As much of HTTP/1.1 as agent programs need, on asyncio streams: a waiting answer can end at any time."""

import asyncio
import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Request:
    """A request; header names in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


async def next_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request of a connection; None when the client left."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await _body(reader, headers)
    except (asyncio.IncompleteReadError, ConnectionError, ValueError):
        return None
    path, _, query = target.partition("?")
    return Request(method, path, query, headers, body)


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        parts = []
        while size := int((await reader.readline()).strip() or b"0", 16):
            parts.append(await reader.readexactly(size))
            await reader.readline()
        await reader.readline()
        body = b"".join(parts)
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    return gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body


class Response:
    """The writing end of one exchange."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.status = 0

    async def json(self, status: int, data: Any, headers: Mapping[str, str] | None = None) -> None:
        """A whole answer."""
        body = json.dumps(data).encode()
        self._head(status, {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})})
        self._writer.write(body)
        await self._writer.drain()

    async def start_events(self, headers: Mapping[str, str]) -> None:
        """Begin a stream of server-sent events."""
        self._head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked", **headers})
        await self._writer.drain()

    async def event(self, name: str, data: Any) -> None:
        """One event of the stream; where a dialect does not name its events, `name` is empty."""
        head = f"event: {name}\n" if name else ""
        await self._chunk(f"{head}data: {json.dumps(data)}\n\n")

    async def data(self, data: Any) -> None:
        """One event that has no name; a text is sent as it is."""
        await self._chunk(f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n")

    async def _chunk(self, text: str) -> None:
        told = text.encode()
        self._writer.write(b"%x\r\n%s\r\n" % (len(told), told))
        await self._writer.drain()

    async def end_events(self) -> None:
        """Close the stream."""
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.status = status
        lines = [f"HTTP/1.1 {status} Scripted", *(f"{name}: {value}" for name, value in headers.items())]
        self._writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
