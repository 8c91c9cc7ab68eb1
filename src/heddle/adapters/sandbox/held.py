"""The daemon's end of one held process: files for what it said, a socket for what it is told."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from heddle.core.session import Send
from heddle.holder.folder import Folder
from heddle.holder.reaper import end_marked
from heddle.ports import Chunk, Exit

CHUNK = 262_144


class HeldProcess:
    """The Held port over a holder's folder. Reading works without the holder; writing needs it."""

    def __init__(self, key: str, folder: Folder) -> None:
        self.key = key
        self.folder = folder
        self._writer: asyncio.StreamWriter | None = None
        self._listener: asyncio.Task[None] | None = None
        self._answers: dict[int, asyncio.Future[dict[str, Any] | None]] = {}
        self._number = 0
        self._linking = asyncio.Lock()
        self._news = asyncio.Event()

    async def output(self, start: int = 0) -> AsyncIterator[Chunk]:
        """See the port."""
        offset = start
        while True:
            ended = self.ended()
            self._news.clear()
            with suppress(FileNotFoundError), self.folder.transcript.open("rb") as file:
                file.seek(offset)
                while data := file.read(CHUNK):
                    yield Chunk(offset, data)
                    offset += len(data)
            if ended is not None:
                return
            if not await self._subscribed():
                await self._settle()
                continue
            await self._news.wait()

    def load_output(self, limit: int = 64_000) -> bytes:
        """See the port."""
        return _tail(self.folder.transcript, limit)

    def load_errors(self, limit: int = 16_000) -> bytes:
        """See the port."""
        return _tail(self.folder.errors, limit)

    async def send(self, message: Send) -> bool:
        """See the port."""
        text = message.data.decode(errors="surrogateescape")
        answer = await self._ask({"op": "input", "id": message.id, "data": text})
        return bool(answer and answer.get("fresh"))

    async def close_input(self) -> None:
        """See the port."""
        await self._ask({"op": "close-input"})

    async def stop(self, grace_s: float = 5.0) -> None:
        """See the port."""
        await self._ask({"op": "stop", "grace_s": grace_s})
        await self.exit()

    async def exit(self) -> Exit:
        """See the port."""
        while (ended := self.ended()) is None:
            self._news.clear()
            if not await self._subscribed():
                await self._settle()
            elif self.ended() is None:
                await self._news.wait()
        return ended

    def ended(self) -> Exit | None:
        """See the port."""
        known = self.folder.load(self.folder.exit)
        if known is None:
            return None
        return Exit(known["code"], known["signal"], known["why"], known.get("detail", ""))

    async def _subscribed(self) -> bool:
        """Whether news will come: there is a holder at the other end."""
        if self._writer is not None and not self._writer.is_closing():
            return True
        return await self._ask({"op": "subscribe"}) is not None

    async def _ask(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """The holder's answer, or None when there is no holder any more."""
        try:
            writer = await self._link()
            self._number += 1
            number = self._number
            answer = self._answers[number] = asyncio.get_running_loop().create_future()
            writer.write(json.dumps({"n": number, **request}).encode() + b"\n")
            await writer.drain()
            return await answer
        except OSError:
            return None

    async def _link(self) -> asyncio.StreamWriter:
        async with self._linking:
            if self._writer is None or self._writer.is_closing():
                spec = self.folder.load(self.folder.spec) or {}
                reader, writer = await asyncio.open_unix_connection(spec.get("socket", ""), limit=2**25)
                self._writer = writer
                self._listener = asyncio.create_task(self._listen(reader, writer))
                writer.write(b'{"n": 0, "op": "subscribe"}\n')
            return self._writer

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, ValueError):
            while line := await reader.readline():
                message = json.loads(line)
                waiting = self._answers.pop(message.get("n", 0), None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(message)
                self._news.set()
        writer.close()
        self._writer = None
        waiting_all, self._answers = self._answers, {}
        for future in waiting_all.values():
            if not future.done():
                future.set_result(None)
        self._news.set()

    async def _settle(self) -> None:
        """No holder answers: it has just ended, is about to listen, or was killed and will never tell."""
        lock = await asyncio.to_thread(self.folder.take_lock)
        if lock is None:  # it lives: it is between taking the lock and listening, or about to leave
            await asyncio.sleep(0.01)
            return
        try:
            if self.ended() is None:
                await asyncio.to_thread(end_marked, self.key)
                self.folder.settle("holder-lost", "the holder was killed; what it held was ended")
        finally:
            os.close(lock)

    def detach(self) -> None:
        """Drop the connection; the holder goes on."""
        if self._writer is not None:
            self._writer.close()
        if self._listener is not None:
            self._listener.cancel()


def _tail(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - limit))
            return file.read(limit)
    except FileNotFoundError:
        return b""
