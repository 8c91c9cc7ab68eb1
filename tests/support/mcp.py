"""A server of tools on a free port, and what a client by hand says to it."""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import httpx
import msgspec
import uvicorn

from heddle.core.errors import UserError
from heddle.server.daemon import Listener
from heddle.server.mcp.app import PATH, application
from heddle.server.mcp.offer import Shelf, Tool
from heddle.server.mcp.wire import ListedResource, ListedTemplate

TOKEN = "a-token-of-this-session"
INSTRUCTIONS = "Read your task first."
PATIENCE_S = 30.0
VERSION = "io.modelcontextprotocol/protocolVersion"
STATELESS = {VERSION: "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}

Json = dict[str, Any]


class Place(msgspec.Struct, forbid_unknown_fields=True):
    """Where something lies."""

    path: Annotated[str, msgspec.Meta(description="From the top of the repository.", min_length=1)]
    line: Annotated[int, msgspec.Meta(ge=1)] = 1


class Said(msgspec.Struct, forbid_unknown_fields=True):
    """Arguments of an echo."""

    title: Annotated[str, msgspec.Meta(description="What to say.")]
    times: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1
    places: list[Place] = []
    nearest: Place | None = None
    kind: Literal["plain", "loud"] = "plain"


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """No arguments."""


@dataclass
class Waiting:
    """A tool that waits: who came, who was let go, and who was cancelled."""

    came: int = 0
    cancelled: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait(self, said: Said) -> str:
        """Wait to be let go."""
        await self._count("came")
        try:
            await self.let_go.wait()
        except asyncio.CancelledError:
            await self._count("cancelled")
            raise
        return said.title

    async def _count(self, what: str) -> None:
        async with self.changed:
            setattr(self, what, getattr(self, what) + 1)
            self.changed.notify_all()

    async def until(self, what: str, number: int) -> None:
        """Until so many came, or were cancelled."""
        async with asyncio.timeout(PATIENCE_S), self.changed:
            await self.changed.wait_for(lambda: getattr(self, what) >= number)


async def _echo(said: Said) -> str:
    return said.title * said.times


async def _fail(_: Nothing) -> str:
    raise UserError("there is no task 'T9'", slug="no-task", hint="heddle list")


async def _break(_: Nothing) -> str:
    raise KeyError("a secret of ours")


def tools(waiting: Waiting) -> list[Tool]:
    """One of each kind, not in the order of the alphabet."""
    return [
        Tool("wait", "Wait to be let go.", Said, waiting.wait),
        Tool("echo", "Say it again.", Said, _echo, reads_only=True),
        Tool("fail", "Fail as what is asked for fails.", Nothing, _fail),
        Tool("break", "Fail as a program fails.", Nothing, _break),
    ]


async def _read(uri: str) -> str:
    if uri == "test://broken":
        raise KeyError("a secret of ours")
    if uri not in ("test://T1/plan", "test://T1/files/%C3%A4%20b"):
        raise UserError("there is no such resource", slug="no-such-resource", hint="list them")
    return f"what {uri.rpartition('/')[2]} holds\x1b"


SHELF = Shelf(
    lambda: (ListedResource("test://T1/plan", "plan", "What is to be done."),),
    (ListedTemplate("test://T1/files/{+path}", "file", "A file."),),
    _read,
)


@dataclass
class Door:
    """A server, and how it is spoken to."""

    port: int
    waiting: Waiting
    client: httpx.AsyncClient

    @property
    def url(self) -> str:
        """Where it is served."""
        return f"http://127.0.0.1:{self.port}{PATH}"

    async def post(self, body: object, headers: dict[str, str] | None = None) -> httpx.Response:
        """One POST, with the token and the type of content unless others are given."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json", **(headers or {})}
        return await self.client.post(self.url, content=content, headers=given)

    async def ask(self, method: str, **params: Any) -> Json:
        """The answer to a request as clients with a handshake make it."""
        answer = await self.post(request(method, **params), {"MCP-Protocol-Version": "2025-11-25"})
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/json"
        return answer.json()

    async def call(self, tool: str, **arguments: Any) -> Json:
        """The result of a tool."""
        return (await self.ask("tools/call", name=tool, arguments=arguments))["result"]

    async def say(self, method: str, headers: dict[str, str] | None = None, **params: Any) -> httpx.Response:
        """A request as clients without a handshake make it; `headers` are on top of the right ones."""
        right = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method}
        for name in ("name", "uri"):
            if name in params:
                right["Mcp-Name"] = params[name]
        return await self.post(request(method, **{"_meta": STATELESS, **params}), {**right, **(headers or {})})

    @asynccontextmanager
    async def line(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A connection to write anything to."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1024)
        try:
            async with asyncio.timeout(PATIENCE_S):
                yield reader, writer
        finally:
            writer.close()

    async def raw(self, text: bytes) -> bytes:
        """All that comes back on a connection of its own, until the server ends it."""
        async with self.line() as (reader, writer):
            writer.write(text)
            return await reader.read(-1)


def request(method: str, id: Any = 1, **params: Any) -> Json:
    """A request."""
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params}


def head(*lines: str, length: int = 0, http: str = "1.1", token: str = TOKEN) -> bytes:
    """The head of a POST by hand; no Host but among the lines."""
    usual = [f"Authorization: Bearer {token}", "Content-Type: application/json", f"Content-Length: {length}"]
    return "\r\n".join([f"POST {PATH} HTTP/{http}", *usual, *lines, "", ""]).encode()


@asynccontextmanager
async def served() -> AsyncIterator[Door]:
    """A server that is told when it is over."""
    waiting = Waiting()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        app = application("heddle", "1.2.3", INSTRUCTIONS, tools(waiting), TOKEN, SHELF)
        server = Listener(uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1))
        logging.getLogger("uvicorn.access").disabled = True
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S) as client:
                yield Door(listening.getsockname()[1], waiting, client)
        finally:
            waiting.let_go.set()
            await _until_left(server)
            server.over.set()
            await asyncio.wait_for(serving, PATIENCE_S)


async def _until_left(server: uvicorn.Server) -> None:
    """Until nobody is connected, or a moment: the server's own wait has a tenth of a second as its grain."""
    loop = asyncio.get_running_loop()
    end = loop.time() + 1
    while server.server_state.connections and loop.time() < end:
        await asyncio.sleep(0)
