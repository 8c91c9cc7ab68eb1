"""The daemon, the agents and the configuration of this machine."""

import os
import shutil
from typing import Any

import msgspec

from heddle.api.desk import Desk
from heddle.core import events as e


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """No parameters."""


class Explain(msgspec.Struct, forbid_unknown_fields=True):
    """A configuration key (empty: all), as it holds in the repository at `root`."""

    root: str = ""
    key: str = ""


class Allow(msgspec.Struct, forbid_unknown_fields=True):
    """The repository at `root`."""

    root: str


async def daemon(desk: Desk, asked: Nothing) -> dict[str, Any]:
    """Who serves, since when, and what lives."""
    return {
        "schema": "heddle.daemon/1",
        "pid": os.getpid(),
        "version": desk.version,
        "home": str(desk.home),
        "started_at": desk.started_at,
        "position": desk.runs.journal.position(),
        "live": list(await desk.live()),
        "trouble": desk.fleet.trouble,
    }


async def shutdown(desk: Desk, asked: Nothing) -> dict[str, Any]:
    """End the daemon; sessions go on and are found again."""
    desk.close()
    return {"schema": "heddle.daemon/1", "pid": os.getpid(), "stopping": True}


async def doctor(desk: Desk, asked: Nothing) -> dict[str, Any]:
    """What works on this machine, what does not, and what would change that."""
    free, writable = shutil.disk_usage(desk.home).free, os.access(desk.home, os.W_OK)
    findings = [
        *await desk.check_sandbox(),
        {
            "what": "disk",
            "ok": writable and free > 1_000_000_000,
            "detail": f"{free // 1_000_000} MB free in {desk.home}{'' if writable else ', which cannot be written'}",
        },
        *(
            {"what": "journal", "ok": False, "detail": f"{kept.what}: {kept.why}"}
            for kept in desk.runs.journal.set_aside()
        ),
        *await desk.check_programs(),
    ]
    findings += [{"what": f"list {path}", "ok": False, "detail": why} for path, why in desk.troubles.items()]
    if desk.fleet.trouble:
        findings.append({"what": "fleet", "ok": False, "detail": desk.fleet.trouble})
    return {"schema": "heddle.doctor/1", "findings": findings}


async def allow(desk: Desk, asked: Allow) -> dict[str, Any]:
    """Allow the commands of a repository's configuration as it stands at its current commit."""
    site = await desk.fleet.outside.site(asked.root)
    repository = site.repository
    settings = await desk.fleet.outside.settings.settings(repository, await repository.resolve("HEAD"))
    commands = settings.commands
    fresh = [command for command in commands if command not in desk.runs.approved(repository.key)]
    if fresh:
        await desk.runs.record_other(f"repository:{repository.key}", e.CommandsApproved(commands), by=desk.by)
        desk.fleet.forget(repository.key)
    return {"schema": "heddle.allowed/1", "commands": list(commands), "fresh": fresh}


async def explain(desk: Desk, asked: Explain) -> dict[str, Any]:
    """Configuration values and where each comes from."""
    return {"schema": "heddle.config/1", "values": await desk.explain(asked.root, asked.key)}
