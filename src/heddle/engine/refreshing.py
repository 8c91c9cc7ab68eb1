"""What main changed under a session that works: files it may write, or that its research cites, and that it left as they were.

What it changed itself is merged with main's when it is validated, and told apart where that does not go. What a session is
told is decided and recorded before it is sent, each change once.
"""

import re
from collections.abc import Awaitable, Callable, Iterable

from heddle.core import events as e
from heddle.core.rot import NEARLY_FULL, cited, fill, shown
from heddle.core.rules.files import is_rules
from heddle.core.run import Run
from heddle.engine.prompts import told_again
from heddle.engine.ruling import MOST_LINES, MOST_TURNS, known_then, told_before
from heddle.engine.runs import Runs
from heddle.engine.site import Site

MOST_PATHS = 50
LONGEST_LINE = 400

Touched = Callable[[], Awaitable[tuple[str, ...]]]


class Refreshing:
    """How the files of one repository's sessions are on main now, as those sessions meet it."""

    def __init__(self, runs: Runs, site: Site) -> None:
        self._runs, self._site = runs, site

    async def after(self, run: Run, session: str, turn: int, touched: Touched, *, resumed: bool, decided: bool) -> str:
        """What it has to hear after its turn of that number; "" when there is nothing, or it was told often enough.
        `decided`: whether it is settled what the session hears then (D1).
        """
        told = told_before(self._runs, run, session, e.DriftGiven, resumed=resumed)
        mine = [fact for fact in told if fact.session == session]
        since = known_then(told, session, turn) or run.base
        known = next((fact for fact in mine if fact.turn == turn), None)
        if known is not None:
            return await self._shown(since, known.commit, known.paths)
        if decided or len(mine) >= MOST_TURNS:
            return ""
        tip = await self._site.repository.resolve(f"refs/heads/{run.task.branch}")
        paths = await self._fresh(run, since, tip, touched)
        if not paths:
            return ""
        await self._runs.record(run.task.id, e.DriftGiven(session, turn, tip, paths))
        return await self._shown(since, tip, paths)

    async def _fresh(self, run: Run, since: str, tip: str, touched: Touched) -> tuple[str, ...]:
        changes = await self._site.repository.changes(since, tip) if tip != since else ()
        paths = relied_on(run, [change.path for change in changes])
        own = frozenset(await touched()) if paths else frozenset()
        return tuple(path for path in paths if path not in own)[:MOST_PATHS]

    async def _shown(self, old: str, new: str, paths: tuple[str, ...]) -> str:
        """The paths, and how they changed."""
        wanted = {f"diff --git a/{path} b/{path}" for path in paths}
        sections = re.split(r"(?m)^(?=diff --git )", await self._site.repository.diff(old, new))
        lines = [line for one in sections if one.partition("\n")[0] in wanted for line in one.splitlines()]
        cut = ["[cut here: read the rest on the branch it is to land on]"] if lines[MOST_LINES:] else []
        return shown("\n".join([", ".join(paths), *(line[:LONGEST_LINE] for line in lines[:MOST_LINES]), *cut]))


class OnceMore:
    """For one session: where its task stands, with the first message after its context has become nearly full."""

    def __init__(self, runs: Runs, task: str, session: str) -> None:
        self._runs, self._task, self._session = runs, task, session
        self._said = False

    def __call__(self) -> str:
        """What goes with a message that is sent to it anyway; "" mostly."""
        full = fill(self._runs.tally(f"session:{self._session}").context) >= NEARLY_FULL
        if self._said or not full:
            return ""
        self._said = True
        return told_again(self._runs.require(self._task))


def is_its(run: Run, path: str) -> bool:
    """Whether a run may write a path; who has not said where it writes may write it. Rules are told apart from the rest."""
    return not is_rules(path) and (not run.scope.declared or run.scope.covers(path))


def relied_on(run: Run, paths: Iterable[str]) -> tuple[str, ...]:
    """Those of the paths that a run may write or that its research cites, rules aside."""
    plain = [path for path in paths if not is_rules(path)]
    named = frozenset(cited(run.research, plain))
    return tuple(path for path in plain if path in named or is_its(run, path))
