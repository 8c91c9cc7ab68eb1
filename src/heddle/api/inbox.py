"""The inbox: what only a person can settle, and settling it."""

from dataclasses import asdict
from typing import Any

import msgspec

from heddle.api.desk import Desk
from heddle.api.tasks import desk_row
from heddle.core import events as e
from heddle.core.cycle import Wait
from heddle.core.errors import Refused, UserError
from heddle.core.run import AtGate, HeldUp, Run


class Inbox(msgspec.Struct, forbid_unknown_fields=True):
    """All items of every repository."""


class Approve(msgspec.Struct, forbid_unknown_fields=True):
    """Approve what a task waits for. `digest`, when given, must be the one that was read."""

    task: str
    digest: str = ""
    note: str = ""


class Reject(msgspec.Struct, forbid_unknown_fields=True):
    """Send it back with a reason."""

    task: str
    reason: str


class Answer(msgspec.Struct, forbid_unknown_fields=True):
    """Answer the open question of a task (`question` names one when there are several)."""

    task: str
    text: str = ""
    question: str = ""


async def listed(desk: Desk, asked: Inbox) -> dict[str, Any]:
    """Every item, the longest waiting first."""
    runs = sorted(desk.runs.all(), key=lambda run: desk.row(run).since)
    items = [item for run in runs for item in desk.items(run)]
    return {"schema": "heddle.inbox/1", "items": [asdict(item) for item in items]}


async def approve(desk: Desk, asked: Approve) -> dict[str, Any]:
    """Pass a gate, release a held run, or allow the repository's commands."""
    run = desk.require(asked.task)
    decision = desk.fleet.decision(run)
    if isinstance(decision, Wait) and decision.reason == "commands":
        return await _allow_commands(desk, run)

    def choose(run: Run) -> list[e.Event]:
        match run.activity:
            case AtGate(bound):
                if asked.digest and asked.digest != bound:
                    raise Refused(
                        f"'{asked.digest}' is not what waits any more; it is '{bound}' now",
                        slug="digest-changed",
                        hint=f"read it again: heddle plan show {run.task.id}",
                    )
                return desk.runs.passing(run, bound, desk.by)
            case HeldUp():
                return [e.RunReleased(desk.by, asked.note)]
            case _:
                raise _nothing(run)

    return desk_row(desk, await desk.runs.record_if(run.task.id, choose, by=desk.by))


async def _allow_commands(desk: Desk, run: Run) -> dict[str, Any]:
    settings = await desk.fleet.worlds.settings(run)
    commands = settings.commands
    await desk.runs.record_other(f"repository:{run.task.repository}", e.CommandsApproved(commands), by=desk.by)
    desk.fleet.forget(run.task.repository)
    return {**desk_row(desk, run), "approved": list(commands)}


async def reject(desk: Desk, asked: Reject) -> dict[str, Any]:
    """Send the stage at the gate back with a reason; a held run is stopped."""
    run = desk.require(asked.task)
    if not asked.reason.strip():
        raise UserError("a rejection needs a reason", slug="no-reason", hint='add: --reason "..."')

    def choose(run: Run) -> list[e.Event]:
        match run.activity:
            case AtGate(bound):
                return [e.GateRejected(run.stage, bound, desk.by, asked.reason)]
            case HeldUp():
                return [e.StopRequested(desk.by, asked.reason)]
            case _:
                raise _nothing(run)

    return desk_row(desk, await desk.runs.record_if(run.task.id, choose, by=desk.by))


async def answer(desk: Desk, asked: Answer) -> dict[str, Any]:
    """Answer a question of a live session; an empty answer takes the default."""
    run = desk.require(asked.task)

    def choose(run: Run) -> list[e.Event]:
        questions = [question for question in run.questions if asked.question in ("", question.id)]
        if not questions:
            raise UserError(
                f"task '{run.task.id}' asks nothing", slug="no-question", hint="see what waits: heddle inbox"
            )
        question, text = questions[0], asked.text.strip() or questions[0].default
        words = " or ".join(f"'{option}'" for option in question.options)
        if not text:
            hint = f"answer {words}" if words else "give an answer"
            raise UserError("the question has no default", slug="no-answer", hint=hint)
        if question.frozen and text not in question.options:
            raise UserError(f"'{text}' settles nothing for a frozen session", slug="bad-answer", hint=f"answer {words}")
        return [e.QuestionAnswered(question.id, text)]

    return desk_row(desk, await desk.runs.record_if(run.task.id, choose, by=desk.by))


def _nothing(run: Run) -> UserError:
    id = run.task.id
    return UserError(f"task '{id}' waits for no decision", slug="nothing-to-decide", hint=f"see: heddle why {id}")
