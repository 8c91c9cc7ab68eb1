"""Previews: a server inside a workspace, for the person's browser."""

from typing import Any

import msgspec

from heddle.api.desk import Desk
from heddle.api.tasks import One
from heddle.api.workspaces import about, chosen, judging, over
from heddle.core.errors import UserError
from heddle.core.task import WITH_AGENT

USUAL = 3000
"""Where servers listen when nobody tells them a port, and they have a loopback of their own."""


class Show(msgspec.Struct, forbid_unknown_fields=True):
    """A task's workspace (by its name; else the current one), and the port that is served there.

    Without a `port`: 3000 where the session has a loopback of its own, else the first that was leased to it.
    """

    task: str
    port: int = 0
    workspace: str = ""
    stage: str = ""


async def opened(desk: Desk, asked: Show) -> dict[str, Any]:
    """The address at which it is shown from now on. `listening`: whether anybody serves there already."""
    desk.previews.server.require_on()
    if not 0 <= asked.port <= 65_535:
        raise UserError(f"there is no port {asked.port}", slug="no-such-port", hint="name one from 1 to 65535")
    run = desk.require(asked.task)
    made, workspace = await chosen(desk, run, asked, WITH_AGENT)
    if made.stage not in WITH_AGENT:
        raise judging(run)
    if made not in run.workspaces:
        raise over(run, made)
    leased = workspace.ports()
    port = asked.port or (leased[0] if leased else USUAL)
    preview = await desk.previews.begin(run.task.id, made, workspace, port)
    return {
        "schema": "heddle.preview/1",
        **about(run, made),
        "port": port,
        "url": preview.url,
        "listening": preview.listening,
    }


async def stopped(desk: Desk, asked: One) -> dict[str, Any]:
    """End the task's preview, with every connection to it."""
    run = desk.require(asked.task)
    preview = await desk.previews.end(run.task.id)
    if preview is None:
        hint = f"open one: heddle preview {run.task.id}"
        raise UserError(f"task '{run.task.id}' has no preview", slug="no-preview", hint=hint)
    return {"schema": "heddle.preview-end/1", "task": run.task.id, "workspace": preview.workspace, "url": preview.url}
