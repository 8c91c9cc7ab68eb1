"""Looking how far the sessions at work have come apart from what is. Only when somebody asks: an idle fleet looks at nothing."""

from collections.abc import Iterable

from heddle.core import events as e
from heddle.core.errors import HeddleError
from heddle.core.rot import Facts, Rot, cited, rot
from heddle.core.rules.files import is_rules
from heddle.core.run import Active, Run
from heddle.core.task import Stage
from heddle.engine.noting import Noting
from heddle.engine.refreshing import is_its
from heddle.engine.ruling import told_before
from heddle.engine.runs import Runs
from heddle.engine.site import Outside
from heddle.engine.world import Worlds


class Rotting:
    """What was found when somebody last looked, of sessions that are at work."""

    def __init__(self, runs: Runs, outside: Outside, worlds: Worlds) -> None:
        self._runs, self._outside, self._worlds = runs, outside, worlds
        self._known: dict[str, tuple[str, Rot]] = {}
        self._noting: dict[str, Noting] = {}

    def known(self, run: Run) -> Rot | None:
        """What was found of the session that works for the run; None without one, or when nobody looked at it."""
        session, found = self._known.get(run.task.id, ("", None))
        return found if session == session_of(run) else None

    async def look(self, runs: Iterable[Run]) -> None:
        """Look at the sessions of these runs; where each branch is now is asked once."""
        tips: dict[tuple[str, str], str] = {}
        for run in runs:
            session, where = session_of(run), (run.task.root, run.task.branch)
            if not session:
                self._known.pop(run.task.id, None)
                continue
            try:
                tips[where] = tips.get(where) or await self._worlds.tip(run)
                facts = await self._facts(run, session, tips[where])
            except HeddleError as error:
                context = self._runs.tally(f"session:{session}").context
                facts = Facts(run.stage, context=context, unknown=(f"main cannot be looked at: {error.message}",))
            self._known[run.task.id] = (session, rot(facts))

    async def _facts(self, run: Run, session: str, tip: str) -> Facts:
        rules = told_before(self._runs, run, session, e.RulesGiven, resumed=True)
        ruled = await self._worlds.changed(run, rules[-1].commit if rules else run.base, tip)
        moved = await self._untold(run, session, tip)
        return Facts(
            run.stage,
            tuple(path for path in ruled if is_rules(path)),
            tuple(path for path in moved if is_its(run, path)),
            await self._notes(run, session),
            self._runs.tally(f"session:{session}").context,
            cited(run.research, moved) if run.stage is not Stage.RESEARCH else (),
        )

    async def _untold(self, run: Run, session: str, tip: str) -> tuple[str, ...]:
        """What main changed since the run's base, without what the session was told of as it is now."""
        moved = list(await self._worlds.changed(run, run.base, tip))
        for told in told_before(self._runs, run, session, e.DriftGiven, resumed=True):
            since = frozenset(await self._worlds.changed(run, told.commit, tip))
            moved = [path for path in moved if path in since or path not in told.paths]
        return tuple(moved)

    async def _notes(self, run: Run, session: str) -> tuple[str, ...]:
        key = run.task.repository
        if key not in self._noting:
            self._noting[key] = Noting(self._runs, await self._outside.site(run.task.root))
        return tuple(note.id for note in await self._noting[key].unread(run, session, run.scope))


def session_of(run: Run) -> str:
    """The session that works for the run, or whose conversation waits; "" when there is none."""
    return run.at_work.session if isinstance(run.activity, Active) and run.at_work else ""
