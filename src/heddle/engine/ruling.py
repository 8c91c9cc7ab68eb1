"""The repository's rules as they change on main: what a session began with, and what it is told of since.

A session works on the rules of its base. When main has others, it is told how they differ: with its first message, or at
the end of a turn with which it believes to be done. What it is told is decided and recorded before it is sent.
"""

import difflib
from collections.abc import Sequence

from heddle.core import events as e
from heddle.core.rules.files import is_rules
from heddle.core.run import Run
from heddle.engine.runs import Runs
from heddle.engine.site import Site

MOST_LINES = 300
"""Of differences that a session is told; of more it is told where they are."""

MOST_TURNS = 2
"""So often a session that believes it is done is told that rules changed."""


class Ruling:
    """The rules of one repository, as its sessions meet them."""

    def __init__(self, runs: Runs, site: Site) -> None:
        self._runs, self._site = runs, site

    async def at_start(self, run: Run, session: str) -> str:
        """How the rules on main differ from those on which a session is about to begin; "" when they do not."""
        if any(isinstance(fact, e.SessionStarted) and fact.session == session for fact in self._facts(run)):
            return await self._told(run, self._given(run, session, 0), run.base)
        return await self._tell(run, session, 0, run.base)

    async def after(self, run: Run, session: str, turn: int, *, decided: bool) -> str:
        """How they differ from what the session was told last, after its turn of that number; "" when they do not.
        `decided`: whether it is settled what the session hears then (D1).
        """
        told = [fact for fact in self._facts(run) if isinstance(fact, e.RulesGiven) and fact.session == session]
        before = [fact for fact in told if fact.turn < turn]
        since = before[-1].commit if before else run.base
        known = self._given(run, session, turn)
        if known is not None:
            return await self._told(run, known, since)
        if decided or sum(fact.turn > 0 for fact in told) >= MOST_TURNS:
            return ""
        return await self._tell(run, session, turn, since)

    async def _tell(self, run: Run, session: str, turn: int, since: str) -> str:
        tip = await self._site.repository.resolve(f"refs/heads/{run.task.branch}")
        text = await self._differences(since, tip)
        if text:
            await self._runs.record(run.task.id, e.RulesGiven(session, turn, tip))
        return text

    async def _told(self, run: Run, given: e.RulesGiven | None, since: str) -> str:
        return await self._differences(since, given.commit) if given else ""

    def _given(self, run: Run, session: str, turn: int) -> e.RulesGiven | None:
        facts = (fact for fact in self._facts(run) if isinstance(fact, e.RulesGiven))
        return next((fact for fact in facts if (fact.session, fact.turn) == (session, turn)), None)

    def _facts(self, run: Run) -> list[e.Event]:
        return [record.event for record in self._runs.history(run.task.id)]

    async def _differences(self, old: str, new: str) -> str:
        """Of the files of rules between two commits, as a unified diff."""
        if old == new:
            return ""
        repository, lines, paths = self._site.repository, list[str](), list[str]()
        for change in await repository.changes(old, new):
            if is_rules(change.path):
                paths.append(change.path)
                before, after = [_lines(await repository.read_file(commit, change.path)) for commit in (old, new)]
                lines += difflib.unified_diff(before, after, f"a/{change.path}", f"b/{change.path}", lineterm="")
        return "\n".join(lines if len(lines) <= MOST_LINES else _cut(lines, paths))


def _lines(data: bytes | None) -> list[str]:
    return (data or b"").decode(errors="replace").splitlines()


def _cut(lines: Sequence[str], paths: Sequence[str]) -> list[str]:
    return [*lines[:MOST_LINES], f"[cut here: read {', '.join(paths[:20])} on the branch it is to land on]"]
