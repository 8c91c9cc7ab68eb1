"""The daemon's end of one held process: files for what it said, a socket for what it is told."""

import asyncio
import os
import sys
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from heddle.adapters.sandbox.wire import LINE_LIMIT, Wire
from heddle.core.errors import UserError
from heddle.core.session import Send
from heddle.holder.folder import Folder, ending
from heddle.holder.reaper import end_marked
from heddle.ports import Chunk, Exit

VISIT = """
import sys
sys.path.append(sys.argv[1])
from heddle.holder.visit import visit
sys.exit(visit(sys.argv[2], sys.argv[3]))
"""
"""The program that goes through a door."""

_SOURCE = str(Path(__file__).resolve().parents[3])

CHUNK = 262_144
MESSAGE_LIMIT = 4 * 1024 * 1024
"""Bytes of one message; in a frame each may take six."""

PAUSE_S = (0.01, 0.5)
"""First and longest pause between two looks at a holder that lives but does not answer."""


class HeldProcess:
    """The Held port over a holder's folder. Reading works without the holder; writing needs it."""

    def __init__(self, key: str, folder: Folder) -> None:
        self.key = key
        self.folder = folder
        self._wire: Wire | None = None
        self._linking = asyncio.Lock()
        self._news = asyncio.Event()
        self._pause = PAUSE_S[0]

    async def output(self, start: int = 0) -> AsyncIterator[Chunk]:
        """See the port."""
        offset = start
        while True:
            news = self._news  # taken before looking, so that nothing falls between looking and waiting
            ended = self.ended()
            for data in _read(self.folder.transcript, offset):
                yield Chunk(offset, data)
                offset += len(data)
            if ended is not None:
                return
            await self._wait(news)

    def load_output(self, limit: int = 64_000) -> bytes:
        """See the port."""
        return _tail(self.folder.transcript, limit)

    def load_errors(self, limit: int = 16_000) -> bytes:
        """See the port."""
        return _tail(self.folder.errors, limit)

    async def send(self, message: Send) -> bool:
        """See the port. Raises UserError(slug="message-too-large")."""
        if len(message.data) > MESSAGE_LIMIT:
            raise UserError(
                f"message '{message.id}' has {len(message.data)} bytes; the limit is {MESSAGE_LIMIT}",
                slug="message-too-large",
                hint="leave the text in a file and name the file in the message",
            )
        text = message.data.decode(errors="surrogateescape")
        answer = await self._ask({"op": "input", "id": message.id, "data": text})
        return bool(answer and answer.get("fresh"))

    async def close_input(self) -> None:
        """See the port."""
        await self._ask({"op": "close-input"})

    async def freeze(self) -> bool:
        """See the port."""
        answer = await self._ask({"op": "freeze"})
        return answer is None or bool(answer.get("frozen"))

    async def thaw(self) -> None:
        """See the port."""
        await self._ask({"op": "thaw"})

    async def stop(self, grace_s: float = 5.0, why: str = "stopped", detail: str = "") -> None:
        """See the port."""
        await self._ask({"op": "stop", "grace_s": grace_s, "why": why, "detail": detail})
        await self.exit()

    async def exit(self) -> Exit:
        """See the port."""
        while True:
            news = self._news
            if (ended := self.ended()) is not None:
                return ended
            await self._wait(news)

    def ended(self) -> Exit | None:
        """See the port."""
        known = self.folder.load(self.folder.exit)
        if known is None:
            return None
        return Exit(known["code"], known["signal"], known["why"], known.get("detail", ""))

    def door(self, farewell: str) -> tuple[str, ...]:
        """See the port."""
        spec = self.folder.load(self.folder.spec) or {}
        return (sys.executable, "-I", "-S", "-c", VISIT, _SOURCE, spec.get("door", ""), farewell)

    def begun(self) -> bool:
        """Whether a holder ever set out to start it."""
        return self.folder.started.exists() or self.folder.exit.exists()

    async def lives(self) -> bool:
        """Whether a holder has it. When the holder was killed, end what it left and write down that it was lost."""
        if self.ended() is not None:
            return False
        if not self.folder.started.exists():  # never try the lock of one that is just being started
            return True
        lock = self.folder.take_lock()
        if lock is None:
            return True
        try:
            if self.ended() is None:
                left = await asyncio.to_thread(self._end_strays)
                fate = f"{left} of its processes would not end" if left else "what it held was ended"
                self.folder.settle(ending("holder-lost", f"the holder was killed; {fate}"))
        finally:
            os.close(lock)
        return False

    def detach(self) -> None:
        """Drop the connection; the holder goes on."""
        if self._wire is not None:
            self._wire.close()

    def _end_strays(self) -> int:
        spec = self.folder.load(self.folder.spec) or {}
        return end_marked(spec["marker"]) if "marker" in spec else 0

    async def _wait(self, news: asyncio.Event) -> None:
        """Until something may have changed since `news` was taken."""
        try:
            await self._connected()
        except OSError:
            await self._look()
        else:
            await news.wait()

    async def _look(self) -> None:
        """No holder answers: it is about to listen, has just ended, or was killed and will never tell."""
        with suppress(OSError):  # no room to write down a loss: look again later
            if not await self.lives():
                return
        await asyncio.sleep(self._pause)
        self._pause = min(2 * self._pause, PAUSE_S[1])

    async def _ask(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """The holder's answer, or None when it has ended. Asking again is safe: the holder takes each thing once."""
        while self.ended() is None:
            try:
                return await (await self._connected()).ask(request)
            except OSError:
                await self._look()
        return None

    async def _connected(self) -> Wire:
        """A subscribed connection to the holder. Raises OSError when nobody listens."""
        async with self._linking:
            if self._wire is None or self._wire.gone:
                spec = self.folder.load(self.folder.spec) or {}
                streams = await asyncio.open_unix_connection(spec.get("socket", ""), limit=LINE_LIMIT)
                self._wire = Wire(*streams, _unowned(self._tell))
                weakref.finalize(self, _let_go, asyncio.get_running_loop(), self._wire)
                await self._wire.ask({"op": "subscribe"})
                self._pause = PAUSE_S[0]
            return self._wire

    def _tell(self) -> None:
        """Wake everybody who waits; who begins to wait after this waits for the next."""
        self._news.set()
        self._news = asyncio.Event()


def _read(path: Path, offset: int) -> Iterator[bytes]:
    with suppress(FileNotFoundError), path.open("rb") as file:
        file.seek(offset)
        while data := file.read(CHUNK):
            yield data


def _tail(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - limit))
            return file.read(limit)
    except FileNotFoundError:
        return b""


def _unowned(method: Callable[[], None]) -> Callable[[], None]:
    """Calls a method for as long as somebody else has its object."""
    known = weakref.WeakMethod(method)

    def call() -> None:
        if (still := known()) is not None:
            still()

    return call


def _let_go(loop: asyncio.AbstractEventLoop, wire: Wire) -> None:
    """Close the connection of a process that nobody here asks about any more, from whatever thread that is noticed in."""
    with suppress(RuntimeError):  # the loop has ended, and its connections with it
        loop.call_soon_threadsafe(wire.close)
