"""Both ends of a preview: a server such as agents start, and a browser made by hand that sends what it is told to."""

import asyncio
import base64
import hashlib
import os
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

PATIENCE_S = 20.0

SERVER = r'''
import base64, hashlib, http.server, socket, struct, sys

class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        print(self.command, self.path, flush=True)
        if self.headers.get("Upgrade") == "websocket":
            return self.echo()
        body = f"{sys.argv[2]} heard {self.command} {self.path} of {self.headers['Host']}".encode()
        if "Content-Length" in self.headers:
            body += b": " + self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        for cookie in ("a=1; Domain=localhost; Path=/", "b=2; Path=/; dOmAiN = .localhost;HttpOnly"):
            self.send_header("Set-Cookie", cookie)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_DELETE = do_GET

    def echo(self):
        """One message of a WebSocket and back."""
        key = self.headers["Sec-WebSocket-Key"].encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key).digest()).decode())
        self.end_headers()
        while head := self.rfile.read(2):
            size = head[1] & 0x7F
            mask, data = self.rfile.read(4), self.rfile.read(size)
            text = bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
            self.wfile.write(struct.pack("BB", head[0], size) + text)
        self.close_connection = True

    def log_message(self, *_):
        pass

class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6 if ":" in sys.argv[3] else socket.AF_INET

server = Server((sys.argv[3], int(sys.argv[1])), Page)
print("serving", flush=True)
server.serve_forever()
'''
"""`python3 -c SERVER PORT NAME ADDRESS`: tells on standard output what reached it."""


def serves(port: int, name: str = "page", address: str = "127.0.0.1") -> tuple[str, ...]:
    """The command line of a server."""
    return ("python3", "-c", SERVER, str(port), name, address)


def port_of(url: str) -> int:
    """Where it is to be found."""
    return urlsplit(url).port or 80


def request(first: str, *fields: str, body: bytes = b"") -> bytes:
    """A request as bytes."""
    return "\r\n".join((first, *fields, "", "")).encode("latin-1") + body


async def sent(port: int, data: bytes) -> bytes:
    """All that is answered to these bytes until the line is closed."""
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(data)
            await writer.drain()
            return await reader.read()
        finally:
            writer.close()


async def got(url: str, path: str = "/", *fields: str, method: str = "GET", body: bytes = b"") -> bytes:
    """What a page that is loaded from there gets."""
    length = (f"Content-Length: {len(body)}",) if body else ()
    host = f"Host: {urlsplit(url).netloc}"
    return await sent(port_of(url), request(f"{method} {path} HTTP/1.1", host, *fields, *length, body=body))


def status(answer: bytes) -> int:
    """Of an answer."""
    return int(answer.split(b" ", 2)[1])


@asynccontextmanager
async def websocket(url: str, *fields: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]]:
    """A WebSocket by hand: both directions, and the answer's head."""
    key = base64.b64encode(os.urandom(16))
    head = request(
        "GET /socket HTTP/1.1",
        f"Host: {urlsplit(url).netloc}",
        *("Connection: keep-alive, Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"),
        f"Sec-WebSocket-Key: {key.decode()}",
        *fields,
    )
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(url))
        try:
            writer.write(head)
            answer = await reader.readuntil(b"\r\n\r\n")
            if status(answer) == 101:
                wanted = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
                assert b"Sec-WebSocket-Accept: " + base64.b64encode(wanted) in answer
            yield reader, writer, answer
        finally:
            writer.close()


async def echoed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: bytes) -> bytes:
    """What comes back for a short message."""
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(text))
    writer.write(struct.pack("BB", 0x81, 0x80 | len(text)) + mask + masked)
    head = await reader.readexactly(2)
    return await reader.readexactly(head[1] & 0x7F)
