"""Sessions: which there are, and what they say."""

from contextlib import suppress
from dataclasses import asdict
from typing import Any

import msgspec

from heddle.api.desk import Desk
from heddle.api.tasks import One
from heddle.core import events as e
from heddle.core.errors import HeddleError, UserError
from heddle.core.redaction import Redactor
from heddle.engine.rotting import session_of


class Tail(msgspec.Struct, forbid_unknown_fields=True):
    """The end of a session's (or a check's) output; `bytes` of it."""

    session: str
    bytes: int = 20_000


class Attach(msgspec.Struct, forbid_unknown_fields=True):
    """Take over the session that works for a task, on a terminal of the type `term`."""

    task: str
    term: str = ""


async def attached(desk: Desk, asked: Attach) -> dict[str, Any]:
    """The agent's own screen on the session's conversation, which waits for its visitor (`argv`); the session's process
    has ended. When the visitor leaves, the attempt goes on from what is there.
    """
    at, held = await desk.fleet.attaching.begin(desk.require(asked.task).task.id, asked.term, by=desk.by)
    door = held.door(f"the screen was closed from outside; see: heddle why {asked.task}")
    return {
        "schema": "heddle.attach/1",
        "session": at.session,
        "agent": at.agent,
        "stage": at.stage,
        "argv": list(door),
    }


async def listed(desk: Desk, asked: One) -> dict[str, Any]:
    """Every session of a task with what it used, how full its context was, how it ended, and how far it has come apart."""
    run = desk.require(asked.task)
    await desk.fleet.rotting.look([run])
    started = [(r.event, r.at) for r in desk.runs.history(run.task.id) if isinstance(r.event, e.SessionStarted)]
    entries = [await _session(desk, event, at) for event, at in started]
    rots = {session_of(run): desk.fleet.rotting.known(run)}
    found = [rots.get(entry["session"]) for entry in entries]
    told = [{**entry, "rot": asdict(rot) if rot else None} for entry, rot in zip(entries, found, strict=True)]
    return {"schema": "heddle.sessions/1", "sessions": told}


async def _session(desk: Desk, event: e.SessionStarted, at: float) -> dict[str, Any]:
    facts = await desk.runs.journal.read(f"session:{event.session}")
    ended = [r for r in facts if isinstance(r.event, e.SessionEnded)]
    tools = [r.event.title for r in facts if isinstance(r.event, e.ToolUsed)]
    return {
        "session": event.session,
        "agent": event.agent,
        "stage": event.stage,
        "attempt": event.attempt,
        "tier": event.tier,
        "began": at,
        "ended": ended[-1].at if ended else None,
        "tools": len(tools),
        "last_tool": tools[-1] if tools else "",
        "context": desk.runs.tally(f"session:{event.session}").context,
    }


async def tail(desk: Desk, asked: Tail) -> dict[str, Any]:
    """The end of the raw stream, redacted."""
    path = desk.transcript(asked.session)
    if path is None or not path.exists():
        raise UserError(
            f"there is no session '{asked.session}'", slug="no-such-session", hint="list them: heddle session list TASK"
        )
    with path.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - min(asked.bytes, 1_000_000)))
        text = file.read().decode(errors="replace")
    return {
        "schema": "heddle.transcript/1",
        "session": asked.session,
        "text": (await _redactor(desk, asked.session))(text),
    }


async def _redactor(desk: Desk, session: str) -> Redactor:
    """What knows the secrets that a session of this name was given."""
    token, secrets = desk.fleet.outside.tools.token(session), tuple[str, ...]()
    with suppress(HeddleError):  # no run's, or of a repository that is gone: it can be read all the same
        run = desk.runs.require(session.partition("-")[0])
        if run.base:
            site = await desk.fleet.outside.site(run.task.root)
            secrets = await site.workspaces.secrets(run.base)
    return Redactor((*secrets, token) if token else secrets)
