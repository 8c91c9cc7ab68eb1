"""Workspaces: lay out what one holds, go into one."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import msgspec

from heddle.api.desk import Desk
from heddle.api.tasks import recoveries
from heddle.core import events as e
from heddle.core.errors import HeddleError, Refused, UserError
from heddle.core.run import Run
from heddle.core.task import READ_ONLY, WITH_AGENT, Stage
from heddle.ports import Command, Workspace

SHELL = 'for shell in "$1" bash sh; do command -v "$shell" >/dev/null && exec "$shell"; done'
"""The person's own shell where it is there inside, else the next best."""


class Choice(Protocol):
    """What says which workspace of a task is meant."""

    @property
    def stage(self) -> str:
        """Of which stage; "" for the current one."""
        ...

    @property
    def workspace(self) -> str:
        """By its name; "" for any."""
        ...


class Open(msgspec.Struct, forbid_unknown_fields=True):
    """A task's workspace (of a stage, or by its name; else the current one) and where to lay it out.

    Without a `path`: beside the main checkout.
    """

    task: str
    path: str = ""
    stage: str = ""
    workspace: str = ""


class Enter(msgspec.Struct, forbid_unknown_fields=True):
    """A task's workspace as in Open, and what to run there: `command`, or the shell `shell` or one like it.

    `terminal`: on a terminal of its own, of the type `term`.
    """

    task: str
    stage: str = ""
    workspace: str = ""
    command: list[str] = []
    shell: str = ""
    term: str = ""
    terminal: bool = False


async def opened(desk: Desk, asked: Open) -> dict[str, Any]:
    """A plain git worktree of what the workspace holds now; the session goes on untouched."""
    run = desk.require(asked.task)
    made, workspace = await chosen(desk, run, asked, frozenset(Stage))
    path = asked.path or f"{run.task.root.rstrip('/')}-{run.task.id}"
    found = await workspace.export(Path(path))
    cautions = [asdict(one) for one in found]
    return {"schema": "heddle.open/1", **about(run, made), "path": path, "cautions": cautions}


async def entered(desk: Desk, asked: Enter) -> dict[str, Any]:
    """A process in the workspace that waits for its visitor, and the command line (`argv`) that visits it.

    `kept`: whether what is changed there becomes part of the result.
    """
    run = desk.require(asked.task)
    if asked.stage == Stage.VALIDATE:
        raise judging(run)
    made, workspace = await chosen(desk, run, asked, WITH_AGENT)
    if made.stage not in WITH_AGENT:
        raise judging(run)
    argv = tuple(asked.command) or ("/bin/sh", "-c", SHELL, "sh", asked.shell)
    env = {"TERM": asked.term} if asked.term else {}
    command = Command("", argv, "", env, "terminal" if asked.terminal else "lent")
    shown = " ".join(asked.command)
    try:
        held = await desk.fleet.visits.begin(run.task.id, made, workspace, command, by=desk.by, shown=shown)
    except HeddleError as error:
        if error.slug != "workspace-sealed":
            raise
        raise over(run, made) from error
    door = held.door(f"the visit was ended from outside; see: heddle why {run.task.id}")
    return {
        "schema": "heddle.visit/1",
        **about(run, made),
        "kept": made.stage not in READ_ONLY,
        "argv": list(door),
    }


def about(run: Run, made: e.WorkspaceCreated) -> dict[str, Any]:
    """What every answer about a workspace begins with."""
    return {"task": run.task.id, "workspace": made.workspace, "stage": made.stage}


async def chosen(desk: Desk, run: Run, asked: Choice, stages: frozenset[Stage]) -> tuple[e.WorkspaceCreated, Workspace]:
    """The newest workspace that exists and was asked for; of the run's current stage when there is one."""
    if asked.stage and asked.stage not in tuple(Stage):
        told = ", ".join(Stage)
        raise UserError(f"there is no stage '{asked.stage}'", slug="no-such-stage", hint=f"stages are: {told}")
    site = await desk.site(run)
    created = (r.event for r in desk.runs.history(run.task.id) if isinstance(r.event, e.WorkspaceCreated))
    newest = list({made.workspace: made for made in created}.values())[::-1]
    there = []
    for made in newest:
        workspace = await site.workspaces.find(made.workspace)
        if workspace is not None:
            there.append((made, workspace))
    named = [one for one in there if asked.workspace in ("", one[0].workspace)]
    fitting = [
        one for one in named if asked.stage in ("", one[0].stage) and (asked.workspace or one[0].stage in stages)
    ]
    current = [one for one in fitting if one[0].stage is run.stage]
    if not fitting:
        raise _nothing(desk, run, asked, [made.workspace for made, _ in there])
    return (current or fitting)[0]


def _nothing(desk: Desk, run: Run, asked: Choice, there: list[str]) -> UserError:
    id = run.task.id
    which = f" '{asked.workspace}'" if asked.workspace else ""
    of = f" of stage '{asked.stage}'" if asked.stage else ""
    if there:
        hint = f"there is: {', '.join(there)}"
    elif recoveries(desk, run):
        hint = f"bring back what a removed one held: heddle restore {id}"
    else:
        hint = f"see what it made: heddle diff {id}" if run.result else f"see: heddle why {id}"
    return UserError(f"task '{id}' has no workspace{which}{of} now", slug="no-workspace", hint=hint)


def over(run: Run, made: e.WorkspaceCreated) -> Refused:
    """The error for who comes after the attempt."""
    return Refused(
        f"workspace '{made.workspace}' is sealed: its attempt is over, and nobody goes in any more",
        slug="workspace-sealed",
        hint=f"look at what it holds: heddle open {run.task.id} --workspace {made.workspace}",
    )


def judging(run: Run) -> Refused:
    """The error for who would come between a candidate and its verdict."""
    return Refused(
        "nobody goes into a workspace of a validation: what is changed there would change the verdict",
        slug="validation-alone",
        hint=f"lay it out elsewhere: heddle open {run.task.id} --stage validate",
    )
