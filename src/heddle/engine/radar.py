"""The watcher: what live sessions have written so far and what waits to land, each against each and against main.

Nothing is looked at unless something happened: a session's files were looked at and differ, or a fact changed who is
there. What two trees make of each other is found once.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from heddle.core import events as e
from heddle.core.errors import HeddleError
from heddle.core.radar import CALM_S, MAIN, Drift, Drifts, Level, Side, pair_of, settle
from heddle.core.run import Active, HeldUp, Run
from heddle.core.task import STAGES, Stage
from heddle.engine.comparison import Comparison, Line
from heddle.engine.runs import Runs
from heddle.engine.site import Outside
from heddle.ports import Changes

log = logging.getLogger("heddle.radar")

SHARE = 9.0
"""A comparison that takes t seconds is followed by a pause of so many t, but for one that a session waits for."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A run whose files are compared. `tree`: what it has made so far, "" when that is not known yet."""

    run: Run
    session: str
    tree: str

    @property
    def line(self) -> Line:
        """What of it is compared."""
        task = self.run.task
        return Line(task.id, self.run.base, self.tree, task.branch, task.contest)


class Radar:
    """Watches every repository of a fleet."""

    def __init__(self, runs: Runs, outside: Outside) -> None:
        self._runs, self._outside = runs, outside
        self._seen: dict[str, tuple[str, str]] = {}
        self._comparisons: dict[str, Comparison] = {}
        self._better: dict[tuple[str, str], float] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._dirty: set[str] = set()
        self._news = asyncio.Event()

    def saw(self, task: str, session: str, changes: Changes) -> None:
        """A session's files were looked at."""
        run = self._runs.require(task)
        fresh = (session, changes.tree or run.base)
        if self._seen.get(task) != fresh:
            self._seen[task] = fresh
            self._look_at(run.task.repository)

    def _look_at(self, repository: str) -> None:
        self._dirty.add(repository)
        self._news.set()

    async def serve(self) -> None:
        """Until cancelled."""
        watcher = asyncio.create_task(self._watch())
        clock = asyncio.get_running_loop().time
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                dirty, self._dirty = self._dirty, set()
                began = clock()
                for repository in sorted(dirty):
                    await self.compare(repository)
                await asyncio.sleep(SHARE * (clock() - began))
        finally:
            watcher.cancel()

    async def _watch(self) -> None:
        """Facts that change who is there: a session began or ended, a result came, something landed."""
        position, known = self._runs.journal.position(), dict[str, list[object]]()
        while True:
            before, known = known, self._here()
            for repository in known.keys() | before.keys():
                if known.get(repository) != before.get(repository):
                    self._look_at(repository)
            position = await self._runs.journal.wait(position)

    def _here(self) -> dict[str, list[object]]:
        """Who is there, by repository; a run that landed is not there any more."""
        here: defaultdict[str, list[object]] = defaultdict(list)
        for run in self._runs.live():
            standing = self._standing(run)
            here[run.task.repository] += [(standing.line, standing.session)] if standing else []
        return here

    def standings(self, repository: str) -> tuple[Standing, ...]:
        """Every run of a repository that is compared, oldest task first."""
        here = (self._standing(run) for run in self._runs.live() if run.task.repository == repository)
        return tuple(one for one in here if one is not None)

    def _standing(self, run: Run) -> Standing | None:
        if run.over or not run.number or isinstance(run.activity, HeldUp):
            return None
        stages = STAGES[run.task.lane]
        if isinstance(run.activity, Active) and run.stage is Stage.EXECUTE:
            at = run.at_work
            session = at.session if at is not None and run.parked is None else ""
            seen = self._seen.get(run.task.id, ("", ""))
            return Standing(
                run, session, seen[1] if at is not None and seen[0].startswith(f"{run.activity.key}.") else ""
            )
        if run.result is None or run.landing is not None or stages.index(run.stage) < stages.index(Stage.EXECUTE):
            return None  # what lands would meet itself upon main
        return Standing(run, "", run.result.tree)

    async def compare(self, repository: str) -> None:
        """Bring what is on record of a repository up to date; what fails is said, and tried again with the next news."""
        async with self._locks[repository]:
            here = self.standings(repository)
            drifts = self._runs.drifts(repository)
            if not here and not drifts.found:
                return
            try:
                found = await self._comparison(here, repository) if here else {}
                await self._settle(repository, here, found)
            except HeddleError as error:
                log.info("no comparison", extra={"repository": repository, "slug": error.slug})

    async def _comparison(self, here: tuple[Standing, ...], repository: str) -> dict[tuple[str, str], Drift]:
        site = await self._outside.site(here[0].run.task.root)
        known = self._comparisons.get(repository)
        if known is None or known.repository is not site.repository:
            known = self._comparisons[repository] = Comparison(site.repository)
        return await known.drifts([one.line for one in here if one.tree])

    async def _settle(self, repository: str, here: tuple[Standing, ...], found: dict[tuple[str, str], Drift]) -> None:
        """Put on record what changed; pairs of whom one is gone are clear."""
        now, present = asyncio.get_running_loop().time(), {one.run.task.id for one in here}
        waiting = False

        def choose(drifts: Drifts) -> Iterable[e.Event]:
            nonlocal waiting
            gone = [pair for pair in drifts.found if not present.issuperset(filter(None, pair))]
            for pair in gone:
                self._better.pop(pair, None)
                yield e.RadarFound(Drift(*pair, Level.CLEAR, detail="one of them is not there any more"))
            for pair, drift in found.items():
                record, since = settle(drifts.found.get(pair), drift, self._better.pop(pair, None), now)
                if since is not None:
                    self._better[pair], waiting = since, True
                if record:
                    yield e.RadarFound(drift)

        await self._runs.record_drift(repository, choose)
        if waiting:
            asyncio.get_running_loop().call_later(CALM_S, self._look_at, repository)

    def sides(self, drift: Drift, repository: str) -> tuple[Side | None, Side | None]:
        """Both as they are now; None for main and for who is gone."""
        here = {one.run.task.id: one for one in self.standings(repository)}
        one, other = (self._side(here.get(task)) if task else None for task in drift.pair)
        return one, other

    def _side(self, standing: Standing | None) -> Side | None:
        if standing is None:
            return None
        run = standing.run
        began = (r.position for r in reversed(self._runs.history(run.task.id)) if isinstance(r.event, e.SessionStarted))
        return Side(run.task.id, standing.session, next(began, 0), self.changed(standing) or 0, run.task.priority)

    def changed(self, standing: Standing) -> int | None:
        """How many paths a run was seen to have changed; None when that is not known."""
        comparison = self._comparisons.get(standing.run.task.repository)
        return comparison.changed(standing.line) if comparison is not None and standing.tree else None

    async def other_side(self, drift: Drift, task: str, repository: str, limit_bytes: int) -> str:
        """What the other one of a pair changed where they meet, as a diff; "" where that cannot be shown."""
        comparison, other = self._comparisons.get(repository), drift.beside(task)
        here = {one.run.task.id: one.line for one in self.standings(repository)}
        if comparison is None:
            return ""
        with suppress(HeddleError):
            return await comparison.diff(here.get(other), here.get(task), drift.paths, limit_bytes)
        return ""


def stale(drifts: Drifts, task: str) -> Drift | None:
    """How far main is from a task."""
    return drifts.found.get(pair_of(task, MAIN))
