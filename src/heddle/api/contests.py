"""Rivals side by side: what each attempt of a contest came to."""

from typing import Any

from heddle.api.desk import Desk
from heddle.api.tasks import One
from heddle.core import events as e
from heddle.core.contest import standing
from heddle.core.errors import UserError
from heddle.core.run import Run
from heddle.core.task import Stage
from heddle.core.views import state


async def compared(desk: Desk, asked: One) -> dict[str, Any]:
    """Every attempt of the contest that a task belongs to. Raises UserError(slug="no-rivals")."""
    run = desk.require(asked.task)
    first = desk.require(run.task.contest) if run.task.contest else run
    if first.task.best_of > 1 and not first.rivals:
        told = f"the rivals of {first.task.id} begin once there is something to execute"
        raise UserError(told, slug="no-rivals", hint=f"see what it waits for: heddle why {first.task.id}")
    if not first.rivals:
        raise UserError(
            f"{run.task.id} has no rivals", slug="no-rivals", hint='start some: heddle start "..." --best-of 3'
        )
    runs = [first, *(desk.require(id) for id in first.rivals)]
    rows = [_row(desk, one) for one in runs]
    return {"schema": "heddle.compare/1", "task": first.task.id, "title": first.task.title, "rivals": rows}


def _row(desk: Desk, run: Run) -> dict[str, Any]:
    status, why = state(run, desk.fleet.decision(run))
    usage, at, result = desk.runs.usage(run.task.id), standing(run), run.result
    return {
        "id": run.task.id,
        "agent": run.session.agent if run.session else run.task.agent,
        "model": run.task.model,
        "status": status,
        "why": why,
        "files": len(result.paths) if result else None,
        "insertions": result.insertions if result else None,
        "deletions": result.deletions if result else None,
        "verdict": run.verdict.colour if run.verdict else "none",
        "review": run.verdict.review.colour if run.verdict and run.verdict.review else "none",
        "edited_tests": bool(run.verdict and run.verdict.edited_tests),
        "attempts": run.attempt(Stage.EXECUTE),
        "tokens": usage.input_tokens + usage.output_tokens if usage else None,
        "usd": usage.usd if usage else None,
        "seconds": _seconds(desk, run),
        "green": at.green,
        "won": at.won,
    }


def _seconds(desk: Desk, run: Run) -> float | None:
    """From the first start of execute to the last verdict."""
    facts = desk.runs.history(run.task.id)
    begun = [r.at for r in facts if isinstance(r.event, e.StageStarted) and r.event.stage is Stage.EXECUTE]
    judged = [r.at for r in facts if isinstance(r.event, e.VerdictReached)]
    return round(judged[-1] - begun[0], 1) if begun and judged else None
