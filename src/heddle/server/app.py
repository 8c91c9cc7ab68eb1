"""The API over HTTP: one route per method, one stream of events. It only translates."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from heddle.api.desk import Desk
from heddle.api.facts import told
from heddle.api.methods import METHODS
from heddle.core.errors import Bug, HeddleError, UserError

log = logging.getLogger("heddle.server")
BODY_LIMIT = 4_000_000
_STATUS = {"user": 400, "setup": 409, "limited": 429, "refused": 409, "outside": 502, "bug": 500}


def application(desk: Desk) -> Starlette:
    """The ASGI application of one daemon."""

    async def call(request: Request) -> Response:
        name = request.path_params["method"]
        try:
            return answer(200, await invoke(desk, name, await request.body()))
        except HeddleError as error:
            return answer(_STATUS[error.kind], {"error": error.as_dict()})
        except Exception as error:
            log.exception("bug in %s", name)
            bug = Bug(f"{type(error).__name__} in '{name}'", hint="the daemon's log has the details: heddle doctor")
            return answer(500, {"error": bug.as_dict()})

    async def ping(_: Request) -> Response:
        return answer(200, {"schema": "heddle.ping/1", "version": desk.version, "pid": os.getpid()})

    async def follow(request: Request) -> Response:
        after = int(request.query_params.get("after", "0"))
        task = request.query_params.get("task", "")
        return StreamingResponse(stream(desk, after, task), media_type="text/event-stream")

    return Starlette(
        routes=[
            Route("/v1/ping", ping, methods=["GET"]),
            Route("/v1/events/follow", follow, methods=["GET"]),
            Route("/v1/{method:path}", call, methods=["POST"]),
        ]
    )


async def invoke(desk: Desk, name: str, body: bytes) -> dict[str, Any]:
    """Call a method by name. Raises UserError (unknown-method, bad-parameters) or what the method raises."""
    known = METHODS.get(name)
    if known is None:
        raise UserError(f"there is no method '{name}'", slug="unknown-method", hint="see: heddle --help")
    if len(body) > BODY_LIMIT:
        raise UserError("the request is too large", slug="request-too-large", hint="say it in fewer words")
    method, parameters = known
    try:
        asked = msgspec.json.decode(body or b"{}", type=parameters)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise UserError(f"parameters of '{name}': {error}", slug="bad-parameters", hint="see: heddle --help") from error
    return await method(desk, asked)


async def stream(desk: Desk, after: int, task: str) -> AsyncIterator[bytes]:
    """Server-sent events from a position on, for ever; a comment every 15 s shows that the line is alive."""
    journal = desk.runs.journal
    while True:
        seen = journal.position()
        records = await journal.read_all(after, 500)
        for record in records:
            after = record.position
            if not task or record.stream == f"task:{task}" or record.stream.startswith(f"session:{task}-"):
                yield b"id: %d\ndata: %s\n\n" % (record.position, msgspec.json.encode(told(record)))
        if records:
            continue
        after = max(after, seen)  # what could not be read is passed over, or this loop would spin on it
        try:
            await asyncio.wait_for(journal.wait(after), timeout=15)
        except TimeoutError:
            yield b": alive\n\n"


def answer(status: int, value: object) -> Response:
    """A JSON response."""
    return Response(msgspec.json.encode(value), status_code=status, media_type="application/json")
