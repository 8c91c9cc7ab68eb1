"""People inside workspaces: on record before the door opens for them, and again once nothing of their visit lives."""

import asyncio
import logging
import secrets
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

from heddle.core import events as e
from heddle.core.errors import HeddleError, OutsideError
from heddle.core.redaction import redact
from heddle.core.run import Run
from heddle.engine.runs import Runs
from heddle.engine.site import Outside
from heddle.ports import Command, Held, Workspace

log = logging.getLogger("heddle.visits")

RETRY_S = 15.0
"""When the end of a visit cannot be written down: how long until that is tried again."""


class Visits:
    """Begins visits and follows each to its end. A visit outlives the daemon; the next one follows it on."""

    def __init__(self, runs: Runs, outside: Outside) -> None:
        self.runs, self.outside = runs, outside
        self._following: set[asyncio.Task[None]] = set()

    async def begin(
        self, task: str, made: e.WorkspaceCreated, workspace: Workspace, command: Command, *, by: str, shown: str
    ) -> Held:
        """`command`, under a key of its own, waiting for its visitor. `shown`: what the journal says of it.

        Raises Refused(slug="workspace-sealed"), OutsideError(slug="workspace-lost").
        """
        visit = f"{made.workspace}.visit-{secrets.token_hex(3)}"
        held = await workspace.enter(replace(command, key=visit))
        entered = e.WorkspaceEntered(visit, made.workspace, made.stage, redact(shown)[:200])
        await self.runs.record(task, entered, by=by)
        self._follow(task, entered, _known(held))
        return held

    def resume(self) -> None:
        """Follow what an earlier daemon left open."""
        for run in self.runs.all():
            for entered in run.visits if run.task.id not in self.runs.unreadable else ():
                self._follow(run.task.id, entered, self._found(run, entered))

    async def close(self) -> None:
        """Let go; people stay where they are."""
        following = tuple(self._following)
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)

    def _follow(self, task: str, entered: e.WorkspaceEntered, finding: Coroutine[Any, Any, Held]) -> None:
        following = asyncio.create_task(self._to_the_end(task, entered, finding))
        self._following.add(following)
        following.add_done_callback(self._following.discard)

    async def _to_the_end(self, task: str, entered: e.WorkspaceEntered, finding: Coroutine[Any, Any, Held]) -> None:
        code, signal = None, None
        try:
            ended = await (await finding).exit()
            code, signal, why = ended.code, ended.signal, ended.why
        except HeddleError as error:
            why = error.slug
        left = e.WorkspaceLeft(entered.visit, entered.workspace, code, signal, why)
        while True:
            try:
                await self.runs.record(task, left)
                return
            except HeddleError as error:
                log.warning("the end of visit '%s' is not on record yet: %s", entered.visit, error.message)
                await asyncio.sleep(RETRY_S)

    async def _found(self, run: Run, entered: e.WorkspaceEntered) -> Held:
        """Its process, by its key: a known one is never started anew."""
        workspace = await (await self.outside.site(run.task.root)).workspaces.find(entered.workspace)
        if workspace is None:
            raise OutsideError(f"workspace '{entered.workspace}' is gone", slug="workspace-lost")
        return await workspace.enter(Command(entered.visit, ("true",), ""))


async def _known(held: Held) -> Held:
    return held
