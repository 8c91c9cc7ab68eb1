"""What a page tries against previews, be it the session's own or one from anywhere (attacks 43 to 45).

The server runs in a real box. Each attack is seen to get through where just its guard is taken away.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from heddle.adapters.previews import LocalPreviews, heads, server
from heddle.adapters.previews.server import Wish
from heddle.adapters.sandbox.box import Box
from heddle.adapters.sandbox.held import HeldProcess
from heddle.ports import Command
from support.boxes import Bench
from support.previews import got, port_of, request, sent, serves, status, websocket
from support.yard import heard

pytestmark = pytest.mark.needs("boxes")


@dataclass
class Victim:
    """A session's server, and the preview of it."""

    box: Box
    bench: Bench
    page: HeldProcess
    url: str
    dialled: int = 0

    @property
    def port(self) -> int:
        return port_of(self.url)

    async def require_reached(self, *wanted: str) -> None:
        """These requests came to the server, and no others."""
        async with asyncio.timeout(20):
            while len(found := self.page.load_output().decode().splitlines()[1:]) < len(wanted):
                await asyncio.sleep(0.01)
        assert found == list(wanted) and self.dialled == len(wanted)


@asynccontextmanager
async def shown(folder: Path) -> AsyncIterator[Victim]:
    with tempfile.TemporaryDirectory(prefix="hp-") as runtime:
        os.chmod(runtime, 0o700)
        bench = Bench(folder, Path(runtime))
        box, previews = bench.open(), LocalPreviews(lambda: Wish(True, 0))
        page = await box.start_in(bench.view(), Command("page", serves(3000), str(bench.checkout)))
        await heard(page, b"serving")
        victim = Victim(box, bench, page, await previews.open("t1", lambda: dial()))

        async def dial() -> object:
            victim.dialled += 1
            return await box.dial(bench.view(), 3000)

        try:
            yield victim
        finally:
            await previews.close()
            await bench.close()


@pytest.fixture
async def victim(tmp_path: Path) -> AsyncIterator[Victim]:
    async with shown(tmp_path) as made:
        yield made


def foreign(port: int) -> list[str]:
    """Names that may lead here, and for which no preview is open."""
    names = ("evil.example", "t1.localhost.evil.example", "t2.localhost", "localhost", "127.0.0.1", "[::1]")
    hosts = [f"Host: {name}:{port}" for name in names] + ["Host: t1.localhost", "Host: t1.localhost:1", "Host:"]
    return [*hosts, f"Host: t1.localhost:{port}, evil.example", f"Host: t1.localhost:{port}@evil.example"]


async def test_attack_43_who_comes_by_another_name_is_connected_to_nothing(victim: Victim) -> None:
    upgrade = ("Connection: Upgrade", "Upgrade: websocket")
    for host in foreign(victim.port):
        for more in ((), upgrade):
            answer = await sent(victim.port, request("GET /rebound HTTP/1.1", host, *more))
            assert status(answer) == 421, (host, answer)
            assert b"page heard" not in answer
    own = f"Host: t1.localhost:{victim.port}"
    for odd in (("GET http://evil.example/ HTTP/1.1", own), ("GET / HTTP/1.1", own, "Host: evil.example")):
        assert status(await sent(victim.port, request(*odd))) == 421
    second = request("GET / HTTP/1.1", own) + request("GET /rebound HTTP/1.1", "Host: evil.example")
    answer = await sent(victim.port, second)  # on a line that is kept, after a first one that may
    assert answer.count(b"page heard") == 1
    await victim.require_reached("GET /")


async def test_attack_43_is_a_real_one(victim: Victim, monkeypatch: pytest.MonkeyPatch) -> None:
    class Any(dict[str, server.Show]):
        def get(self, *_: object) -> server.Show:  # type: ignore[override]
            return next(iter(self.values()))

    made = LocalPreviews._serve

    async def regardless(self: LocalPreviews, client: object) -> None:
        self._shows = Any(self._shows)
        await made(self, client)  # type: ignore[arg-type]

    monkeypatch.setattr(LocalPreviews, "_serve", regardless)
    answer = await sent(victim.port, request("GET /rebound HTTP/1.1", f"Host: evil.example:{victim.port}"))
    assert b"page heard GET /rebound" in answer


ORIGINS = ("http://evil.example", "null", "http://t2.localhost:{port}", "http://localhost:{port}")
LIKE = ("https://t1.localhost:{port}", "http://t1.localhost", "http://t1.localhost:{port}/", "")


async def forged(victim: Victim, origin: str) -> list[int]:
    """What a foreign page tries that may do harm; the statuses it gets."""
    field = f"Origin: {origin.replace('{port}', str(victim.port))}"
    found = [status(await got(victim.url, "/forged", field, method=one, body=b"x")) for one in ("POST", "DELETE")]
    async with websocket(victim.url, field) as (_, _, answer):
        found.append(status(answer))
    return found


async def test_attack_44_a_foreign_page_sends_nothing_that_does_harm(victim: Victim) -> None:
    for origin in (*ORIGINS, *LIKE):
        assert await forged(victim, origin) == [403, 403, 403], origin
    own = f"Origin: http://t1.localhost:{victim.port}"
    for fields in ((own, "Origin: http://evil.example"), ("Origin: http://evil.example", own)):
        assert status(await got(victim.url, "/forged", *fields, method="POST", body=b"x")) == 403
    await victim.require_reached()
    assert await forged(victim, own.removeprefix("Origin: ")) == [200, 200, 101]
    await victim.require_reached("POST /forged", "DELETE /forged", "GET /socket")
    answer = await got(victim.url, "/", "Origin: http://evil.example")
    assert status(answer) == 200  # a link from elsewhere; that page may not read it, for nothing of ours allows it to
    assert b"access-control" not in answer.lower()


async def test_attack_44_is_a_real_one(victim: Victim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads.Request, "is_of", lambda self, origin: True)
    assert await forged(victim, "http://evil.example") == [200, 200, 101]


async def cookies(victim: Victim) -> list[bytes]:
    answer = await got(victim.url)
    return [line for line in answer.partition(b"\r\n\r\n")[0].split(b"\r\n") if line.lower().startswith(b"set-cookie")]


async def test_attack_45_a_cookie_is_for_no_other_name_than_the_one_that_was_asked(victim: Victim) -> None:
    assert await cookies(victim) == [b"Set-Cookie: a=1; Path=/", b"Set-Cookie: b=2; Path=/;HttpOnly"]


async def test_attack_45_is_a_real_one(victim: Victim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "_own", lambda line: line)
    assert await cookies(victim) == [
        b"Set-Cookie: a=1; Domain=localhost; Path=/",
        b"Set-Cookie: b=2; Path=/; dOmAiN = .localhost;HttpOnly",
    ]


async def test_many_at_once_get_each_their_own_answer(victim: Victim) -> None:
    answers = await asyncio.gather(*(got(victim.url, f"/{number}") for number in range(40)))
    for number, answer in enumerate(answers):
        assert f"GET /{number} of".encode() in answer
