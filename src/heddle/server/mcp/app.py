"""The door: who may come in, how much may be said and how long it may take. What is said is the protocol's matter."""

import asyncio
import hmac
import logging
import re
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from heddle.core.errors import HeddleError
from heddle.server.mcp.offer import Offer, Shelf, Tool, offer
from heddle.server.mcp.protocol import Call, Reading, Reply, held, not_held, read, refusal, told

log = logging.getLogger("heddle.mcp")

PATH = "/mcp"
BODY_LIMIT = 1_000_000
"""Bytes of a request."""
BODY_S = 10.0
"""How long a request may take to arrive after its head."""
AT_ONCE = 64
"""Requests that one client may have open."""

_HOST = re.compile(r"(127\.0\.0\.1|127\.77\.77\.77|localhost)(:\d{1,5})?", re.IGNORECASE | re.ASCII)
_ACCEPTED = ("*/*", "application/*", "application/json")
_JSON = "application/json"


def application(
    name: str, version: str, instructions: str, tools: Sequence[Tool], token: str, shelf: Shelf | None = None
) -> ASGIApp:
    """A server of these tools, and of what is on the shelf, for who has the token, at PATH.

    Raises ValueError for tools that cannot be offered, and for no token.
    """
    if not token:
        raise ValueError("a server without a token would be open to all")
    mine = offer(name, version, instructions, tools, shelf)
    open_now = 0

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal open_now
        if scope["type"] != "http":
            await _decline(scope, send)
            return
        headers = _folded(scope["headers"])
        refused = refuse(scope["method"], scope["path"], scope["http_version"], headers, token)
        if refused is None and open_now >= AT_ONCE:
            refused = refusal(503, f"{AT_ONCE} requests are open already: wait for one")
        if refused is not None:
            await _send(send, refused)
            return
        open_now += 1
        try:
            body = await _body(receive)
            reply = body if isinstance(body, Reply | None) else read(mine, headers, body)
            if isinstance(reply, Call | Reading):
                reply = await _unless_gone(receive, _carry_out(mine, reply))
            if reply is not None:
                await _send(send, reply)
        finally:
            open_now -= 1

    return serve


def refuse(method: str, path: str, http: str, headers: Mapping[str, str], token: str) -> Reply | None:
    """Why a request is turned away before anything of its body is read, or None."""
    if not _has_token(headers.get("authorization", ""), token):
        return refusal(401, "the token of this session is needed: Authorization: Bearer TOKEN")
    if "origin" in headers:
        return refusal(403, "web pages may not come in")
    host = headers.get("host")
    if not (http == "1.0" if host is None else _HOST.fullmatch(host)):
        return refusal(403, "this is not the host that was asked for")
    if path != PATH:
        return refusal(404, f"there is nothing but {PATH}")
    if method != "POST":
        return refusal(405, "POST is all that is served: there is no stream and no session")
    if _kind(headers.get("content-type", "")) != _JSON:
        return refusal(415, f"the content must be {_JSON}")
    if not any(_kind(kind) in _ACCEPTED for kind in headers.get("accept", "*/*").split(",")):
        return refusal(406, f"answers are {_JSON}, which is not accepted")
    if len(length := headers.get("content-length", "0")) > 9 or not length.isdecimal() or int(length) > BODY_LIMIT:
        return _too_large()
    return None


def _has_token(authorization: str, token: str) -> bool:
    scheme, _, given = authorization.partition(" ")
    same = hmac.compare_digest(given.strip().encode(), token.encode())
    return same and scheme.lower() == "bearer"


def _kind(value: str) -> str:
    """A kind of content without its parameters."""
    return value.partition(";")[0].strip().lower()


def _too_large() -> Reply:
    return refusal(413, f"a request has {BODY_LIMIT} bytes at most")


def _folded(raw: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by lower-case names. Repeated ones are joined by commas, so that those that may not be are no good."""
    headers: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


async def _body(receive: Receive) -> bytes | Reply | None:
    """The body, why it is refused, or None when the client went away."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            while True:
                said = await receive()
                if said["type"] != "http.request":
                    return None
                body += said.get("body", b"")
                if len(body) > BODY_LIMIT:
                    return _too_large()
                if not said.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        return refusal(408, f"the request did not arrive within {BODY_S:g} s")


async def _carry_out(mine: Offer, asked: Call | Reading) -> Reply:
    """What a tool says, or a resource holds, or what is wrong with it."""
    broken = False
    try:
        if isinstance(asked, Call):
            return told(mine, asked, await asked.tool.call(asked.arguments), failed=False)
        if mine.shelf is not None:
            return held(mine, asked, await mine.shelf.read(asked.uri))
        why = "there are no resources"
    except HeddleError as error:
        why = f"{error.message}\nhint: {error.hint}" if error.hint else error.message
    except Exception:
        what, broken = asked.tool.name if isinstance(asked, Call) else asked.uri[:200], True
        log.exception("fault in '%s'", what)
        why = f"a fault of heddle's own in '{what}': it is logged; trying the same again will not help"
    if isinstance(asked, Call):
        return told(mine, asked, why, failed=True)
    return not_held(asked, why, broken=broken)


async def _unless_gone(receive: Receive, work: Coroutine[Any, Any, Reply]) -> Reply | None:
    """The outcome of work, or None when the client went away first: then the work is cancelled."""
    working = asyncio.create_task(work)
    tasks = (working, asyncio.create_task(_gone(receive)))
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(send: Send, reply: Reply) -> None:
    """Send a reply and end the connection: who never reads would have the next answer wait for ever."""
    headers = [(b"content-length", str(len(reply.body)).encode()), (b"connection", b"close")]
    if reply.body:
        headers.append((b"content-type", _JSON.encode()))
    if reply.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if reply.status == 405:
        headers.append((b"allow", b"POST"))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


async def _decline(scope: Scope, send: Send) -> None:
    """There are no web sockets, and nothing to begin or end with the server."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close"})
    else:
        raise NotImplementedError(scope["type"])
