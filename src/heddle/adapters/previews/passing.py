"""What passes between a browser and a server in a session once the head of the request is known to be fit."""

import asyncio
import re
from collections.abc import Awaitable
from contextlib import suppress

from heddle.adapters.previews import heads
from heddle.adapters.previews.heads import Answer, Request, Unfit
from heddle.ports import Streams

BODY_S = 60.0
"""How long the next piece of a request may be awaited. An answer takes as long as whoever asked is willing to wait."""

UPGRADE_S = 30.0
"""How long a server may think about an upgrade."""

LINGER_S = 10.0
"""How long one side of a tunnel may go on once the other is over."""

PIECE = 65_536
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(;[\t\x20-\x7e]*)?\r\n")

BROKEN = (OSError, EOFError, asyncio.LimitOverrunError)
"""How a connection fails: reset, at an end, silent for too long, or past a limit."""


async def exchange(request: Request, client: Streams, inner: Streams) -> None:
    """One request and its answer. Ends with the answer, or when the client leaves. Raises Unfit, before it began."""
    inner[1].write(request.onward())
    if request.upgrades and await _is_upgraded(client, inner):
        return await _tunnel(client, inner)
    answering = asyncio.create_task(_answer(client, inner, begun=request.upgrades))
    asking = asyncio.create_task(_ask(request, client, inner))
    try:
        await asyncio.wait({asking, answering}, return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            answering.result()
    finally:
        for task in (asking, answering):
            task.cancel()
        await asyncio.gather(asking, answering, return_exceptions=True)


async def _ask(request: Request, client: Streams, inner: Streams) -> None:
    """The request's body and nothing beyond it; returns when the client has left."""
    with suppress(*BROKEN, Unfit):
        await _pass_body(request, client, inner)
        while await client[0].read(PIECE):  # what comes after it is no part of this request
            pass


async def _pass_body(request: Request, client: Streams, inner: Streams) -> None:
    if request.length is not None:
        return await _pass_bytes(client, inner, request.length)
    while True:
        line = await _within(client[0].readuntil(b"\r\n"))
        chunk = _CHUNK.fullmatch(line)
        if chunk is None:
            raise Unfit(400, "this is no chunk")
        await _put(inner, line)
        size = int(chunk[1], 16)
        await _pass_bytes(client, inner, size)
        if await _within(client[0].readexactly(2)) != b"\r\n":  # nor are there trailers
            raise Unfit(400, "a chunk has no end")
        await _put(inner, b"\r\n")
        if size == 0:
            return


async def _pass_bytes(client: Streams, inner: Streams, left: int) -> None:
    while left:
        piece = await _within(client[0].read(min(left, PIECE)))
        if not piece:
            raise EOFError
        left -= len(piece)
        await _put(inner, piece)


async def _put(inner: Streams, piece: bytes) -> None:
    """A server may answer before it has read all, and close: the answer counts then, and the rest goes nowhere."""
    with suppress(OSError):
        inner[1].write(piece)
        await inner[1].drain()


async def _within(reading: Awaitable[bytes]) -> bytes:
    async with asyncio.timeout(BODY_S):
        return await reading


async def _is_upgraded(client: Streams, inner: Streams) -> bool:
    """Whether the server agrees. Its answer has been passed on."""
    try:
        async with asyncio.timeout(UPGRADE_S):
            return (await _pass_head(client, inner, switches=True)).status == 101
    except TimeoutError as error:
        raise Unfit(504, "the server in the session does not answer the upgrade") from error


async def _answer(client: Streams, inner: Streams, *, begun: bool) -> None:
    if not begun:
        await _pass_head(client, inner)
    await _pass(inner, client)


async def _pass_head(client: Streams, inner: Streams, *, switches: bool = False) -> Answer:
    """The head of the answer, and what came before it ("continue")."""
    while True:
        try:
            answer = heads.answer(await inner[0].readuntil(b"\r\n\r\n"))
        except asyncio.LimitOverrunError as error:
            raise Unfit(502, "the head of the session's answer is too long") from error
        except (EOFError, ConnectionError) as error:
            raise Unfit(502, "the server in the session hung up before it had answered") from error
        if answer.status == 101 and not switches:
            raise Unfit(502, "the server in the session speaks of something else than it was asked")
        client[1].write(answer.onward())
        await client[1].drain()
        if answer.status >= 200 or answer.status == 101:
            return answer


async def _tunnel(client: Streams, inner: Streams) -> None:
    """Both ways, until both are over."""
    ways = {asyncio.create_task(_pass(*pair)) for pair in ((client, inner), (inner, client))}
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait(ways, timeout=LINGER_S)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _pass(source: Streams, target: Streams) -> None:
    """All that comes, to its end."""
    with suppress(*BROKEN):
        while piece := await source[0].read(PIECE):
            target[1].write(piece)
            await target[1].drain()
        target[1].write_eof()
