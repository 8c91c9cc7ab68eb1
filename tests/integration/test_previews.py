"""The proxy of previews, between sockets: what goes through as it is, what goes no further, and what it may cost."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from heddle.adapters.previews import LocalPreviews, passing, server
from heddle.adapters.previews.server import Wish
from heddle.core.errors import OutsideError, SetupError
from heddle.ports import STREAM_LIMIT, Streams
from support.previews import got, port_of, request, sent, status, websocket

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Shown:
    """A server that says what it is told to, whatever it is asked, and keeps what it heard. `stays`: it never hangs up."""

    said: bytes = OK
    stays: bool = False
    heard: list[bytes] = field(default_factory=list)
    dialled: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def dial(self) -> Streams:
        self.dialled += 1
        return await asyncio.open_connection("127.0.0.1", self.port, limit=STREAM_LIMIT)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard.append(b"")
        at = len(self.heard) - 1
        try:
            while piece := await reader.read(65_536):
                first = not self.heard[at]
                self.heard[at] += piece
                if first and self.said:
                    writer.write(self.said)
                    if not self.stays:
                        writer.write_eof()
        except OSError:
            pass
        finally:
            self.left.set()
            writer.close()

    def close(self) -> None:
        self._server.close()


@pytest.fixture
async def shown() -> AsyncIterator[Shown]:
    made = Shown()
    await made.start()
    yield made
    made.close()


@pytest.fixture
async def previews() -> AsyncIterator[LocalPreviews]:
    made = LocalPreviews(lambda: Wish(True, 0))
    yield made
    await made.close()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)


async def test_previews_are_off_until_the_person_says_otherwise(shown: Shown) -> None:
    wish = Wish(False, 0)
    made = LocalPreviews(lambda: wish)
    with pytest.raises(SetupError) as caught:
        await made.open("t7", shown.dial)
    assert caught.value.slug == "preview-off" and "enabled = true" in caught.value.hint
    wish = Wish(True, 0)  # the daemon need not start again
    assert (await got(await made.open("t7", shown.dial))).endswith(b"\r\n\r\nok")
    await made.close()


async def test_the_persons_port_is_taken_and_one_that_cannot_be_had_is_told(shown: Shown) -> None:
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    for wish in (Wish(True, port), Wish(True, 70_000), Wish(True, 80)):
        with pytest.raises(SetupError) as caught:
            await LocalPreviews(lambda wish=wish: wish).open("t7", shown.dial)  # type: ignore[misc]
        assert caught.value.slug == "preview-port" and caught.value.hint
    taken.close()
    made = LocalPreviews(lambda: Wish(True, port))
    assert await made.open("t7", shown.dial) == f"http://t7.localhost:{port}/"
    await made.close()


async def test_a_request_goes_on_as_it_came_but_for_the_line_it_came_on(previews: LocalPreviews, shown: Shown) -> None:
    url = await previews.open("t7", shown.dial)
    fields = ("X-Odd:  two  spaces \t", "cookie: a=1", "Origin: http://elsewhere.example", "x-odd: \xfc")
    answer = await got(url, "/a%20b?c=d", *fields, "Connection: keep-alive", "Keep-Alive: 5")
    kept = [f"Host: t7.localhost:{port_of(url)}", *fields, "Connection: close"]
    assert shown.heard == [request("GET /a%20b?c=d HTTP/1.1", *kept)]
    assert (
        answer == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
    )  # no cookie and no CORS of ours


async def test_a_body_goes_on_byte_for_byte_and_nothing_beyond_it(previews: LocalPreviews, shown: Shown) -> None:
    url = await previews.open("t7", shown.dial)
    host = f"Host: t7.localhost:{port_of(url)}"
    body = bytes(range(256)) * 1000
    smuggled = request("GET /second HTTP/1.1", "Host: evil.example")
    chunks = b"4;x=y\r\nab\r\n\r\n1\r\n!\r\n0\r\n\r\n"
    shown.said = b""
    for sort, sends in ((f"Content-Length: {len(body)}", body), ("Transfer-Encoding: chunked", chunks)):
        shown.heard, shown.left = [], asyncio.Event()
        data = request("POST / HTTP/1.1", host, sort, body=sends + smuggled)
        asking = asyncio.create_task(sent(port_of(url), data))
        await until(lambda sends=sends: bool(shown.heard) and sends in shown.heard[0])  # type: ignore[misc]
        asking.cancel()
        await until(shown.left.is_set)
        assert shown.heard[0].endswith(b"\r\n\r\n" + sends)


@pytest.mark.parametrize(
    ("first", "fields", "wanted"),
    [
        ("GET / HTTP/1.1", (), 421),
        ("GET / HTTP/1.1", ("{host}", "{host}"), 421),
        ("GET / HTTP/1.1", ("Host: 127.0.0.1:{port}",), 421),
        ("GET / HTTP/1.1", ("Host: localhost:{port}",), 421),
        ("GET / HTTP/1.1", ("Host: t7.localhost",), 421),
        ("GET / HTTP/1.1", ("Host: t7.localhost.:{port}",), 421),
        ("GET / HTTP/1.1", ("Host: x.t7.localhost:{port}",), 421),
        ("GET http://evil.example/ HTTP/1.1", ("{host}",), 421),
        ("CONNECT t7.localhost:{port} HTTP/1.1", ("{host}",), 421),
        ("GET / HTTP/1.1", ("Host : t7.localhost:{port}",), 400),
        ("GET / HTTP/1.1", ("{host}", " evil: folded"), 400),
        ("GET / HTTP/1.1", ("{host}", "a: b\nHost: evil"), 400),
        ("GET / HTTP/1.1", ("{host}", "a: \0"), 400),
        ("GET / HTTP/1.1", ("{host}", "no colon"), 400),
        ("GET / HTTP/2.0", ("{host}",), 400),
        ("get / HTTP/1.1", ("{host}",), 400),
        ("GET /a b HTTP/1.1", ("{host}",), 400),
        ("POST / HTTP/1.1", ("{host}", "Content-Length: 1", "Content-Length: 2"), 400),
        ("POST / HTTP/1.1", ("{host}", "Content-Length: 1", "Transfer-Encoding: chunked"), 400),
        ("POST / HTTP/1.1", ("{host}", "Transfer-Encoding: gzip, chunked"), 400),
        ("POST / HTTP/1.1", ("{host}", "Content-Length: +1"), 400),
        ("GET / HTTP/1.1", ("{host}", "Upgrade: websocket", "Connection: upgrade", "Content-Length: 9"), 400),
        ("GET / HTTP/1.1", ("{host}", "a: " + "b" * 70_000), 431),
    ],
)
async def test_what_is_not_beyond_doubt_goes_no_further(
    previews: LocalPreviews, shown: Shown, first: str, fields: tuple[str, ...], wanted: int
) -> None:
    port = port_of(await previews.open("t7", shown.dial))
    told = [one.replace("{host}", "Host: t7.localhost:{port}").replace("{port}", str(port)) for one in (first, *fields)]
    answer = await sent(port, request(*told))
    assert status(answer) == wanted, answer
    assert shown.dialled == 0
    assert b"text/plain" in answer and b"nosniff" in answer


@pytest.mark.parametrize(
    "said",
    [
        b"hello\r\n\r\n",
        b"HTTP/1.1 200 OK\nSet-Cookie: a=b; Domain=localhost\n\n\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b;\r\n Domain=localhost\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nSet-Cookie : a=b; Domain=localhost\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na: " + b"b" * 200_000,
        b"HTTP/1.1 200 OK\r\n",
        b"\0" * 10,
    ],
)
async def test_an_answer_that_makes_no_sense_is_told_as_that(
    previews: LocalPreviews, shown: Shown, said: bytes
) -> None:
    url = await previews.open("t7", shown.dial)
    shown.said = said
    answer = await got(url)
    assert status(answer) == 502 and b"Domain" not in answer
    shown.said = OK
    assert status(await got(url)) == 200


async def test_what_comes_before_the_answer_and_an_endless_answer_are_passed_on(
    previews: LocalPreviews, shown: Shown
) -> None:
    url = await previews.open("t7", shown.dial)
    begun = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    shown.said, shown.stays = b"HTTP/1.1 100 Continue\r\n\r\n" + begun + b"\r\ndata: 1\n\n", True
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(url))
        writer.write(request("GET / HTTP/1.1", f"Host: t7.localhost:{port_of(url)}"))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert await reader.readuntil(b"\r\n\r\n") == begun + b"Connection: close\r\n\r\n"
        assert await reader.readuntil(b"\n\n") == b"data: 1\n\n"
        writer.close()
        await shown.left.wait()  # whoever leaves is waited for no longer


async def test_a_failed_dial_is_told_and_nothing_of_it_is_obeyed(previews: LocalPreviews) -> None:
    async def dial() -> Streams:
        raise OutsideError("<script>\r\n\x1b[31m\u202e", slug="nobody-listens", hint="start it")

    answer = await got(await previews.open("t7", dial))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert status(answer) == 502 and b"text/plain" in head and b"nosniff" in head
    assert body == b"heddle: <script>\\r\\n\\x1b[31m\\u202e; start it\n"


async def test_a_name_that_ended_is_no_name_any_more_and_its_lines_are_cut(
    previews: LocalPreviews, shown: Shown
) -> None:
    url = await previews.open("t7", shown.dial)
    other = await previews.open("t8", shown.dial)
    shown.said = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    shown.stays = True
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(url))
        fields = (f"Host: t7.localhost:{port_of(url)}", "Upgrade: websocket", "Connection: Upgrade")
        writer.write(request("GET / HTTP/1.1", *fields))
        assert status(await reader.readuntil(b"\r\n\r\n")) == 101
        assert await previews.end("t7")
        assert await reader.read() == b""
        await shown.left.wait()
        writer.close()
    assert not await previews.end("t7")
    shown.said, shown.stays = OK, False
    assert status(await got(url)) == 421
    assert status(await got(other)) == 200
    await previews.end("t8")
    with pytest.raises(ConnectionRefusedError):
        await got(other)


async def test_an_upgrade_that_is_declined_is_an_answer_like_any_other(previews: LocalPreviews, shown: Shown) -> None:
    url = await previews.open("t7", shown.dial)
    async with websocket(url) as (reader, writer, answer):
        assert status(answer) == 200 and b"Connection: close" in answer
        writer.write(b"GET /second HTTP/1.1\r\nHost: evil\r\n\r\n")
        assert await reader.read() == b"ok"
    await shown.left.wait()
    assert b"second" not in shown.heard[0]


async def test_no_more_are_connected_than_may_be_and_the_next_is_told(
    previews: LocalPreviews, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "EACH", 2)
    url, other = await previews.open("t7", shown.dial), await previews.open("t8", shown.dial)
    shown.said = b""
    waiting = [asyncio.create_task(got(url)) for _ in range(2)]
    await until(lambda: len(shown.heard) == 2)
    shown.said = OK
    assert status(await got(url)) == 503
    assert status(await got(other)) == 200
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await until(lambda: not any(show.visitors for show in previews._shows.values()))
    assert status(await got(url)) == 200


async def test_a_flood_of_connections_costs_no_more_than_they_may(
    previews: LocalPreviews, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "CONNECTIONS", 4)
    url = await previews.open("t7", shown.dial)
    flood = [await asyncio.open_connection("127.0.0.1", port_of(url)) for _ in range(12)]
    async with asyncio.timeout(20):
        for reader, _ in flood[4:]:
            with suppress(ConnectionResetError):
                assert await reader.read() == b""
    assert len(previews._visitors) == 4
    for _, writer in flood:
        writer.close()
    await until(lambda: not previews._visitors)
    assert status(await got(url)) == 200


async def test_whoever_says_nothing_is_not_waited_for(
    previews: LocalPreviews, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEAD_S", 0.1)
    monkeypatch.setattr(passing, "BODY_S", 0.1)
    monkeypatch.setattr(passing, "UPGRADE_S", 0.1)
    port = port_of(await previews.open("t7", shown.dial))
    host = f"Host: t7.localhost:{port}"
    shown.said = b""
    assert await sent(port, b"GET / HT") == b""
    assert await sent(port, request("POST / HTTP/1.1", host, "Content-Length: 10", body=b"short")) == b""
    upgrade = request("GET / HTTP/1.1", host, "Upgrade: websocket", "Connection: Upgrade")
    assert status(await sent(port, upgrade)) == 504


async def test_bytes_without_sense_never_end_the_proxy(
    previews: LocalPreviews, shown: Shown, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    url = await previews.open("t7", shown.dial)
    host = f"Host: t7.localhost:{port_of(url)}".encode()
    head = b"POST / HTTP/1.1\r\n" + host + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
    for data in (
        b"\r\n\r\n",
        b"\0\r\n\r\n",
        b"\xff" * 70_000,
        head + b"zz\r\n",
        head + b"2\r\nabcd",
        head + b"x" * 140_000,
    ):
        await sent(port_of(url), data)
    assert status(await got(url)) == 200
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
