"""The merge trains of all branches: every fact brings a new look at each queue that it bears on.

A look decides from one snapshot, and what it began is found again by its key after a crash. The policy is
heddle.core.train.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypeAlias

from heddle.core.cycle import QUEUE, Decision, Wait
from heddle.core.errors import HeddleError
from heddle.core.run import Run
from heddle.core.task import Stage
from heddle.engine.branchqueue import BranchQueue
from heddle.engine.runs import Runs
from heddle.engine.site import Outside
from heddle.ports import Dispatcher

log = logging.getLogger("heddle.trains")

Branch: TypeAlias = tuple[str, str]
"""A repository's root, and a branch of it."""

RETRY_S = 15.0


class Trains:
    """Every branch's landing queue. `wake` is called when a look is due that no fact brings."""

    def __init__(self, runs: Runs, outside: Outside, dispatcher: Dispatcher, wake: Callable[[], None]) -> None:
        self.runs, self.outside, self.dispatcher, self.wake = runs, outside, dispatcher, wake
        self._queues: dict[Branch, BranchQueue] = {}
        self._stamps: dict[Branch, tuple[object, ...]] = {}
        self._troubles: dict[Branch, str] = {}

    def look(self, decided: Callable[[Run], Decision]) -> None:
        """See to it that every queue is looked at about which something is new."""
        waiting = defaultdict[Branch, list[Run]](list)
        for run in self.runs.live():
            decision = decided(run) if run.stage is Stage.LAND else None
            if isinstance(decision, Wait) and decision.reason == QUEUE:
                waiting[run.task.root, run.task.branch].append(run)
        for branch in {*waiting, *self._stamps, *self._under_way()}:
            self._look_if_new(branch, waiting[branch])

    def _under_way(self) -> Iterable[Branch]:
        """Where a landing is on record that did not end; a crash may have come when nobody was left to land."""
        for queue in self.runs.queues().values():
            for name, going in queue.departed.items():
                known = (self.runs.require(car.task) for car in going.cars if not self.runs.lost(car.task))
                yield from ((run.task.root, name) for run in known)

    def _look_if_new(self, branch: Branch, runs: Sequence[Run]) -> None:
        facts = {key: self.runs.tally(f"queue:{key}").seq for key in self.runs.queues()}
        stamp = (facts, *((run.task.id, run.seq) for run in runs))
        if self._stamps.get(branch) == stamp:
            return
        self._stamps[branch] = stamp
        members = tuple(run.task.id for run in runs)
        self.dispatcher.submit(f"queue:{branch}", lambda: self._look(branch, members))

    async def _look(self, branch: Branch, members: tuple[str, ...]) -> None:
        try:
            queue = await self._queue(branch)
            queue.members = members
            await queue.look()
            self._troubles.pop(branch, None)
        except Exception as error:
            await self._failed(branch, error)

    async def _failed(self, branch: Branch, error: Exception) -> None:
        """Tell what is in the way, and look again in a while: no fact brings that look."""
        if isinstance(error, HeddleError):
            log.warning("the landing queue cannot go on", exc_info=error)
            self._troubles[branch] = f"{error.message}; {error.hint}"
        else:
            log.error("bug", exc_info=error)
            self._troubles[branch] = f"a bug, {type(error).__name__}: {error}"
        await asyncio.sleep(RETRY_S)
        self._stamps.pop(branch, None)
        self.wake()

    async def _queue(self, branch: Branch) -> BranchQueue:
        if branch not in self._queues:
            site = await self.outside.site(branch[0])
            failed = partial(self._failed, branch)
            self._queues[branch] = BranchQueue(
                self.runs, self.outside, self.dispatcher, site, branch[1], failed, self.judging
            )
        return self._queues[branch]

    async def arrive(self, run: Run) -> bool:
        """Carry out the landing that the run is part of; False when none is under way. Raises HeddleError."""
        return await (await self._queue((run.task.root, run.task.branch))).arrive()

    def queues(self) -> tuple[BranchQueue, ...]:
        """Every queue that was looked at."""
        return tuple(self._queues.values())

    def judging(self) -> int:
        """How many validations of trains are under way."""
        return sum(len(queue.judging) for queue in self._queues.values())

    def standing(self, run: Run) -> str:
        """How a run stands in its queue, in words."""
        branch = (run.task.root, run.task.branch)
        queue, id = self._queues.get(branch), run.task.id
        if self._troubles.get(branch):
            return f"the landing queue cannot go on: {self._troubles[branch]}"
        if queue is None or id not in (*queue.line, *queue.apart):
            return ""
        if id in queue.apart:
            return f"in the landing queue: waits until what goes first has landed, with which it conflicts in {queue.apart[id]}"
        riding = [one.composition.train for one in queue.judging.values() if id in one.composition.train]
        longest = max(riding, key=lambda train: train.index(id), default=())
        place = f"number {queue.line.index(id) + 1} of {len(queue.line)} in the landing queue"
        return f"{place}; checks run on {'+'.join(longest)}" if longest else place
