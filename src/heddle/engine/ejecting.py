"""Sending a change out of the landing queue: with the log, the exact tree, and what it breaks with."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from heddle.core import events as e
from heddle.core.gate import Colour, Verdict
from heddle.core.queue_events import ChangeEjected, TrainJudged
from heddle.core.run import Idle, Run
from heddle.core.settings import Settings
from heddle.core.task import Stage
from heddle.engine.composing import Composition
from heddle.engine.mainline import Mainline
from heddle.engine.runs import Runs
from heddle.engine.site import Outside, Site

EJECTED = "refs/heddle/ejected"
"""Below it, by task and run, the commit whose tree was not green."""

SUSPECTS = 16
"""At most so many landed commits are searched for a culprit."""


def waits(run: Run) -> bool:
    """Whether the run is in the landing queue as far as its own facts say."""
    return run.stage is Stage.LAND and isinstance(run.activity, Idle) and not run.stopping and not run.paused


@dataclass(frozen=True, slots=True)
class Ejection:
    """A change that is not green upon the branch as it is: `found` says so of the tree of `made`, whatever it was composed of
    then. `red_upon`: whether it is red upon a commit.
    """

    runs: Runs
    outside: Outside
    site: Site
    settings: Settings
    made: Composition
    found: TrainJudged
    red_upon: Callable[[str], Awaitable[bool | None]]

    async def carry_out(self, run: Run) -> None:
        """To a verdict on record that ends its wait in the queue; or, when it is the branch that fails, to a task that
        repairs that, and everybody waits.
        """
        mainline = Mainline(self.runs, self.outside, self.site, self.settings)
        if self.found.colour is Colour.RED and await mainline.blamed(run.task, self.made.onto, self.found.results):
            return
        verdict = await self._verdict(run)
        await self.site.repository.keep(f"{EJECTED}/{run.task.id.lower()}-{run.number}", self.made.commit)
        left = ChangeEjected(run.task.branch, run.task.id, self.found.tree, self.found.recipe)
        await self.runs.record_queue(run.task.repository, left)
        reached = e.VerdictReached(run.attempt(Stage.VALIDATE), verdict)

        def choose(now: Run) -> list[e.Event]:
            return [reached] if waits(now) and now.result == run.result else []

        await self.runs.record_if(run.task.id, choose)

    async def _verdict(self, run: Run) -> Verdict:
        found, made = self.found, self.made
        known = run.verdict or Verdict(found.colour, made.onto, made.commit, made.tree)
        told = replace(
            known,
            colour=found.colour,
            onto=made.onto,
            candidate=made.commit,
            tree=made.tree,
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
        """The first that landed, since the change was green, with which it is red."""
        if run.verdict is None or run.verdict.colour is not Colour.GREEN:
            return ""
        landed = await self.site.repository.log(run.verdict.onto, self.made.onto)
        if not landed:
            return ""
        one_of = f"one of {len(landed)} commits up to {landed[-1][1]} ({landed[-1][0][:12]})"
        low, high = 0, len(landed) - 1
        while low < high <= SUSPECTS:
            middle = (low + high) // 2
            red = await self.red_upon(landed[middle][0])
            if red is None:
                return one_of
            low, high = (low, middle) if red else (middle + 1, high)
        return f"{landed[low][1]} ({landed[low][0][:12]})" if low == high else one_of
