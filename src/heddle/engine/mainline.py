"""Whether the branch itself passes the repository's checks, before a change is blamed for a failure (M7)."""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from heddle.core import events as e
from heddle.core.errors import HeddleError
from heddle.core.gate import CheckResult, Colour, Verdict
from heddle.core.queue_events import MainFoundRed, TrainJudged
from heddle.core.settings import Settings
from heddle.core.task import Task
from heddle.engine.checking import Checking, judged
from heddle.engine.installing import Installer
from heddle.engine.prompts import fenced
from heddle.engine.runs import Runs
from heddle.engine.site import Outside, Site
from heddle.ports import Workspace, WorkspaceOrder

ROOM = "train-"
"""Begins the ids of the workspaces that belong to the queue and to no task."""

MAIN = f"{ROOM}main-"
"""Of those, the ones in which the branch itself is judged."""


def recipe(settings: Settings, checks: Sequence[str], tier: int) -> str:
    """A digest of all that decides a verdict besides the tree."""
    installed = [one.name for one in settings.dependencies]
    parts = (list(checks), list(settings.setup), installed, settings.hooks, list(settings.hosts), tier)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


class Mainline:
    """The branch of a repository as it is, with the settings of one commit."""

    def __init__(self, runs: Runs, outside: Outside, site: Site, settings: Settings) -> None:
        self.runs, self.outside, self.site, self.settings = runs, outside, site, settings
        self.installer = Installer(outside, site, settings)

    async def blamed(self, task: Task, onto: str, results: Sequence[CheckResult]) -> str:
        """The task that is to repair the branch, when one of the repository's own checks is red on a change and, without any
        change, on `onto` too; else "". There is one such task, however often that is found.
        """
        checks = set(self.settings.checks)
        with suppress(HeddleError):  # one may be gone there by now; where that cannot be read, it stands
            checks &= set((await self.outside.settings.settings(self.site.repository, onto)).checks)
        red = [one.command for one in results if one.colour is Colour.RED and one.command in checks]
        if not red:
            return ""
        async with self.runs.repairing(task.repository):  # one look at the branch for all that fail at once
            found = await self._judged(task, onto)
            bad = [one for one in found.results if one.colour is Colour.RED and one.command in red]
            return await self._repair(task, replace(found, commit=onto), bad[0]) if bad else ""

    async def _judged(self, task: Task, onto: str) -> TrainJudged:
        tree = await self.site.repository.tree_of(onto)
        digest = recipe(self.settings, self.settings.checks, self.outside.tier)
        known = self.runs.queue(task.repository).verdicts.get((tree, digest))
        if known is not None and (known.colour is Colour.GREEN or (known.colour is Colour.RED and self._open(task))):
            return known
        await self.installer.learn_secrets(onto)
        place = partial(place_for, self.installer, onto)
        key = f"{MAIN}{tree[:16]}-{digest[:8]}-{self.runs.tally(f'queue:{task.repository}').seq}"
        try:
            checked = await Checking(self.installer, self.settings.checks, place).run(key)
        finally:
            await clear(self.site, self.installer, self.runs, task.id, (key, f"{key}-again"))
        told = judged(Verdict(Colour.GREEN, onto, onto, tree), checked)
        event = TrainJudged(
            task.branch, (), onto, onto, tree, digest, told.colour, told.results, told.reason, told.flakes
        )
        await self.runs.record_queue(task.repository, event)
        return event

    def _open(self, task: Task) -> str:
        """The task that repairs the branch, unless it is over: one that a person closed means that the branch is looked at
        again.
        """
        red = self.runs.red(task.repository, task.branch)
        return red.task if red is not None else ""

    async def _repair(self, task: Task, found: TrainJudged, check: CheckResult) -> str:
        """The one task that repairs the branch: made when there is none yet."""
        if repairing := self._open(task):
            if self.runs.queue(task.repository).red[task.branch].commit != found.commit:
                await self._tell(task, found, check, repairing)
            return repairing
        text = (
            f"Repair {task.branch}: '{check.command}' fails there\n\n"
            f"The check is red on {found.commit[:12]} as it is, without any change. Make it pass again; everything else that "
            f"is to land waits for that.\n\n{fenced('end of its output', check.tail[-2000:])}"
        )

        def make(id: str) -> list[e.Event]:
            return [e.TaskAdded(Task(id, task.repository, task.root, task.branch, text, role="bugfix", priority=0))]

        made = (await self.runs.add(make, by="heddle")).task.id
        await self._tell(task, found, check, made)
        return made

    async def _tell(self, task: Task, found: TrainJudged, check: CheckResult, repair: str) -> None:
        event = MainFoundRed(task.branch, found.commit, found.tree, check.command, repair)
        await self.runs.record_queue(task.repository, event)


async def place_for(installer: Installer, commit: str, key: str, hooks: str = "") -> Workspace:
    """A clean workspace of the queue's own with the tree of a commit; the same one again after a crash."""
    workspaces = installer.site.workspaces
    found = await workspaces.find(key)
    if found is not None:
        return found
    layers = await installer.layers(commit)
    return await workspaces.create(WorkspaceOrder(key, commit, commit, hooks=hooks, layers=layers))


async def clear(site: Site, installer: Installer, runs: Runs, task: str, keys: Sequence[str]) -> None:
    """Let go of the queue's workspaces: nothing in them is anybody's work."""
    for key in keys:
        workspace = await site.workspaces.find(key)
        if workspace is not None:
            await installer.close(workspace, runs, task)
            await workspace.remove()
