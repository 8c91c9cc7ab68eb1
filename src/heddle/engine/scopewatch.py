"""Watching what a session writes while it writes: a shell needs no permission to leave the scope, but it leaves a trace."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from heddle.core import events as e
from heddle.core.errors import HeddleError
from heddle.core.scope import Scope
from heddle.engine.runs import Runs

log = logging.getLogger("heddle.scope")

PAUSE_S = 5.0
"""At least so long between two looks at one workspace."""

SHARE = 20.0
"""A look that takes t seconds is followed by a pause of at least so many t."""

Look = Callable[[], Awaitable[tuple[str, ...]]]
"""The paths that differ from the base now."""


class ScopeWatch:
    """Raises writes outside of the scope for one session. It looks after the agent said something, never else; where the
    session `writes`, also without a scope, for others who want to know what it has written.
    """

    def __init__(self, runs: Runs, task: str, session: str, scope: Scope, look: Look, *, writes: bool = False) -> None:
        self.runs, self.task, self.session, self.scope, self.look = runs, task, session, scope, look
        self.needed = writes or scope.declared
        self._news = asyncio.Event()

    def nudge(self) -> None:
        """The agent said something, so it may have written something."""
        self._news.set()

    async def check(self, paths: tuple[str, ...]) -> None:
        """Raise those of the paths that lie outside and were not raised yet."""
        if not self.scope.declared:
            return
        known = self.runs.require(self.task).violations
        fresh = tuple(path for path in self.scope.outside(paths) if path not in known)
        if fresh:
            await self.runs.record(self.task, e.ScopeViolated(fresh), by=self.session)

    async def serve(self) -> None:
        """Until cancelled."""
        clock = asyncio.get_running_loop().time
        while self.needed:
            await self._news.wait()
            self._news.clear()
            began = clock()
            try:
                await self.check(await self.look())
            except HeddleError as error:  # the result is looked at again when the turn is over
                log.info("no look", extra={"session": self.session, "slug": error.slug})
            await asyncio.sleep(max(PAUSE_S, SHARE * (clock() - began)))
