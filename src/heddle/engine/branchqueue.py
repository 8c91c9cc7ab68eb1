"""The landing queue of one branch: a look at it decides what is validated, landed, or sent out of it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from heddle.core import events as e
from heddle.core.errors import HeddleError, SetupError
from heddle.core.gate import Colour
from heddle.core.queue import LandingQueue
from heddle.core.queue_events import TrainDeparted
from heddle.core.run import Run
from heddle.core.settings import Settings
from heddle.core.task import Stage
from heddle.core.train import Change, Eject, Judge, Land, Train, order, plan, seats
from heddle.engine.composing import Composer, Composition
from heddle.engine.ejecting import Ejection, waits
from heddle.engine.installing import Installer
from heddle.engine.judging import TRAINS, Judging, agreed, mark
from heddle.engine.landing import TrainLanding
from heddle.engine.mainline import MAIN, ROOM, clear
from heddle.engine.runs import Runs
from heddle.engine.site import Outside, Site
from heddle.engine.world import unapproved
from heddle.ports import Conflicted, Dispatcher

RISKY_LINES = 500
RISK = 3.0
"""How many times as likely to break a change is that is large, or that was red before."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What one look rests on: who waits, the branch as it is, and what was composed upon that."""

    runs: Mapping[str, Run]
    tip: str
    settings: Settings
    made: dict[Train, Composition]


class BranchQueue:
    """One branch's landing queue. `members`: who waits in it, as the last decisions say. `line`: in which order they go.
    `apart`: why some of them wait until others landed. `judging`: what is being validated, by key. `failed` is told what kept
    a validation from a verdict, and sees to another look. `under_way`: how many validations all queues have.
    """

    def __init__(
        self,
        runs: Runs,
        outside: Outside,
        dispatcher: Dispatcher,
        site: Site,
        branch: str,
        failed: Callable[[Exception], Awaitable[None]],
        under_way: Callable[[], int],
    ) -> None:
        self.runs, self.outside, self.dispatcher, self.site, self.branch = runs, outside, dispatcher, site, branch
        self.failed, self.under_way = failed, under_way
        self.members: tuple[str, ...] = ()
        self.line: Train = ()
        self.apart: dict[str, str] = {}
        self.judging: dict[str, Judging] = {}
        self._ends: dict[str, asyncio.Event] = {}
        self._swept = False
        self._composer = Composer(site.repository)
        self._landing = asyncio.Lock()

    @property
    def queue(self) -> LandingQueue:
        """What is known of the repository's queues."""
        return self.runs.queue(self.site.repository.key)

    async def arrive(self) -> bool:
        """Carry out the landing that is under way; False when there is none."""
        async with self._landing:
            departed = self.queue.departed.get(self.branch)
            if departed is not None:
                await TrainLanding(self.runs, self.site, self.site.repository.key, departed).carry_out()
            return departed is not None

    async def look(self) -> None:
        """One look, and the move that the policy makes of it. Raises HeddleError when git cannot say something."""
        if await self.arrive():
            return
        runs = {id: run for id in self.members if waits(run := self.runs.require(id))}
        tip = await self.site.repository.resolve(f"refs/heads/{self.branch}")
        settings = await self.outside.settings.settings(self.site.repository, tip)
        self._require_approved(settings, runs)
        sight = Sight(runs, tip, settings, {})
        if not await self._line_up(sight):
            return
        await self._sweep(sight)
        await self._move(sight)

    def _require_approved(self, settings: Settings, runs: Mapping[str, Run]) -> None:
        """Raises SetupError when the branch moved, since it was decided who waits here, to commands that nobody allowed."""
        own = {check for run in runs.values() for check in run.task.checks}
        fresh = unapproved(settings, self.runs.approved(self.site.repository.key) | own)
        if fresh:
            told = f"'{self.branch}' wants to run '{fresh[0]}' now; nobody allowed it yet"
            raise SetupError(told, slug="commands", hint="see what waits for you: heddle inbox")

    async def _line_up(self, sight: Sight) -> bool:
        """Bring who waits into order, and compose. False when somebody was sent back, so that another look is due."""
        runs, riding = sight.runs, [judging.composition.train for judging in self.judging.values()]
        kept = tuple(id for id in self.line if id in runs)
        heads, _ = await self._composer.line(sight.tip, kept, runs)
        sight.made.update(heads)
        aboard = seats(kept, lambda train: self._known(sight, train), riding)
        changes = [self._change(run) for run in runs.values()]
        ids = [change.id for change in order(changes, sight.settings.validations, aboard)]
        heads, apart = await self._composer.line(sight.tip, ids, runs)
        sight.made.update(heads)
        for id in apart:
            alone = await self._composer.compose(sight.tip, (id,), runs)
            if isinstance(alone, Conflicted):
                await self._send_back(runs[id], sight.tip, alone)
                return False
        self.apart = {id: ", ".join(conflict.paths[:3]) for id, conflict in apart.items()}
        self.line = tuple(id for id in ids if id not in apart)
        return True

    def _change(self, run: Run) -> Change:
        result = run.result
        lines = result.insertions + result.deletions if result else 0
        risky = lines > RISKY_LINES or run.attempt(Stage.EXECUTE) > 1
        ticket = run.ticket if run.ticket is not None else self.runs.history(run.task.id)[-1].position
        paths = frozenset(result.paths if result else ())
        overtaken = self.queue.overtaken.get(run.task.id, 0)
        return Change(run.task.id, ticket, paths, RISK if risky else 1.0, overtaken)

    def _judging(self, sight: Sight, composition: Composition) -> Judging:
        checks = agreed(sight.settings, (sight.runs[id] for id in composition.train))
        key = self.site.repository.key
        return Judging(self.runs, self.outside, self.site, sight.settings, self.branch, key, composition, checks)

    def _known(self, sight: Sight, train: Train) -> bool | None:
        verdict = sight.runs[train[0]].verdict
        if len(train) == 1 and verdict is not None and verdict.onto == sight.tip and verdict.colour is Colour.GREEN:
            ran = {one.command for one in verdict.results}
            if ran.issuperset(sight.settings.checks):  # it may be older than a check that the branch has now
                return True
        composition = sight.made.get(train)
        if composition is None:
            return None
        found = self.queue.verdicts.get((composition.tree, self._judging(sight, composition).recipe))
        return None if found is None else found.colour is Colour.GREEN

    async def _move(self, sight: Sight) -> None:
        line = [self._change(sight.runs[id]) for id in self.line]
        others = self.runs.validating() + self.under_way() - len(self.judging)
        width = max(1, sight.settings.validations - others)
        while True:
            riding = [judging.composition.train for judging in self.judging.values()]
            match plan(line, lambda train: self._known(sight, train), riding, width, self.queue.rate):
                case Land(train):
                    await self._depart(sight, train)
                    return
                case Eject(change):
                    await self._eject(sight, change)
                    return
                case Judge(trains):
                    wanted = trains[:width]
                    fresh = [train for train in wanted if train not in sight.made]
                    if not fresh:
                        await self._judge([self._judging(sight, sight.made[train]) for train in wanted])
                        return
                    for train in fresh:  # one that leaves somebody out; who conflicts then waits for the next look
                        made = await self._composer.compose(sight.tip, train, sight.runs)
                        if isinstance(made, Conflicted):
                            line = [change for change in line if change.id != train[-1]]
                        else:
                            sight.made[train] = made

    async def _depart(self, sight: Sight, train: Train) -> None:
        made = sight.made[train]
        going = TrainDeparted(self.queue.number + 1, self.branch, sight.tip, made.commit, made.tree, made.cars)
        await self.runs.record_queue(self.site.repository.key, going)
        await self.arrive()

    async def _eject(self, sight: Sight, id: str) -> None:
        composition = sight.made[id,]
        found = self.queue.verdicts[composition.tree, self._judging(sight, composition).recipe]
        red_upon = partial(self._red_upon, sight, id)
        ejection = Ejection(self.runs, self.outside, self.site, sight.settings, composition, found, red_upon)
        await ejection.carry_out(sight.runs[id])

    async def _red_upon(self, sight: Sight, id: str, commit: str) -> bool | None:
        """Whether the change is red upon a commit; None where that cannot be told."""
        made = await self._composer.compose(commit, (id,), sight.runs)
        if isinstance(made, Conflicted):
            return True
        judging = self._judging(sight, made)
        if judging.key in self.judging:  # a train of the same tree
            await self._ends[judging.key].wait()
        if (made.tree, judging.recipe) not in self.queue.verdicts:
            await judging.run()
        colour = self.queue.verdicts[made.tree, judging.recipe].colour
        return None if colour is Colour.UNKNOWN else colour is Colour.RED

    async def _send_back(self, run: Run, tip: str, conflict: Conflicted) -> None:
        """It conflicts with what landed: it is planned anew."""
        listed = ", ".join(conflict.paths[:5])
        outdated = e.PlanOutdated(tip, f"the result conflicts with {self.branch} in {listed}\n{conflict.detail}")
        await self.runs.record_if(
            run.task.id, lambda now: [outdated] if waits(now) and now.result == run.result else []
        )

    async def _judge(self, wanted: list[Judging]) -> None:
        """Have these validated, and nothing else. Raises SetupError when the machine has no room for more (X3)."""
        named = {judging.key: judging for judging in wanted}
        for key in [key for key in self.judging if key not in named]:
            moot = self.judging.get(key)
            await self.dispatcher.cancel(key)
            self.judging.pop(key, None)
            if moot is not None:
                with suppress(HeddleError):  # what cannot go yet goes with the next sweep
                    await moot.clear()
                    continue
                self._swept = False
        fresh = [key for key in named if key not in self.judging]
        lacking = self.outside.room.missing(0) if fresh else ""
        if lacking:
            raise SetupError(lacking, slug="no-room", hint="see what the machine has left: heddle doctor")
        for key, judging in named.items():
            if key in fresh:
                self.judging[key], self._ends[key] = judging, asyncio.Event()
                self.dispatcher.submit(key, lambda judging=judging: self._run(judging))  # type: ignore[misc]

    async def _run(self, judging: Judging) -> None:
        try:
            await judging.run()
        except Exception as error:
            await self.failed(error)
        finally:
            self.judging.pop(judging.key, None)
            self._ends.pop(judging.key).set()

    async def _sweep(self, sight: Sight) -> None:
        """What validations left that nobody carries on: at first, after one could not be cleared away, and at the end."""
        if self._swept and sight.runs:
            return
        self._swept = True
        own = mark(self.branch)
        for ref, _ in await self.site.repository.kept(TRAINS):
            if ref.endswith(f"-{own}") and ref.rpartition("/")[2] not in self.judging:
                await self.site.repository.forget(ref)
        left = await self.site.workspaces.ids()
        ours = [id for id in left if id.startswith(ROOM) and id.split("-")[3:4] == [own]]
        over = [id for id in ours if not any(id.startswith(key) for key in self.judging)]
        if not self.runs.repairing(self.site.repository.key).locked():  # the branch itself is not being looked at
            over += [id for id in left if id.startswith(MAIN)]
        installer = Installer(self.outside, self.site, sight.settings)
        for id in over:
            with suppress(HeddleError):
                await clear(self.site, installer, self.runs, next(iter(sight.runs), ""), (id,))
