"""Connections to what a session serves. Nothing waits in a thread: those are shared, and a session can have one wait."""

import asyncio
import socket
from contextlib import suppress

from heddle.core.errors import OutsideError
from heddle.holder.box.frames import receive, tell
from heddle.ports import STREAM_LIMIT, Streams

PATIENCE_S = 5.0
"""How long a box, or what listens here, may take to answer."""


async def dial_in(path: str, port: int) -> Streams:
    """Connect in the box whose init's socket is `path`. Raises OutsideError (slug nobody-listens)."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            answer, fds = await _ask(path, port)
    except (OSError, ValueError) as error:  # a TimeoutError is an OSError
        raise nobody_listens(port, str(error) or "its box does not answer") from error
    if not fds:
        raise nobody_listens(port, str((answer or {}).get("failed", "its box ended, or is of an older Heddle")))
    return await asyncio.open_connection(sock=socket.socket(fileno=fds[0]), limit=STREAM_LIMIT)


async def dial_here(port: int) -> Streams:
    """Connect on the machine's own loopback. Raises OutsideError(slug="nobody-listens")."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await asyncio.open_connection("127.0.0.1", port, limit=STREAM_LIMIT)
    except OSError as error:
        raise nobody_listens(port, "connection refused" if error.errno else "it does not answer") from error


def nobody_listens(port: int, why: str) -> OutsideError:
    """The error for a port at which nobody answers."""
    return OutsideError(
        f"nobody answers on port {port} in the session: {why}",
        slug="nobody-listens",
        hint="start the server there, or name its port with --port",
    )


async def _ask(path: str, port: int) -> tuple[dict[str, object] | None, list[int]]:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.setblocking(False)
        await loop.sock_connect(connection, path)
        tell(connection, {"dial": port})
        answered = asyncio.Event()
        loop.add_reader(connection, answered.set)
        try:
            await answered.wait()
        finally:
            with suppress(ValueError):
                loop.remove_reader(connection)
        return receive(connection, descriptors=1)  # it is a short frame, and comes in one piece
