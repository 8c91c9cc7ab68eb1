"""Landing a train: the branch moves to exactly the commit whose tree was validated, with everybody aboard, or not at all."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from heddle.core import events as e
from heddle.core.gate import CheckResult, Colour
from heddle.core.queue_events import Car, TrainAborted, TrainDeparted, TrainLanded
from heddle.core.run import Active, Run
from heddle.core.task import Stage
from heddle.engine.ejecting import waits
from heddle.engine.runs import Runs
from heddle.engine.site import Site
from heddle.ports import Advanced, Blocked, Change, MovedOn

LANDED = "refs/heddle/landed"
"""Below it, by task and run, the commit that landed."""


@dataclass(frozen=True, slots=True)
class TrainLanding:
    """The landing whose intent is on record as `departed`; carried out again after a crash it finishes what was begun."""

    runs: Runs
    site: Site
    repository: str
    departed: TrainDeparted

    @property
    def _readable(self) -> tuple[Car, ...]:
        """Who is aboard, without those whose facts cannot be read: nothing is added to them, and they keep nobody back."""
        return tuple(car for car in self.departed.cars if not self.runs.lost(car.task))

    async def carry_out(self) -> None:
        """To a recorded end. Raises HeddleError when git cannot say or do it: nothing is decided then."""
        going = self.departed
        tip = await self.site.repository.resolve(f"refs/heads/{going.branch}")
        if tip == going.new:
            await self._advance()  # a crash came before that was on record
        elif await self._moved(tip):
            await self._arrived("unknown")  # and somebody took the branch on from there
        elif tip != going.old:
            await self._abort(f"{going.branch} moved to {tip[:12]}")
        elif late := await self._board():
            await self._abort(f"{late} left the queue")
        elif doubt := await self._doubt():
            await self._abort(doubt, hold="unvalidated")
        else:
            await self._advance()

    async def _moved(self, tip: str) -> bool:
        """Whether the branch did move. The refs that one transaction wrote with it say so, wherever a person took it since."""
        going, repository = self.departed, self.site.repository
        if tip != going.old and await repository.is_ancestor(going.new, tip):
            return True
        records = {self._record(car): car.commit for car in self._readable}
        return not records.items().isdisjoint(await repository.kept(*records))

    async def _advance(self) -> None:
        going = self.departed
        records = {self._record(car): car.commit for car in self._readable}
        match await self.site.repository.advance(going.branch, going.old, going.new, records):
            case Advanced(checkout):
                await self._arrived(checkout)
            case MovedOn(actual):
                await self._abort(f"{going.branch} moved to {actual[:12]}")
            case Blocked(paths, detail):
                told = f"the checkout of '{going.branch}' has changes that the landing touches: {', '.join(paths[:5])}"
                await self._abort(told if paths else detail, hold="checkout-overlap", paths=frozenset(paths))

    async def _board(self) -> str:
        """Put on record that everybody lands; the first who does not wait any more, with the same result, else ""."""
        for car in self.departed.cars:
            if self.runs.lost(car.task):
                return car.task
            now = await self.runs.record_if(car.task, lambda run, car=car: self._boarding(run, car))  # type: ignore[misc]
            if not _aboard(now, car):
                return car.task
        return ""

    def _boarding(self, run: Run, car: Car) -> list[e.Event]:
        going = self.departed
        if not waits(run) or self.runs.blocked(run) or run.result is None or run.result.commit != car.result:
            return []  # stopped, made anew, or linked meanwhile to what must be settled first
        landing = e.LandingStarted(going.number, going.branch, going.old, car.commit, going.tree)
        started = e.StageStarted(Stage.LAND, run.attempt(Stage.LAND) + 1, run.key)
        return [*self._judged_again(run, car), started, landing]

    def _judged_again(self, run: Run, car: Car) -> list[e.Event]:
        """The verdict on what lands, for one that goes alone, where it is not the one that it had. A longer train's commit
        holds what others changed: to nobody aboard it is a verdict of their own, should the landing be broken off.
        """
        going, known = self.departed, run.verdict
        if known is None or len(going.cars) > 1 or known.candidate == going.new:
            return []
        judged, agreed = self.runs.queue(self.repository).verdicts.values(), _commands(known.results)
        here = (one.results for one in judged if one.tree == going.tree and one.colour is Colour.GREEN)
        results = next((results for results in here if _commands(results) >= agreed), known.results)
        told = replace(
            known, colour=Colour.GREEN, onto=going.old, candidate=going.new, tree=going.tree, results=results
        )
        return [e.VerdictReached(run.attempt(Stage.VALIDATE), told)]

    async def _doubt(self) -> str:
        """What speaks against it: the train must be the validated tree on the branch as it is, byte for byte, and differ from
        it in its own changes' paths alone."""
        going, repository = self.departed, self.site.repository
        if await repository.tree_of(going.new) != going.tree:
            return "the tree that would land is not the one that was validated"
        if not await repository.is_ancestor(going.old, going.new):
            return "the commit that would land does not follow the one it was validated on"
        runs = [self.runs.require(car.task) for car in going.cars]
        touched = frozenset[str]().union(*(run.result.paths for run in runs if run.result is not None))
        foreign = [one for one in await repository.changes(going.old, going.new) if one.path not in touched]
        told = await self._not_renamed(foreign, touched, {run.base for run in runs}) if foreign else ""
        return f"'{told}' would change although no result touched it" if told else ""

    async def _not_renamed(self, foreign: Sequence[Change], touched: frozenset[str], bases: Collection[str]) -> str:
        """The first of these that is no new name, upon the branch, of a path that a result touched; else none."""
        listed = self.site.repository.list_files
        here = frozenset(await listed(self.departed.old))
        before = frozenset[str]().union(*[await listed(base) for base in bases])
        renamed = bool(touched & before - here)
        fresh = (one for one in foreign if not (renamed and one.kind == "modified" and one.path not in before))
        return next((one.path for one in fresh), "")

    async def _arrived(self, checkout: str) -> None:
        going = self.departed
        overtaken = self._overtaken()
        for car in self._readable:
            landed = e.Landed(car.commit, going.branch, checkout)
            await self.runs.record_if(car.task, lambda run, landed=landed: [] if run.landed else [landed])  # type: ignore[misc]
        tasks = tuple(car.task for car in going.cars)
        await self.runs.record_queue(self.repository, TrainLanded(going.number, going.branch, tasks, overtaken))

    def _overtaken(self) -> tuple[str, ...]:
        """Older ones that wait in the same queue."""
        going = self.departed
        aboard = {car.task for car in going.cars}
        youngest = max((self.runs.require(car.task).ticket or 0 for car in self._readable), default=0)
        others = (
            run for run in self.runs.live() if run.task.id not in aboard and waits(run) and not self.runs.blocked(run)
        )
        here = (run for run in others if (run.task.root, run.task.branch) == (self.site.repository.root, going.branch))
        return tuple(run.task.id for run in here if (run.ticket or youngest) < youngest)

    async def _abort(self, why: str, hold: str = "", paths: frozenset[str] = frozenset()) -> None:
        """Nothing moved: who is aboard waits again, or for a person when it is about them."""
        for car in self._readable:

            def choose(run: Run, car: Car = car) -> list[e.Event]:
                if not _aboard(run, car):
                    return []
                concerned = run.result is not None and (not paths or paths & set(run.result.paths))
                return [e.RunHeld(hold, why)] if hold and concerned else [e.LandingAborted(why)]

            await self.runs.record_if(car.task, choose)
        aborted = TrainAborted(self.departed.number, self.departed.branch, why)
        await self.runs.record_queue(self.repository, aborted)

    def _record(self, car: Car) -> str:
        return f"{LANDED}/{car.task.lower()}-{self.runs.require(car.task).number}"


def _aboard(run: Run, car: Car) -> bool:
    return isinstance(run.activity, Active) and run.landing is not None and run.landing.new == car.commit


def _commands(results: Sequence[CheckResult]) -> frozenset[str]:
    return frozenset(one.command for one in results)
