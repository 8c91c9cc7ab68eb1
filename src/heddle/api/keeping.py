"""A file that is kept in step with the tasks because a person asked for it: our block in it, and nothing else.

What is written next is on record before it is written, so that what lies there is known as ours also after a crash. A block
that anybody else changed is theirs: it is left, and that is told until a person asks anew.
"""

import asyncio
import hashlib
import os
from contextlib import suppress
from typing import Any

import msgspec

from heddle.api.desk import Desk
from heddle.api.lists import exported
from heddle.core import events as e
from heddle.core.errors import HeddleError, Refused, UserError
from heddle.core.events import ListKept

LOOK_S = 5.0
PAUSE_S = 1.0
"""Facts come many at a time, and each file tells of all tasks."""

RETRY_S = 15.0
LONGEST_S = 600.0
"""What cannot be written is tried again after that long, then after twice as long, up to so long."""


class Keep(msgspec.Struct, forbid_unknown_fields=True):
    """Which file, inside the repository that `root` lies in; `end`: it is kept in step no more."""

    root: str
    where: str
    end: bool = False


async def keep(desk: Desk, asked: Keep) -> dict[str, Any]:
    """Write the block now, whatever is in it, and have it follow the tasks from here on; or have that end."""
    repository = (await desk.fleet.outside.site(asked.root)).repository
    path = os.path.relpath(os.path.realpath(asked.where), os.path.realpath(repository.root))
    if not os.path.isabs(asked.where) or path.startswith("..") or not path.endswith(".md"):
        hint = "name a Markdown file in it, as ROADMAP.md"
        raise UserError(f"'{asked.where}' is no Markdown file of the repository", slug="not-kept", hint=hint)
    if asked.end:
        kept = desk.runs.kept_lists.get((repository.key, path))
        if kept is None or not kept.block:
            hint = "keep it with: heddle task export ROADMAP.md --keep"
            raise UserError(f"'{path}' is not kept in step", slug="not-kept", hint=hint)
        await _record(desk, repository.key, ListKept(repository.root, path, "", kept.block))
        desk.troubles.pop(path, None)
        return {"schema": "heddle.kept/1", "path": path, "kept": False, "changed": False}
    await desk.fleet.up_to_date(LOOK_S)
    changed = await _bring(desk, repository.key, repository.root, path, None)
    desk.troubles.pop(path, None)
    return {"schema": "heddle.kept/1", "path": path, "kept": True, "changed": changed}


async def serve(desk: Desk) -> None:
    """Until cancelled: bring every kept file into step whenever facts came."""
    wait_s = RETRY_S
    while True:
        position = desk.runs.journal.position()
        failed = False
        if any(kept.block for kept in desk.runs.kept_lists.values()):
            await desk.fleet.up_to_date(LOOK_S)
        for (key, path), kept in list(desk.runs.kept_lists.items()):
            if kept.block:
                try:
                    await _bring(desk, key, kept.root, path, kept)
                    desk.troubles.pop(path, None)
                except HeddleError as error:
                    desk.troubles[path] = f"{error.message}; {error.hint}"
                    failed = True
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s if failed else None):
                await desk.runs.journal.wait(position)
        await asyncio.sleep(PAUSE_S)
        wait_s = min(LONGEST_S, wait_s * 2) if failed else RETRY_S


async def _bring(desk: Desk, key: str, root: str, path: str, kept: ListKept | None) -> bool:
    """Have the file hold the tasks as they are; what is there must be what was written last, unless nothing is `kept` yet.

    Raises Refused(slug="edited-block") for what somebody else wrote, and as Trackers.write.
    """
    where, tasks = os.path.join(root, path), exported(desk, key)
    there = _digest(await desk.lists.load_block(where))
    wanted = _digest(desk.lists.text(tasks, "roadmap").strip("\n"))
    if kept is not None and there == wanted == kept.block == kept.before:
        return False
    if kept is not None and there not in (kept.block, kept.before):
        hint = f"have it written anew: heddle task export {path} --keep"
        raise Refused(
            f"somebody changed Heddle's block in '{path}'; it is left as it is", slug="edited-block", hint=hint
        )
    if there != wanted:
        await _record(desk, key, ListKept(root, path, wanted, there))
    changed = await desk.lists.write(tasks, "roadmap", where, root)
    await _record(desk, key, ListKept(root, path, wanted, wanted))
    return changed


async def _record(desk: Desk, key: str, fact: e.Event) -> None:
    await desk.runs.record_other(f"repository:{key}", fact, by=desk.by)


def _digest(block: str) -> str:
    return hashlib.sha256(block.encode("utf-8", "surrogateescape")).hexdigest()[:16]
