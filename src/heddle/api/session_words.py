"""What a session says to the person while it works: a question, and how far it has come."""

import msgspec

from heddle.api.desk import Desk
from heddle.api.session_tools import Caller, require_live
from heddle.core import events as e
from heddle.core.asking import require_question, require_report
from heddle.core.redaction import Redactor
from heddle.core.run import Run
from heddle.engine.asking import Asking
from heddle.engine.prompts import fenced

PATIENCE_S = 25.0
"""How long a call waits for the person: agents' programs give a call up after a minute, some sooner."""

REPORT_EVERY_S = 10.0
MOST_REPORTS = 200
"""Lines of progress that are kept of one session."""


class Ask(msgspec.Struct, forbid_unknown_fields=True):
    """A question that only the person can settle, the answers that you offer, and the one that you recommend."""

    question: str
    options: list[str] = []
    default: str = ""


class Report(msgspec.Struct, forbid_unknown_fields=True):
    """A short line."""

    line: str


async def ask(desk: Desk, caller: Caller, asked: Ask) -> str:
    """Put a question to the person, and wait for a while."""
    run = require_live(desk, caller)
    redact = await _redactor(desk, run)
    question = require_question(redact(asked.question), tuple(map(redact, asked.options)), redact(asked.default))
    park_s = (await desk.fleet.worlds.settings(run)).park_s
    patience_s = min(PATIENCE_S, park_s) if park_s else PATIENCE_S
    answer = await Asking(desk.runs, caller.task, caller.session).ask(question, patience_s)
    if answer is None:
        return (
            "The person has not answered yet; the question stays open. Do what does not depend on it, then end your turn: "
            "the answer comes to you as your next one. Asking the same again waits for the same answer."
        )
    return fenced("answer", answer)


async def report_progress(desk: Desk, caller: Caller, asked: Report) -> str:
    """Have the person see how far the session has come."""
    run = require_live(desk, caller)
    line = require_report((await _redactor(desk, run))(asked.line))
    refused: list[str] = []

    def choose(run: Run) -> list[e.Event]:
        refused.extend(_too_much(desk, caller))
        return [] if refused else [e.ProgressReported(caller.session, line)]

    await desk.runs.record_if(caller.task, choose, by=caller.session)
    return refused[0] if refused else "shown"


def _too_much(desk: Desk, caller: Caller) -> list[str]:
    """Why one more line is not shown."""
    facts = [fact for fact in desk.runs.history(caller.task) if isinstance(fact.event, e.ProgressReported)]
    if sum(fact.by == caller.session for fact in facts) >= MOST_REPORTS:
        return [f"not shown: you have reported {MOST_REPORTS} times; go on without"]
    if facts and desk.fleet.outside.clock.now() - facts[-1].at < REPORT_EVERY_S:
        return [f"not shown: your last line is less than {REPORT_EVERY_S:g} s old; go on"]
    return []


async def _redactor(desk: Desk, run: Run) -> Redactor:
    return Redactor(await (await desk.site(run)).workspaces.secrets(run.base))
