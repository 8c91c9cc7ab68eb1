"""The repository's rules as they change on main: what a session began with, and what it is told of since.

A session works on the rules of its base. When main has others, it is told how they differ: with its first message, or at
the end of a turn with which it believes to be done. What it is told is decided and recorded before it is sent.
"""

import difflib
from collections.abc import Sequence
from typing import TypeVar

from heddle.core import events as e
from heddle.core.claim import attempt_of
from heddle.core.rules.files import is_rules
from heddle.core.run import Run
from heddle.engine.runs import Runs
from heddle.engine.site import Site

MOST_LINES = 300
"""Of differences that a session is told; of more it is told where they are."""

MOST_TURNS = 2
"""So often a session that believes it is done is told that rules changed."""

G = TypeVar("G", e.RulesGiven, e.DriftGiven)


class Ruling:
    """The rules of one repository, as its sessions meet them."""

    def __init__(self, runs: Runs, site: Site) -> None:
        self._runs, self._site = runs, site

    async def at_start(self, run: Run, session: str, *, resumed: bool = False) -> str:
        """How the rules on main differ from those that a session which is about to begin knows; "" when they do not.
        `resumed`: it goes on with the conversation of the attempt's last one, and knows what that was told.
        """
        begun = any(isinstance(fact, e.SessionStarted) and fact.session == session for fact in self._facts(run))
        return await self._tell(run, session, 0, resumed=resumed, known_only=begun)

    async def after(self, run: Run, session: str, turn: int, *, decided: bool, resumed: bool = False) -> str:
        """How they differ from what the session was told last, after its turn of that number; "" when they do not.
        `decided`: whether it is settled what the session hears then (D1).
        """
        return await self._tell(run, session, turn, resumed=resumed, known_only=decided)

    async def _tell(self, run: Run, session: str, turn: int, *, resumed: bool, known_only: bool = False) -> str:
        told = told_before(self._runs, run, session, e.RulesGiven, resumed=resumed)
        since = known_then(told, session, turn) or run.base
        mine = {fact.turn: fact for fact in told if fact.session == session}
        if turn in mine or known_only:
            return await self._differences(since, mine[turn].commit) if turn in mine else ""
        if turn and sum(number > 0 for number in mine) >= MOST_TURNS:
            return ""
        tip = await self._site.repository.resolve(f"refs/heads/{run.task.branch}")
        text = await self._differences(since, tip)
        if text:
            await self._runs.record(run.task.id, e.RulesGiven(session, turn, tip))
        return text

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


def told_before(runs: Runs, run: Run, session: str, kind: type[G], *, resumed: bool) -> list[G]:
    """What a session was told of one kind, oldest first; with what there is evidence that earlier ones of its attempt had,
    when it goes on with their conversation.
    """
    attempt = attempt_of(session)

    def is_known(fact: G) -> bool:
        before = resumed and attempt_of(fact.session) == attempt and fact.turn < runs.heard(fact.session)
        return fact.session == session or before

    told = [record.event for record in runs.history(run.task.id) if isinstance(record.event, kind)]
    return [fact for fact in told if is_known(fact)]


def known_then(told: Sequence[e.RulesGiven | e.DriftGiven], session: str, turn: int) -> str:
    """The commit that was told last before that turn; "" when none was."""
    commit = ""
    for fact in told:
        if (fact.session, fact.turn) == (session, turn):
            break
        commit = fact.commit
    return commit


def _lines(data: bytes | None) -> list[str]:
    return (data or b"").decode(errors="replace").splitlines()


def _cut(lines: Sequence[str], paths: Sequence[str]) -> list[str]:
    return [*lines[:MOST_LINES], f"[cut here: read {', '.join(paths[:20])} on the branch it is to land on]"]
