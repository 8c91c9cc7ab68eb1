"""Previews: what a server inside a workspace shows the person, for as long as the workspace is there."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from heddle.core import events as e
from heddle.core.errors import HeddleError
from heddle.engine.runs import Runs
from heddle.ports import PreviewServer, Workspace


@dataclass(frozen=True, slots=True)
class Preview:
    """One that is open. `listening`: whether anybody answered on the port when it was opened."""

    task: str
    workspace: str
    port: int
    url: str
    listening: bool


class Previews:
    """At most one for a task; a further one takes its place."""

    def __init__(self, runs: Runs, server: PreviewServer) -> None:
        self.runs, self.server = runs, server
        self._open: dict[str, Preview] = {}
        self._following: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()

    async def begin(self, task: str, made: e.WorkspaceCreated, workspace: Workspace, port: int) -> Preview:
        """Show what listens on `port` in the workspace, now and later.

        Raises SetupError (slug preview-off, preview-port), Refused(slug="port-not-leased").
        """
        self.server.require_on()
        listening = await _answers(workspace, port)
        async with self._changing:
            url = await self.server.open(task.lower(), lambda: workspace.dial(port))
            preview = self._open[task] = Preview(task, made.workspace, port, url, listening)
        if self._following is None or self._following.done():
            self._following = asyncio.create_task(self._follow())
        return preview

    async def end(self, task: str) -> Preview | None:
        """End the task's, if there is one."""
        async with self._changing:
            preview = self._open.pop(task, None)
            if preview is not None:
                await self.server.end(task.lower())
        return preview

    async def close(self) -> None:
        """End all."""
        if self._following is not None:
            self._following.cancel()
            with suppress(asyncio.CancelledError):
                await self._following
        self._open.clear()
        await self.server.close()

    async def _follow(self) -> None:
        """With every fact: end those whose workspace is gone."""
        while self._open:
            position = self.runs.journal.position()
            for task in tuple(self._open):
                there = {made.workspace for made in self.runs.require(task).workspaces}
                if task in self._open and self._open[task].workspace not in there:
                    await self.end(task)
            await self.runs.journal.wait(position)


async def _answers(workspace: Workspace, port: int) -> bool:
    """Whether anybody does. Raises what no later server would mend."""
    try:
        _, writer = await workspace.dial(port)
    except HeddleError as error:
        if error.slug != "nobody-listens":
            raise
        return False
    writer.close()
    return True
