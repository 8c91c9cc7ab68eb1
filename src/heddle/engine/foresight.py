"""What tasks will change, predicted beside the loop: who waits for whom before a plan says more. It never waits for long itself."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress

from heddle.core.errors import HeddleError
from heddle.core.map.history import ENOUGH
from heddle.core.prediction.admission import Ahead, held
from heddle.core.prediction.judging import judged, touched
from heddle.core.prediction.pairs import Meeting
from heddle.core.prediction.predictor import Prediction
from heddle.core.prediction.replay import Calibration
from heddle.core.run import Active, Idle, Run
from heddle.core.task import READ_ONLY, UNDO, Lane
from heddle.engine.runs import Runs
from heddle.engine.site import Outside
from heddle.ports import Words

log = logging.getLogger("heddle.foresight")

PATIENCE_S = 10.0
"""How long a task waits to be predicted; then it begins without."""

Known = tuple[Words, str]
"""What a prediction rests on: the task's words, and the result that took their place."""


class Foresight:
    """Predictions for tasks that wait to begin and for those under way. `news` is called when there are newer ones. `waits`: whether
    a run was found to wait for a person or for another task.
    """

    def __init__(
        self, runs: Runs, outside: Outside, news: Callable[[], None], waits: Callable[[Run], bool] = lambda run: False
    ) -> None:
        self._runs = runs
        self._waits_too = waits
        self._outside = outside
        self._news = news
        self._long: dict[str, str] = {}
        self._calibrations: dict[str, Calibration] = {}
        self._known: dict[str, tuple[Known, Prediction]] = {}
        self._pairs: dict[tuple[str, str], Meeting] = {}
        self._looking: dict[str, tuple[asyncio.Task[None], float]] = {}
        self._failed: set[str] = set()
        self._held: tuple[tuple[tuple[str, ...], ...], dict[str, Ahead]] = ((), {})

    async def ahead(self, run: Run) -> tuple[Ahead | None, bool]:
        """Who goes before a run that has not begun; and whether that is still being looked at."""
        if not _waits(run) or self._runs.blocked(run):
            return None, False
        moving = [other for other in self._beside(run) if self._moves(other)]
        if not moving or not await self._tells(run):
            return None, False
        near = (other for other in self._runs.by_priority(self._runs.bearing.live) if _same(other, run))
        waiting = [other for other in near if _waits(other) and not self._runs.blocked(other)]
        self._look(run, [other for other in (*moving, *waiting) if not self._is_known(other)])
        if run.task.id not in self._known:
            return None, self._is_patient(run.task.root)
        return self._order(moving, waiting).get(run.task.id), False

    def near(self, run: Run) -> list[tuple[str, Meeting]]:
        """Tasks under way or waiting, with how likely they meet this one; the likeliest first. Only what is known by now."""
        found = (
            (other.task.id, self._pair(run.task.id, other.task.id)) for other in self._beside(run) if not other.over
        )
        known = [(id, met) for id, met in found if met is not None and met.path]
        return sorted(known, key=lambda one: (-one[1].chance, one[0]))

    def calibration(self, run: Run) -> Calibration | None:
        """How good predictions are in the run's repository; None while nothing was predicted there."""
        return self._calibrations.get(run.task.root)

    async def close(self) -> None:
        """Let go of what is under way."""
        for task, _ in tuple(self._looking.values()):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def _beside(self, run: Run) -> list[Run]:
        return [other for other in self._runs.live() if _same(other, run) and other.task.id != run.task.id]

    def _moves(self, run: Run) -> bool:
        """Whether it has begun and goes on by itself: who waits for a person, or for another task, holds nobody up."""
        if run.paused or run.parked is not None or run.questions or not run.attempts or run.task.lane is Lane.REPORT:
            return False
        return isinstance(run.activity, Active) or (isinstance(run.activity, Idle) and not self._waits_too(run))

    async def _tells(self, run: Run) -> bool:
        """Whether the past is long enough to tell, and told well before."""
        root, base = run.task.root, run.base
        if self._long.get(root) not in (LONG, base):
            site = await self._outside.site(root)
            long = await site.repository.count(base, ENOUGH) >= ENOUGH
            self._long[root] = LONG if long else base
        known = self._calibrations.get(root)
        return self._long[root] == LONG and (known is None or known.good)

    def _is_known(self, run: Run) -> bool:
        known = self._known.get(run.task.id)
        return known is not None and known[0] == _resting(run)

    def _is_patient(self, root: str) -> bool:
        looking = self._looking.get(root)
        return looking is not None and asyncio.get_running_loop().time() < looking[1] + PATIENCE_S

    def _look(self, run: Run, unknown: Sequence[Run]) -> None:
        """Predict those, beside the loop; one look a repository at a time."""
        root = run.task.root
        if not unknown or root in self._looking or f"{root} {run.base}" in self._failed:
            return
        loop = asyncio.get_running_loop()
        self._looking[root] = (loop.create_task(self._predict(run, unknown)), loop.time())
        loop.call_later(PATIENCE_S, self._news)

    async def _predict(self, run: Run, unknown: Sequence[Run]) -> None:
        root = run.task.root
        try:
            site = await self._outside.site(root)
            resting = [_resting(one) for one in unknown]
            told = await self._outside.maps.foresee(site.repository, run.base, [words for words, _ in resting])
            self._calibrations[root] = told.calibration
            for one, rests, prediction in zip(unknown, resting, told.predictions, strict=True):
                done = one.result.paths if one.result else ()
                self._known[one.task.id] = (rests, touched(done) if done else prediction)
            await self._pair_up(run, [one.task.id for one in unknown])
        except HeddleError as error:  # whoever waits for it begins without
            self._failed.add(f"{root} {run.base}")
            log.warning("nothing was predicted", extra={"slug": error.slug})
        finally:
            del self._looking[root]
            self._news()

    async def _pair_up(self, run: Run, fresh: Sequence[str]) -> None:
        """Hold each new prediction against all others; that of tasks that are gone is forgotten."""
        live = {other.task.id for other in self._runs.live()}
        self._known = {id: known for id, known in self._known.items() if id in live or id in fresh}
        beside = [run.task.id, *(other.task.id for other in self._beside(run))]
        known = {id: self._known[id][1] for id in {*fresh, *beside} if id in self._known}
        calibration = self._calibrations[run.task.root]
        pairs = {_key(one, other) for one in fresh for other in known if one != other}
        met = await asyncio.to_thread(lambda: {key: judged(known[key[0]], known[key[1]], calibration) for key in pairs})
        kept = {key: met for key, met in self._pairs.items() if key[0] in self._known and key[1] in self._known}
        self._pairs = kept | met
        self._held = ((), {})

    def _pair(self, one: str, other: str) -> Meeting | None:
        return self._pairs.get(_key(one, other))

    def _order(self, moving: Sequence[Run], waiting: Sequence[Run]) -> dict[str, Ahead]:
        known = (tuple(run.task.id for run in moving), tuple(run.task.id for run in waiting))
        if self._held[0] != known:
            self._held = (known, held(*known, self._pair))
        return self._held[1]


LONG = "long"
"""Of a past that is long enough; else the commit up to which it was too short."""


def _key(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one < other else (other, one)


def _same(one: Run, other: Run) -> bool:
    """Whether both are to land on one branch."""
    return one.task.root == other.task.root and one.task.branch == other.task.branch


def _waits(run: Run) -> bool:
    """Whether a prediction has a say about it: it has not begun, and no scope was declared that tells more."""
    bare = not run.scope.declared and not run.task.contest and run.task.role != UNDO
    return (
        run.unbegun
        and bare
        and run.stage in READ_ONLY
        and run.task.lane is not Lane.REPORT
        and not run.paused
        and not run.meets_anyway
    )


def _resting(run: Run) -> Known:
    return Words(run.task.text, run.scope.globs), run.result.commit if run.result else ""
