"""Answers to what a session asked through its tools.

The tool waits for a while. An answer that comes later is the session's next turn once it has ended the one it is in; which
answers those are is decided and recorded before they are sent, so that a restart sends the same, and none twice.
"""

import asyncio
from collections.abc import Callable

from heddle.core import events as e
from heddle.core.asking import BY_TOOLS, Question, answered_after, given_after, known_as, unanswered, unheard
from heddle.core.errors import Refused
from heddle.core.run import Run
from heddle.engine.runs import Runs

MOST_ASKED = 20
"""Questions that one session may ask: a person is no oracle."""


class Asking:
    """The questions of one session."""

    def __init__(self, runs: Runs, task: str, session: str) -> None:
        self._runs, self._task, self._session = runs, task, session

    @property
    def _run(self) -> Run:
        return self._runs.require(self._task)

    async def ask(self, question: Question, patience_s: float) -> str | None:
        """The answer, or None while there is none; what was asked before in the attempt is not asked again.

        Raises Refused(slug="too-many-questions").
        """
        id = known_as(self._run, self._session, question)

        def choose(run: Run) -> list[e.Event]:
            if id in dict(run.answers) or any(open.id == id for open in run.questions):
                return []
            facts = (record.event for record in self._runs.history(self._task))
            mine = [fact for fact in facts if isinstance(fact, e.QuestionAsked) and fact.session == self._session]
            if len(mine) >= MOST_ASKED:
                told = f"session '{self._session}' has asked {MOST_ASKED} questions"
                raise Refused(told, slug="too-many-questions", hint="decide yourself, and say what you assumed")
            return [e.QuestionAsked(id, question.text, question.options, question.default, self._session)]

        await self._runs.record_if(self._task, choose, by=self._session)
        try:
            async with asyncio.timeout(patience_s):
                answers = await self._settled((id,))
        except TimeoutError:
            return None
        if answers:
            await self._give(BY_TOOLS, lambda run: () if _is_told(run, id) else (id,))
        return answers.get(id)

    def pending(self, turn: int) -> bool:
        """Whether the session has to hear answers after its turn of that number."""
        run, session = self._run, self._session
        return bool(unanswered(run, session) or unheard(run, session) or given_after(run, session, turn))

    def turns(self) -> tuple[int, ...]:
        """The turns after which it was told answers."""
        return answered_after(self._run, self._session)

    async def answers(self, turn: int) -> list[tuple[str, str]] | None:
        """Questions with the answers that it is told after its turn of that number, once all are answered or withdrawn.

        None when it was parked meanwhile: then they are for the session that goes on with its conversation (D1).
        """
        if given_after(self._run, self._session, turn) is None:
            await self._settled(unanswered(self._run, self._session))
            run = await self._give(turn, lambda run: () if run.parked else unheard(run, self._session))
            if run.parked:
                return None
        return told(self._runs, self._run, given_after(self._run, self._session, turn) or ())

    async def _settled(self, ids: tuple[str, ...]) -> dict[str, str]:
        """The answers to these, once none is open."""
        while any(open.id in ids for open in self._run.questions):
            await self._runs.journal.wait(self._runs.journal.position())
        return {id: text for id, text in self._run.answers if id in ids}

    async def _give(self, turn: int, choose: Callable[[Run], tuple[str, ...]]) -> Run:
        def given(run: Run) -> list[e.Event]:
            ids = choose(run)
            return [e.AnswersGiven(self._session, turn, ids)] if ids else []

        return await self._runs.record_if(self._task, given, by=self._session)


def _is_told(run: Run, id: str) -> bool:
    return any(id in one.questions for one in run.given)


def told(runs: Runs, run: Run, ids: tuple[str, ...]) -> list[tuple[str, str]]:
    """Questions with their answers, by the questions' names."""
    facts = (record.event for record in runs.history(run.task.id))
    asked = {fact.question: fact.text for fact in facts if isinstance(fact, e.QuestionAsked)}
    answers = dict(run.answers)
    return [(asked[id], answers[id]) for id in ids if id in asked and id in answers]


def answers_since(runs: Runs, run: Run, parked: e.SessionParked) -> list[tuple[str, str]]:
    """What a session had asked when it was parked, with the answers that it has not heard."""
    facts = [record.event for record in runs.history(run.task.id)]
    since = facts[facts.index(parked) :]
    came = [fact.question for fact in since if isinstance(fact, e.QuestionAnswered)]
    mine = (id for id in came if id.startswith(f"{parked.session}/"))
    return told(runs, run, tuple(dict.fromkeys((*unheard(run, parked.session), *mine))))
