"""JSON lines over one stream: every request gets the answer with its number, all else is news."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

LINE_LIMIT = 2**25


class Wire:
    """One connection, to a zygote or to a holder. `news` is called after every message and once at the end."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        news: Callable[[], None] = lambda: None,
    ) -> None:
        self.gone = False
        self._writer = writer
        self._news = news
        self._number = 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._listener = asyncio.create_task(self._listen(reader))

    async def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request. Raises ConnectionError when the other end left before it answered."""
        if self.gone:
            raise ConnectionResetError
        self._number += 1
        number = self._number
        self._answers[number] = asyncio.get_running_loop().create_future()
        try:
            self._writer.write(json.dumps({"n": number, **request}).encode() + b"\n")
            await self._writer.drain()
            return await self._answers[number]
        except ConnectionError:
            self.close()
            raise
        finally:
            self._answers.pop(number, None)

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        try:
            with suppress(OSError, ValueError):
                while line := await reader.readline():
                    self._hear(json.loads(line))
                    self._news()
        finally:
            self.gone = True
            self._writer.close()
            for waiting in self._answers.values():
                if not waiting.done():
                    waiting.set_exception(ConnectionResetError())
            self._news()

    def _hear(self, message: dict[str, Any]) -> None:
        waiting = self._answers.get(message.get("n", 0))
        if waiting is not None and not waiting.done():
            waiting.set_result(message)

    def close(self) -> None:
        """Let go; the other end sees the end of the stream."""
        self.gone = True
        self._listener.cancel()
        self._writer.close()
