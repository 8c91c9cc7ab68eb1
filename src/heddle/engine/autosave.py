"""Saving what a session wrote while it writes, for the day on which the machine goes down."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from heddle.core.errors import HeddleError

log = logging.getLogger("heddle.autosave")

PAUSE_S = 180.0
"""At most so much work a crash of the machine costs, and the time that a save takes."""


class Autosave:
    """Saves one session's workspace from time to time. It saves after the agent said something, never else."""

    def __init__(self, session: str, save: Callable[[], Awaitable[bool]]) -> None:
        self.session, self.save = session, save
        self._news = asyncio.Event()

    def nudge(self) -> None:
        """The agent said something, so it may have written something."""
        self._news.set()

    async def serve(self) -> None:
        """Until cancelled, or it turns out that there is nothing to fear."""
        needed = True
        while needed:
            await asyncio.sleep(PAUSE_S)
            await self._news.wait()
            self._news.clear()
            needed = await self.now()

    async def now(self) -> bool:
        """Save; False when there is nothing to fear. What fails is tried again the next time."""
        try:
            return await self.save()
        except HeddleError as error:
            log.info("no save", extra={"session": self.session, "slug": error.slug})
            return True
