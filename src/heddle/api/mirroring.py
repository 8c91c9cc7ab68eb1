"""What becomes of tasks is told to the issues that they came from, because a person asked for it.

What an issue was told last is on record once it was told; what it shows is looked at before anything is written there, so that
a crash in between tells nothing twice.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec

from heddle.api.desk import Desk
from heddle.core import events as e
from heddle.core.errors import HeddleError, UserError
from heddle.core.mirror import mirrored, reflection
from heddle.core.run import Run

TROUBLE = "mirror"
RETRY_S = 30.0
LONGEST_S = 1800.0
"""What cannot be told is tried again after that long, then after twice as long, up to so long."""


class Mirror(msgspec.Struct, forbid_unknown_fields=True):
    """Of which repository; `end`: nothing is told any more."""

    root: str
    end: bool = False


async def mirror(desk: Desk, asked: Mirror) -> dict[str, Any]:
    """Have issues told what becomes of their tasks from here on, or have that end. Of what was before nothing is told."""
    key = (await desk.fleet.outside.site(asked.root)).repository.key
    runs = _of(desk, key)
    if not asked.end and not runs:
        hint = "bring them in first: heddle task import OWNER/NAME"
        raise UserError("no task here came from an issue of GitHub's", slug="not-mirrored", hint=hint)
    if asked.end and key not in desk.runs.mirrors:
        hint = "have it told with: heddle task mirror"
        raise UserError("nothing is told to issues here", slug="not-mirrored", hint=hint)
    marks = () if asked.end else tuple((run.task.id, reflection(run).mark) for run in runs)
    await desk.runs.record_other(f"repository:{key}", e.MirrorSet(not asked.end, marks), by=desk.by)
    desk.troubles.pop(TROUBLE, None)
    return {"schema": "heddle.mirror/1", "on": not asked.end, "tasks": len(runs)}


async def serve(desk: Desk) -> None:
    """Until cancelled: tell what is new whenever facts came. What fails keeps nothing else from being told."""
    wait_s = RETRY_S
    while True:
        position = desk.runs.journal.position()
        failed = False
        for key, told in list(desk.runs.mirrors.items()):
            failed = not await _tell(desk, key, told) or failed
        if not failed:
            desk.troubles.pop(TROUBLE, None)
        wait_s = min(LONGEST_S, wait_s * 2) if failed else RETRY_S
        if failed:  # facts come all the time; GitHub is asked again by the clock
            await asyncio.sleep(wait_s / 2)
        else:
            with suppress(TimeoutError):
                await desk.runs.journal.wait(position)


async def _tell(desk: Desk, key: str, told: Mapping[str, str]) -> bool:
    """Tell every issue of a repository what it does not show yet; whether all of that could be told."""
    well = True
    for run in _of(desk, key):
        wanted = reflection(run)
        known = told.get(run.task.id, f"{run.task.id}/0/waiting")  # it came in since
        if wanted.mark == known or key not in desk.runs.mirrors:
            continue
        try:
            await desk.lists.show(run.task.source, wanted, run.task.root)
            await desk.runs.record_other(f"repository:{key}", e.TaskMirrored(run.task.id, wanted.mark), by="heddle")
        except HeddleError as error:
            desk.troubles[TROUBLE] = f"{run.task.id}: {error.message}; {error.hint}"
            well = False
    return well


def _of(desk: Desk, key: str) -> list[Run]:
    return [run for run in desk.runs.all() if run.task.repository == key and mirrored(run)]
