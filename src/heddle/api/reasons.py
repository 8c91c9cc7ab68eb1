"""Why a task is where it is, and how far its session has come apart from what is."""

from dataclasses import asdict
from typing import Any

from heddle.api.desk import Desk
from heddle.api.tasks import One
from heddle.core.cycle import Wait
from heddle.core.prediction.pairs import Band, band
from heddle.core.run import Run
from heddle.core.timeline import timeline
from heddle.core.views import inbox, state


async def why(desk: Desk, asked: One) -> dict[str, Any]:
    """Why the task is where it is, from recorded facts, and what would change it."""
    run = desk.require(asked.task)
    await desk.fleet.rotting.look([run])
    decision = desk.fleet.decision(run)
    status, reason = state(run, decision)
    lines = timeline(desk.runs.history(run.task.id))
    return {
        "schema": "heddle.why/1",
        "task": run.task.id,
        "status": status,
        "stage": run.stage,
        "reason": reason,
        "slug": decision.reason if isinstance(decision, Wait) else "",
        "who": decision.who if isinstance(decision, Wait) else "heddle",
        "act": [act for item in inbox(run, decision) for act in item.act],
        "evidence": run.evidence,
        "rot": rot_of(desk, run),
        "near": _near(desk, run),
        "predictions": calibration.why if (calibration := desk.fleet.foresight.calibration(run)) else "",
        "claims": [path for claim in desk.claims(run) for path in claim.paths],
        "timeline": [asdict(line) for line in lines[-12:]],
    }


def _near(desk: Desk, run: Run) -> list[dict[str, Any]]:
    """Tasks of this time that may change what this one changes, as far as that is predicted; the likeliest first."""
    near = [(task, met, band(met.chance)) for task, met in desk.fleet.foresight.near(run)]
    return [{"task": task, **asdict(met), "band": told} for task, met, told in near if told is not Band.PARALLEL]


def rot_of(desk: Desk, run: Run) -> dict[str, Any] | None:
    """What was found of the session at work when it was looked at last; None when there is none."""
    found = desk.fleet.rotting.known(run)
    return asdict(found) if found else None
