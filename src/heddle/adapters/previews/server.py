"""The PreviewServer port on one listener of 127.0.0.1. All that comes from either side is data: bounded, and checked."""

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from heddle.adapters.previews import heads
from heddle.adapters.previews.heads import HEAD_LIMIT, Request, Unfit
from heddle.adapters.previews.passing import BROKEN, PIECE, exchange
from heddle.core.errors import HeddleError, SetupError
from heddle.ports import Dial, Streams

log = logging.getLogger("heddle.previews")

HERE = "127.0.0.1"
LOWEST, HIGHEST = 1024, 65_535

CONNECTIONS, EACH = 128, 48
"""At most so many at once, in all and to one preview: the descriptors are the daemon's. Further ones are closed or refused."""

HEAD_S = 15.0
"""How long the head of a request may take."""

FAREWELL_S = 1.0
"""How long we listen on after a refusal: a connection that is closed upon unread data is reset, refusal and all."""

_WORDS = {
    400: "Bad Request",
    403: "Forbidden",
    421: "Misdirected Request",
    431: "Request Header Fields Too Large",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What the person wants: previews at all, and on which port (0: one that the system picks)."""

    enabled: bool
    port: int


@dataclass(slots=True, eq=False)
class Show:
    """One open preview: the name it is asked for by, and who is connected to it."""

    host: str
    dial: Dial
    visitors: set["asyncio.Task[None]"] = field(default_factory=set)

    @property
    def origin(self) -> str:
        """What its own pages name as theirs."""
        return f"http://{self.host}"


class LocalPreviews:
    """See the port. `wish` is asked anew each time: the person may change their mind while the daemon runs."""

    def __init__(self, wish: Callable[[], Wish]) -> None:
        self._wish = wish
        self._shows: dict[str, Show] = {}
        self._server: asyncio.Server | None = None
        self._port = 0
        self._visitors: set[asyncio.Task[None]] = set()
        self._opening = asyncio.Lock()

    def require_on(self) -> None:
        """See the port."""
        wish = self._wish()
        if not wish.enabled:
            raise SetupError(
                "previews are off: they let your browser into what a session serves",
                slug="preview-off",
                hint="put 'enabled = true' below [preview] in your own configuration; see: heddle config explain preview",
            )
        if wish.port and not LOWEST <= wish.port <= HIGHEST:
            raise _no_port(wish.port, f"it must be 0 or {LOWEST} to {HIGHEST}")

    async def open(self, name: str, dial: Dial) -> str:
        """See the port."""
        self.require_on()
        async with self._opening:
            await self._end(name)
            await self._listen()
            host = f"{name}.localhost:{self._port}"
            self._shows[host] = Show(host, dial)
        return f"http://{host}/"

    async def end(self, name: str) -> bool:
        """See the port."""
        async with self._opening:
            known = await self._end(name)
            if not self._shows:
                self._stop_listening()
        return known

    async def close(self) -> None:
        """See the port."""
        self._shows.clear()
        self._stop_listening()
        await _over(self._visitors)

    async def _end(self, name: str) -> bool:
        show = self._shows.pop(f"{name}.localhost:{self._port}", None)
        if show is not None:
            await _over(show.visitors)
        return show is not None

    async def _listen(self) -> None:
        """From the first preview to the end of the last one."""
        if self._server is not None:
            return
        port = self._wish().port
        try:
            self._server = await asyncio.start_server(
                self._came, HERE, port, family=socket.AF_INET, limit=HEAD_LIMIT, backlog=CONNECTIONS
            )
        except OSError as error:
            raise _no_port(port, error.strerror or str(error)) from error
        self._port = self._server.sockets[0].getsockname()[1]

    def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _came(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._visitors) >= CONNECTIONS:
            return writer.transport.abort()
        visitor = asyncio.create_task(self._attend((reader, writer)))
        self._visitors.add(visitor)
        visitor.add_done_callback(self._gone)

    def _gone(self, visitor: "asyncio.Task[None]") -> None:
        self._visitors.discard(visitor)
        if not visitor.cancelled() and (error := visitor.exception()) is not None:
            log.error("a bug met a visitor of a preview", exc_info=error)

    async def _attend(self, client: Streams) -> None:
        """One connection: one request, its answer, and the end."""
        try:
            await self._serve(client)
        except Unfit as unfit:
            with suppress(*BROKEN):
                await _refuse(client, unfit)
        except BROKEN:
            pass
        finally:
            client[1].close()

    async def _serve(self, client: Streams) -> None:
        asked = await _request(client)
        show = self._shows.get(asked.host)
        if show is None:
            raise Unfit(421, "no preview is open by that name; open one with: heddle preview TASK")
        if not asked.is_of(show.origin):
            raise Unfit(403, "a page of another origin may not do that here")
        if len(show.visitors) >= EACH:
            raise Unfit(503, "too many connections to this preview")
        visitor = asyncio.current_task()
        assert visitor is not None
        show.visitors.add(visitor)
        try:
            await _show(show, asked, client)
        finally:
            show.visitors.discard(visitor)


async def _request(client: Streams) -> Request:
    try:
        async with asyncio.timeout(HEAD_S):
            return heads.request(await client[0].readuntil(b"\r\n\r\n"))
    except asyncio.LimitOverrunError as error:
        raise Unfit(431, "the head of the request is too long") from error


async def _show(show: Show, asked: Request, client: Streams) -> None:
    try:
        inner = await show.dial()
    except HeddleError as error:
        raise Unfit(502, f"{error.message}; {error.hint}") from error
    try:
        await exchange(asked, client, inner)
    finally:
        inner[1].close()


async def _refuse(client: Streams, unfit: Unfit) -> None:
    """A short page of plain text, in which nothing is left that a browser or a terminal would obey."""
    text = "".join(char if " " <= char <= "~" else ascii(char)[1:-1] for char in f"heddle: {unfit.why}")
    body = f"{text}\n".encode()
    lines = (
        f"HTTP/1.1 {unfit.status} {_WORDS[unfit.status]}",
        *("Content-Type: text/plain; charset=utf-8", "X-Content-Type-Options: nosniff", "Cache-Control: no-store"),
        *(f"Content-Length: {len(body)}", "Connection: close", "", ""),
    )
    client[1].write("\r\n".join(lines).encode() + body)
    await client[1].drain()
    client[1].write_eof()
    async with asyncio.timeout(FAREWELL_S):
        while await client[0].read(PIECE):
            pass


async def _over(visitors: "set[asyncio.Task[None]]") -> None:
    ending = tuple(visitors)
    for visitor in ending:
        visitor.cancel()
    await asyncio.gather(*ending, return_exceptions=True)


def _no_port(port: int, why: str) -> SetupError:
    return SetupError(
        f"previews cannot be shown on port {port}: {why}",
        slug="preview-port",
        hint="choose another [preview] port in your own configuration, or 0 to have one picked",
    )
