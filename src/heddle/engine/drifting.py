"""What a session is told of drift: facts, once a pair and level, to the one who has to know, between two of its turns.

What it is told is decided and recorded, word for word, before it is sent: the files of others do not hold still.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable

from heddle.core import events as e
from heddle.core.errors import HeddleError
from heddle.core.radar import MAIN, Drift, Drifts, Level, Told, whom
from heddle.core.redaction import Redactor
from heddle.core.run import Run
from heddle.engine.prompts import fenced
from heddle.engine.radar import Radar
from heddle.engine.runs import Runs
from heddle.engine.site import Site
from heddle.ports import Changes

log = logging.getLogger("heddle.radar")

MOST_TURNS = 2
"""So often a session that believes it is done is told of drift; each time costs a turn."""

MOST_AT_ONCE = 4
LONGEST_DIFF = 4_000
"""Bytes of another's change that are shown."""

LONGEST_TASK = 1_500
"""Characters of another's task that are told."""

Look = Callable[[], Awaitable[Changes]]

HOW = {
    Level.NEAR: "changes lines next to yours",
    Level.CONFLICT: "changed the same lines as you: a merge of both fails",
    Level.SYMBOL: "changed what you use, or uses what you changed: both merge, and would break together",
    Level.RED: "and you merge, and fail the checks together",
}


class Drifting:
    """The radar of one repository, as its sessions meet it."""

    def __init__(self, runs: Runs, site: Site, radar: Radar) -> None:
        self._runs, self._site, self._radar = runs, site, radar
        self._repository = site.repository.key

    async def after(self, run: Run, session: str, turn: int, look: Look, *, decided: bool) -> str:
        """What a session has to know after its turn of that number; "" when there is nothing new. `decided`: whether it is
        settled what the session hears then (D1).
        """
        drifts = self._runs.drifts(self._repository)
        known = drifts.told_at(session, turn)
        if known is not None:
            return known.text
        if decided or sum(told.session == session for told in drifts.told) >= MOST_TURNS:
            return ""
        try:
            return await self._decide(run, session, turn, look)
        except HeddleError as error:  # its result is merged and validated all the same
            log.info("nothing told of drift", extra={"session": session, "slug": error.slug})
            return ""

    async def _decide(self, run: Run, session: str, turn: int, look: Look) -> str:
        drifts = self._runs.drifts(self._repository)
        if await self._alone(run):
            return ""
        await look()  # what it wrote last, before anything is decided on it
        await self._radar.compare(self._repository)
        due = self._due(drifts, run.task.id)[:MOST_AT_ONCE]
        if not due:
            return ""
        secrets = Redactor(await self._site.workspaces.secrets(run.base))
        text = secrets("\n\n".join([await self._words(drift, run) for drift in due]))
        told = Told(session, turn, text, tuple((*drift.pair, drift.level) for drift in due if drift.level is not None))

        def choose(now: Drifts) -> Iterable[e.Event]:
            still = any(now.untold(drift) for drift in due)  # who else had to know may have been told meanwhile
            return [e.RadarTold(told)] if still else []

        await self._runs.record_drift(self._repository, choose, by=session)
        return text if drifts.told_at(session, turn) == told else ""

    async def _alone(self, run: Run) -> bool:
        """Whether there is nothing that its files could be compared with."""
        others = [one for one in self._radar.standings(self._repository) if one.run.task.id != run.task.id]
        return not others and await self._site.repository.resolve(f"refs/heads/{run.task.branch}") == run.base

    def _due(self, drifts: Drifts, task: str) -> list[Drift]:
        """What this task is the one to hear of and nobody heard of yet, the worst first."""
        found = []
        for drift in drifts.found.values():
            one, other = self._radar.sides(drift, self._repository)
            if one is None or not drift.of(task) or not drifts.untold(drift) or (drift.other != MAIN and other is None):
                continue
            if task in whom(drift.level, one, other):
                found.append(drift)
        return sorted(found, key=lambda drift: (-(drift.level or 0), drift.pair))

    async def _words(self, drift: Drift, run: Run) -> str:
        other, paths = drift.beside(run.task.id), ", ".join(drift.paths[:8])
        who = other or f"the branch '{run.task.branch}'"
        parts = [f"{who} {HOW[drift.level or Level.CLEAR]}. Where: {paths or '(see below)'}."]
        if drift.detail:
            parts.append(fenced("uses", drift.detail))
        if other:
            parts.append(fenced(f"task of {other}", self._runs.require(other).task.text[:LONGEST_TASK]))
            parts.append("It keeps what it has. Shape yours so that both hold, or leave that part to it and say so.")
        else:
            told = "It will not be undone. Shape yours so that it can be merged; else it is made anew on what is there now."
            parts.append(told)
        diff = await self._radar.other_side(drift, run.task.id, self._repository, LONGEST_DIFF)
        if diff:
            parts.append(fenced(f"change of {other or 'the branch'}", diff))
        return "\n\n".join(parts)
