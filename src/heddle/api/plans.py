"""Plans: read one, change one."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import msgspec

from heddle.api.desk import Desk
from heddle.api.tasks import One, desk_row
from heddle.core import events as e
from heddle.core.errors import Refused, UserError
from heddle.core.plan import Plan, digest
from heddle.core.run import AtGate, Run
from heddle.core.task import Stage
from heddle.engine.documents import load_plan


class Edit(msgspec.Struct, forbid_unknown_fields=True):
    """A changed plan as a whole document: front matter and text."""

    task: str
    document: str


async def show(desk: Desk, asked: One) -> dict[str, Any]:
    """The plan with its digest, and whether it is approved as it stands."""
    run = desk.require(asked.task)
    if run.plan is None:
        raise UserError(f"task '{run.task.id}' has no plan yet", slug="no-plan", hint=f"see: heddle why {run.task.id}")
    return {
        "schema": "heddle.plan/1",
        "task": run.task.id,
        "digest": run.bound(),
        "base": run.base,
        "approved_by": run.approved_by if run.approved == run.bound() else "",
        "fresh_checks": [c for c in run.plan.commands if c not in desk.runs.approved(run.task.repository)],
        "document": written(run.plan),
        **asdict(run.plan),
    }


async def edit(desk: Desk, asked: Edit) -> dict[str, Any]:
    """Replace the plan that waits at its gate. Every earlier approval is void."""
    plan = load_plan(asked.document, ())

    def choose(run: Run) -> list[e.Event]:
        if run.stage is not Stage.PLAN or not isinstance(run.activity, AtGate):
            raise Refused(
                f"the plan of '{run.task.id}' does not wait at its gate",
                slug="plan-not-open",
                hint=f"see: heddle why {run.task.id}",
            )
        return [e.PlanEdited(plan, digest(plan, run.base))]

    return desk_row(desk, await desk.runs.record_if(desk.require(asked.task).task.id, choose, by=desk.by))


def written(plan: Plan) -> str:
    """The plan as the document that `edit` takes."""
    lines = ["+++", f"scope = [{_quoted(plan.scope.globs)}]", f"checks = [{_quoted(plan.checks)}]"]
    for question in plan.questions:
        text, default = _quoted([question.text]), _quoted([question.default])
        lines.append(f"[[questions]]\ntext = {text}\ndefault = {default}\noptions = [{_quoted(question.options)}]")
    return "\n".join([*lines, "+++", plan.text, ""])


def _quoted(items: Sequence[str]) -> str:
    return ", ".join(msgspec.json.encode(item).decode() for item in items)
