"""Sending a change out of the landing queue: with the log, the exact tree, and whom it most likely breaks with."""

from dataclasses import dataclass, replace

from heddle.core import events as e
from heddle.core.gate import Colour, Verdict
from heddle.core.queue_events import ChangeEjected, TrainJudged
from heddle.core.run import Idle, Run
from heddle.core.settings import Settings
from heddle.core.task import Stage
from heddle.engine.mainline import Mainline
from heddle.engine.runs import Runs
from heddle.engine.site import Outside, Site

EJECTED = "refs/heddle/ejected"
"""Below it, by task and run, the commit whose tree was not green."""

NAMED = 3


def waits(run: Run) -> bool:
    """Whether the run is in the landing queue as far as its own facts say."""
    return run.stage is Stage.LAND and isinstance(run.activity, Idle) and not run.stopping and not run.paused


@dataclass(frozen=True, slots=True)
class Ejection:
    """A change that is not green upon the branch as it is: `found` says so."""

    runs: Runs
    outside: Outside
    site: Site
    settings: Settings
    found: TrainJudged

    async def carry_out(self, run: Run) -> None:
        """To a verdict on record that ends its wait in the queue; or, when it is the branch that fails, to a task that
        repairs that, and everybody waits.
        """
        mainline = Mainline(self.runs, self.outside, self.site, self.settings)
        if self.found.colour is Colour.RED and await mainline.blamed(run.task, self.found.onto, self.found.results):
            return
        verdict = await self._verdict(run)
        await self.site.repository.keep(f"{EJECTED}/{run.task.id.lower()}-{run.number}", self.found.commit)
        left = ChangeEjected(run.task.branch, run.task.id, self.found.tree, self.found.recipe)
        await self.runs.record_queue(run.task.repository, left)
        reached = e.VerdictReached(run.attempt(Stage.VALIDATE), verdict)

        def choose(now: Run) -> list[e.Event]:
            return [reached] if waits(now) and now.result == run.result else []

        await self.runs.record_if(run.task.id, choose)

    async def _verdict(self, run: Run) -> Verdict:
        found = self.found
        known = run.verdict or Verdict(found.colour, found.onto, found.commit, found.tree)
        told = replace(
            known,
            colour=found.colour,
            onto=found.onto,
            candidate=found.commit,
            tree=found.tree,
            results=found.results,
            reason=found.reason,
            flakes=found.flakes,
        )
        if found.colour is not Colour.RED:
            return told
        culprit = await self._culprit(run)
        if not culprit:
            return told
        ref = f"{EJECTED}/{run.task.id.lower()}-{run.number}"
        reason = f"green before, and red together with: {culprit}\n(the tree is kept in {ref})\n{found.reason}"
        return replace(told, culprit=culprit, reason=reason)

    async def _culprit(self, run: Run) -> str:
        """What landed since the change was green: of that, what touches the same files; else all of it."""
        verdict, result, repository = run.verdict, run.result, self.site.repository
        if verdict is None or result is None or verdict.colour is not Colour.GREEN:
            return ""
        landed = await repository.log(verdict.onto, self.found.onto)
        touching, before = [], verdict.onto
        for commit, subject in landed:
            paths = {change.path for change in await repository.changes(before, commit)}
            before = commit
            if paths & set(result.paths):
                touching.append((commit, subject))
        suspects = touching or list(landed)
        named = "; ".join(f"{subject} ({commit[:12]})" for commit, subject in suspects[-NAMED:])
        return f"{named}, or another of {len(suspects)}" if suspects[NAMED:] else named
