"""The way from a session to its tools: a socket of the daemon, reached at an address that only the session has."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from heddle.adapters.sandbox.box import Box
from heddle.adapters.sandbox.held import HeldProcess
from heddle.adapters.sandbox.landlock import Landlock
from heddle.adapters.sandbox.none import Unconfined
from heddle.core.session import TOOLS
from heddle.holder import egress
from heddle.ports import Command, Mount, View
from support.boxes import Bench

ASK = """
import http.client, os, sys
at = os.environ["AT"].split("/")[2]
assert sys.argv[1] == f'url="http://{at}/mcp"', sys.argv
assert os.environ["WORDS"] == sys.argv[2] == 'why="http://heddle-tools.invalid/mcp" is no="http://heddle-tools.invalid/mcp"'
connection = http.client.HTTPConnection(at, timeout=20)
connection.request("POST", "/mcp", os.environ["WHO"])
answer = connection.getresponse()
print(at.split(":")[0], answer.status, answer.read().decode())
"""


@dataclass
class Desk:
    """Answers on a unix socket with what it was asked, in its own name."""

    path: Path
    name: str

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        server = await asyncio.start_unix_server(self._answer, self.path)
        async with server:
            yield

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.lower().splitlines() if line.startswith(b"content-len"))
        said = self.name.encode() + b" heard " + await reader.readexactly(length)
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(said), said))
        await writer.drain()
        writer.close()


@pytest.fixture(params=["none", "landlock", pytest.param("box", marks=pytest.mark.needs("boxes"))])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> "Place":
    (runtime := Path(os.environ["HEDDLE_RUNTIME_DIR"])).mkdir(mode=0o700)
    return Place(request.param, Bench(tmp_path, runtime))


@dataclass
class Place:
    """Where a session runs, in one of the sandboxes."""

    tier: str
    bench: Bench

    async def ask(self, key: str, desk: Path) -> str:
        """What a session of that key is told that asks for its tools."""
        sandboxes = {"none": Unconfined, "landlock": Landlock, "box": Box}
        bench = self.bench
        sandbox = sandboxes[self.tier](bench.folder / "held", bench.runtime, bench.environment)
        if self.tier == "box":
            view = bench.view(key)
        else:
            (home := bench.folder / "homes" / key).mkdir(parents=True, exist_ok=True)
            source = str(bench.folder)
            view = View(key, (Mount("write", source, source=source),), str(home), str(home / "lock"))
        url = f"http://{TOOLS}/mcp"
        words = f'why="{url}" is no="{url}"'  # somebody's own
        argv = (sys.executable, "-c", ASK, f'url="{url}"', words)
        env = {"AT": url, "WHO": key, "WORDS": words}
        command = Command(key, argv, str(bench.checkout), env, tools=str(desk))
        try:
            held: HeldProcess = await sandbox.start_in(view, command)
            ended = await asyncio.wait_for(held.exit(), 60)
            assert ended.ok, held.load_errors()
            return held.load_output().decode().strip()
        finally:
            await sandbox.close_box(key)
            await sandbox.close()


async def test_a_session_reaches_its_own_tools_at_an_address_that_it_is_told(place: Place) -> None:
    one, other = (Desk(place.bench.runtime / f"{name}.t", name) for name in ("one", "other"))
    async with one.open(), other.open():
        told = await asyncio.gather(place.ask("a", one.path), place.ask("b", other.path))
    address = "127.77.77.77" if place.tier == "box" else "127.0.0.1"
    assert told == [f"{address} 200 one heard a", f"{address} 200 other heard b"]


async def test_while_nobody_serves_them_that_is_said(place: Place) -> None:
    assert (await place.ask("a", place.bench.runtime / "nobody.t")).split()[1] == "503"


def test_the_word_for_the_address_is_the_same_on_both_sides() -> None:
    assert TOOLS == egress.TOOLS
