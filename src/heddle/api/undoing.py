"""Taking a landed change back: a task whose result is the way back."""

from collections.abc import Sequence
from typing import Any

import msgspec

from heddle.api import ready_made
from heddle.api.desk import Desk
from heddle.api.tasks import desk_row
from heddle.core import events as e
from heddle.core.errors import Refused, UserError
from heddle.core.run import Run
from heddle.core.task import UNDO, Lane, Task
from heddle.ports import Change, Conflicted, Repository


class Undo(msgspec.Struct, forbid_unknown_fields=True):
    """A landed task to be taken back; `checks` beside those of the repository must pass."""

    task: str
    checks: list[str] = []


async def undo(desk: Desk, asked: Undo) -> dict[str, Any]:
    """Take a landed change back: a revert that is validated and lands like any other task."""
    run = desk.require(asked.task)
    if run.landed is None:
        hint = f"stop it: heddle stop {run.task.id}"
        raise UserError(f"task '{run.task.id}' has not landed", slug="not-landed", hint=hint)
    repository = (await desk.site(run)).repository
    tip = await repository.resolve(f"refs/heads/{run.task.branch}")
    settings = await desk.fleet.outside.settings.settings(repository, tip)
    if not (settings.checks or asked.checks):
        hint = f'name one: heddle undo {run.task.id} --check "..."'
        raise UserError("no check is known that could validate the way back", slug="no-check", hint=hint)
    tree, changes = await _reverted(repository, run, run.landed, tip)
    undone, title = run.task, f"Undo {run.task.id}: {run.task.title}"
    commit = await repository.commit(tree, [tip], title, as_person=False)
    await repository.keep(f"refs/heddle/results/undo-{commit[:12]}", commit)
    delivered = ready_made.result(commit, tree, changes, f"Takes back {run.landed.commit}.")

    def make(id: str) -> Task:
        where = (undone.repository, undone.root, undone.branch)
        return Task(id, *where, title, Lane.QUICK, UNDO, checks=tuple(asked.checks), scope=delivered.paths)

    return desk_row(desk, await ready_made.add(desk, make, tip, delivered))


async def _reverted(repository: Repository, run: Run, landed: e.Landed, tip: str) -> tuple[str, Sequence[Change]]:
    """The tree of the branch without what landed, and what differs in it. Raises Refused, UserError."""
    parent = await repository.resolve(f"{landed.commit}^")
    merged = await repository.merge(tip, parent, landed.commit)
    if isinstance(merged, Conflicted):
        raise Refused(
            f"later changes build on '{run.task.id}': {', '.join(merged.paths[:5])}",
            slug="undo-conflict",
            hint=f'ask for it as a task: heddle start "take back {run.task.id}"',
        )
    changes = await repository.changes(tip, merged.tree)
    if not changes:
        hint = f"see: heddle why {run.task.id}"
        raise UserError(f"nothing of '{run.task.id}' is left to take back", slug="nothing-to-undo", hint=hint)
    return merged.tree, changes
