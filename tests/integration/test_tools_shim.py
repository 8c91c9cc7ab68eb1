"""The program that brings a session's tools to agents which know standard input and output alone."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from heddle.relay import tools
from support.mcp import PATIENCE_S, STATELESS, TOKEN, request, served

COMMAND = (sys.executable, "-I", "-m", "heddle.relay.tools")
PLAIN = {"PATH": os.environ["PATH"]}


@dataclass
class Client:
    """An agent's program, by hand."""

    process: asyncio.subprocess.Process

    async def write(self, *messages: object) -> None:
        assert self.process.stdin is not None
        for message in messages:
            line = message if isinstance(message, bytes) else json.dumps(message).encode()
            self.process.stdin.write(line + b"\n")
        await self.process.stdin.drain()

    async def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        told: dict[str, Any] = json.loads(await asyncio.wait_for(self.process.stdout.readline(), PATIENCE_S))
        return told

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        await self.write(request(method, **params))
        return await self.read()


@asynccontextmanager
async def shim(url: str, *command: str, env: dict[str, str] | None = None) -> AsyncIterator[Client]:
    """It runs until the block ends, and ends by itself then."""
    told = {**PLAIN, "HEDDLE_TOOLS_URL": url, "HEDDLE_TOOLS_TOKEN": TOKEN} if env is None else env
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(command or COMMAND), stdin=pipe, stdout=pipe, stderr=pipe, env=told, limit=8_000_000
    )
    try:
        yield Client(process)
        assert process.stdin is not None
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_it_passes_on_what_is_asked_in_both_eras() -> None:
    """The address is in the environment of a process above it alone, as where agents start their servers bare."""
    above = f'env -i PATH="$PATH" {" ".join(COMMAND)}; true'
    async with served() as door, shim(door.url, "bash", "-c", above) as client:
        hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
        assert (await client.ask("initialize", **hello))["result"]["protocolVersion"] == "2025-06-18"
        await client.write({"jsonrpc": "2.0", "method": "notifications/initialized"})
        said = await client.ask("tools/call", name="echo", arguments={"title": "ä\u2028\n"})
        assert said["result"]["content"][0]["text"] == "ä\u2028\n"
        held = await client.ask("resources/read", uri="test://T1/plan")
        assert held["result"]["contents"][0]["text"] == "what plan holds"
        assert (await client.ask("nothing"))["error"]["code"] == -32601
        stateless = await client.ask("tools/call", name="echo", arguments={"title": "b"}, _meta=STATELESS)
        assert stateless["result"]["resultType"] == "complete"
        unknown = await client.ask("tools/call", name="ä", arguments={}, _meta=STATELESS)
        assert unknown["error"]["code"] == -32602


async def test_what_is_no_request_is_told_and_the_next_one_is_answered() -> None:
    async with served() as door, shim(door.url) as client:
        for line, code in (
            (b"{", -32700),
            (b"\xff", -32700),
            (b"[" * 100_000, -32700),
            (b"x" * 5_000_000, -32700),
            (b"[]", -32600),
            (b'{"id": {}, "method": "ping"}', -32600),
        ):
            await client.write(b"", line, {"id": 7, "result": {}}, {"method": 3})
            assert (await client.read())["error"]["code"] == code
        assert (await client.ask("ping"))["result"] == {}
        await client.write({"jsonrpc": "2.0", "id": "x", "method": 3})
        assert (await client.read())["error"]["code"] == -32600


async def test_what_is_cancelled_is_cancelled_and_others_go_on() -> None:
    async with served() as door, shim(door.url) as client:
        await client.write(request("tools/call", 1, name="wait", arguments={"title": "a"}))
        await client.write(request("tools/call", 2, name="wait", arguments={"title": "b"}))
        await door.waiting.until("came", 2)
        note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
        await client.write(note, note, {**note, "params": {"requestId": []}}, {**note, "params": None})
        await door.waiting.until("cancelled", 1)
        door.waiting.let_go.set()
        assert (await client.read())["id"] == 2
        assert (await client.ask("ping"))["id"] == 1
        await client.write(request("tools/call", 3, name="wait", arguments={"title": "c"}))


async def test_a_daemon_that_is_being_replaced_is_waited_for_and_one_that_dies_is_told_of() -> None:
    answer = json.dumps({"jsonrpc": "2.0", "id": None, "result": {}}).encode()
    answers = [
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer),
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
    ]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}}")
        writer.write(answers.pop(0))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        async with shim(f"http://127.0.0.1:{port}/mcp") as client:
            assert await client.ask("ping") == {"jsonrpc": "2.0", "id": 1, "result": {}}
            for _ in range(2):
                error = (await client.ask("ping"))["error"]
                assert error["code"] == -32000 and "went away before it answered" in error["message"]
    assert answers == []


def test_without_a_session_it_ends_at_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(tools, "environments", lambda: iter([{"HEDDLE_TOOLS_URL": "http://127.0.0.1:1/mcp"}]))
    assert tools.main() == 1
    assert capsys.readouterr().err == "this session has no tools of Heddle's\n"
