"""One session: carry messages between a held agent and its conversation, and record what it does.

Everything is replayed from the transcript's start when a daemon attaches anew. The conversation is a pure machine and
the holder takes each message id once, so a replay answers no request twice and starts no turn again.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, assert_never

from heddle.core import events as e
from heddle.core.permission import inside, permission
from heddle.core.redaction import Redactor
from heddle.core.run import Run
from heddle.core.session import (
    AgentReady,
    Allow,
    AnswerAsked,
    Answered,
    Brief,
    ContextSeen,
    Denied,
    DocumentOffered,
    Fact,
    Garbled,
    LimitKind,
    LimitSeen,
    PermissionAsked,
    Progressed,
    Reply,
    RulesSeen,
    Said,
    Send,
    ToolCalled,
    ToolEnded,
    TurnEnded,
    TurnOutcome,
    UsageReported,
    Withdrawn,
)
from heddle.engine.asking import Asking
from heddle.engine.autosave import Autosave
from heddle.engine.runs import Runs
from heddle.engine.scopewatch import ScopeWatch
from heddle.engine.signals import loaded
from heddle.engine.sizewatch import DISK_LOW, TOO_LARGE, SizeWatch, with_cause
from heddle.ports import Chunk, Conversation, Exit, Held

LINE_LIMIT = 16 * 1024 * 1024
NO_PROGRESS = (LimitSeen, Garbled)
"""What an agent can say for ever without coming any further: a vendor that does not answer, and what is no protocol."""

BACKLOG_S = 0.05
"""What it said before its patience ended is heard first: a machine that slept wakes to it."""

LEAVE_S = 15.0
"""How long an agent may take to leave after its last turn; then it is ended."""


@dataclass(slots=True)
class Outcome:
    """How a session ended: its last turn, what it handed in, and the process's exit.

    `refused`: what the vendor said when it did not take the credential. `parked`: its process was ended while its
    conversation waits. `limit`: what the vendor last said that kept it from going on.
    """

    turn: TurnEnded | None = None
    offered: str = ""
    exit: Exit | None = None
    stalled: bool = False
    parked: bool = False
    refused: str = ""
    limit: str = ""
    agent_session: str = ""

    @property
    def lost(self) -> bool:
        """Whether the agent's process was lost under it."""
        ended = self.exit
        return ended is not None and (
            ended.why == "holder-lost" or (ended.why == "exited" and ended.signal is not None)
        )

    @property
    def excessive(self) -> bool:
        """Whether it was ended for what was written, whatever it had said before."""
        return self.exit is not None and self.exit.why in (TOO_LARGE, DISK_LOW)


@dataclass(slots=True)
class Session:
    """Plays one session to its end. `review` judges a finished turn: a complaint to be mended, or empty; `news` is what a
    session has to hear after the turn of that number although nothing is wrong with it, or empty; `alive` is told of each
    sign of life. `asking` is what it asks through its tools: a turn that ends with such a question waits for the answer,
    which `answered` makes the next turn of.
    """

    task: str
    brief: Brief
    watch: ScopeWatch
    size: SizeWatch
    saving: Autosave
    held: Held
    conversation: Conversation
    runs: Runs
    review: Callable[[Outcome], Awaitable[str]]
    repairs: int
    stall_s: float
    park_s: float
    redact: Redactor
    news: Callable[[int], Awaitable[str]]
    repair: Callable[[str], str]
    alive: Callable[[], None]
    asking: Asking
    answered: Callable[[list[tuple[str, str]]], str]
    outcome: Outcome = field(default_factory=Outcome)
    _turns: int = 0
    _closed: bool = False
    _recorded: int = 0
    _line: bytes = b""
    _heard: int = 0
    _offset: int = 0
    _tenth: int = -1
    _since: float = 0.0
    _reports: int = 0
    _waiting: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    @property
    def stream(self) -> str:
        """The journal stream of the session."""
        return f"session:{self.brief.session}"

    async def play(self) -> Outcome:
        """From the first message (or the transcript so far) to the process's end, with nothing left of it."""
        watching = {asyncio.create_task(watch.serve()) for watch in (self.watch, self.size, self.saving)}
        try:
            self._moved_on()
            self._reports = self.runs.require(self.task).reports
            await self._send(self.conversation.open())
            await self._converse()
        finally:
            for helper in (*watching, *self._waiting.values()):
                helper.cancel()
            await asyncio.wait(watching)
        if self.outcome.parked:
            await self.saving.now()
        self.outcome.exit = with_cause(await self._end(), self.size.ended_for)
        if self.outcome.parked:
            await self._settle_spend()
        else:
            for fact in self.conversation.exited(self.outcome.exit, self.held.load_errors().decode(errors="replace")):
                await self._take(fact)
        await self._withdraw()
        ended = self.outcome.exit
        await self._record(e.SessionEnded(ended.code, ended.signal, ended.why))
        return self.outcome

    async def _converse(self) -> None:
        chunks = self.held.output(0).__aiter__()
        parking = self.runs.parking(self.brief.session)
        parked = asyncio.create_task(parking.wait())
        try:
            while (chunk := await self._next(chunks, parked)) is not None:
                await self._receive(chunk.data)
        finally:
            parked.cancel()

    async def _next(self, chunks: AsyncIterator[Chunk], parked: asyncio.Task[Any]) -> Chunk | None:
        """What the agent says next; None when it says no more, has come no further for too long, or is parked."""
        upcoming = asyncio.ensure_future(anext(chunks))
        upcoming.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            while not upcoming.done():
                may_park = bool(self._waiting and self.park_s and self.outcome.agent_session)
                patience = LEAVE_S if self._closed else self.park_s if may_park else self.stall_s
                left = max(BACKLOG_S, self._since + patience - asyncio.get_running_loop().time())
                await asyncio.wait({upcoming, parked}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                if parked.done():
                    self.outcome.parked = True
                    return None
                if upcoming.done():
                    break
                if may_park:
                    await self._park()
                elif not (self.size.was_frozen() or self._waiting or self._has_reported()):
                    self.outcome.stalled = not self._closed
                    return None
                self._moved_on()
            return upcoming.result()
        except StopAsyncIteration:
            return None
        finally:
            upcoming.cancel()
            await asyncio.wait({upcoming})

    def _has_reported(self) -> bool:
        """Whether it said since the last look how far it has come (W7)."""
        known, self._reports = self._reports, self.runs.require(self.task).reports
        return self._reports > known

    def _moved_on(self) -> None:
        """From this moment on its patience is counted anew."""
        self._since = asyncio.get_running_loop().time()

    async def _park(self) -> None:
        """Have the conversation wait alone, unless the answer came just now; then the process may go."""
        session = self.brief.session

        def still_waits(run: Run) -> list[e.Event]:
            asked = any(question.session == session for question in run.questions)
            return [e.SessionParked(session, self.outcome.agent_session)] if asked else []

        await self.runs.record_if(self.task, still_waits, by=session)

    async def _settle_spend(self) -> None:
        """What it said last is nobody's to answer any more, but what it used counts."""
        async for chunk in self.held.output(self._heard):
            *lines, self._line = (self._line + chunk.data).split(b"\n")
            for item in (item for line in lines if line.strip() for item in self.conversation.receive(line)):
                if isinstance(item, UsageReported):
                    await self._take(item)

    async def _receive(self, data: bytes) -> None:
        self._heard += len(data)
        self.watch.nudge()
        self.saving.nudge()
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            self._offset += len(line) + 1
            for item in self.conversation.receive(line) if line.strip() else ():
                if not isinstance(item, NO_PROGRESS):
                    self._moved_on()
                    self.alive()
                await (self._send([item]) if isinstance(item, Send) else self._take(item))
        if len(self._line) > LINE_LIMIT:
            self._offset += len(self._line)
            self._line = b""

    async def _end(self) -> Exit:
        await self.held.close_input()
        if self.outcome.stalled or self.outcome.parked:
            await self.held.stop(grace_s=2.0)
        try:
            return await asyncio.wait_for(self.held.exit(), timeout=LEAVE_S)
        except TimeoutError:
            await self.held.stop()
            return await self.held.exit()

    async def _send(self, messages: list[Send]) -> None:
        for message in messages:
            await self.held.send(message)

    async def _record(self, event: e.Event) -> None:
        """Record a fact of the session, unless a replay brings it again."""
        self._recorded += 1
        if self.runs.tally(self.stream).seq < self._recorded:
            await self.runs.record_other(self.stream, event, by=self.brief.session)

    async def _take(self, fact: Fact) -> None:
        match fact:
            case AgentReady(agent_session, model, version):
                self.outcome.agent_session = agent_session
                await self._record(e.AgentAnswered(self._offset, agent_session, model, version))
            case ToolCalled(_, kind, title, paths):
                await self._record(e.ToolUsed(self._offset, kind, self.redact(title)[:200], paths))
                await self._watch_scope(kind, paths)
            case PermissionAsked() | AnswerAsked() | Withdrawn() | DocumentOffered():
                await self._hear_request(fact)
            case UsageReported(usage):
                await self._record(e.UsageRecorded(self._offset, usage))
            case RulesSeen():
                await self._record(loaded(self._offset, fact, self.brief.tree))
            case ContextSeen(used, most):
                if most > 0 and used * 10 // most != self._tenth:
                    self._tenth = used * 10 // most
                    await self._record(e.ContextRecorded(self._offset, used, most))
            case LimitSeen(kind, detail, resets_at, retrying):
                self.outcome.limit = f"{kind}: {self.redact(detail)[:200]}"
                await self._record(e.LimitRecorded(self._offset, kind, self.redact(detail)[:500], resets_at))
                if kind is LimitKind.AUTHENTICATION and retrying:  # no retry mends a credential
                    self.outcome.refused = detail
                    await self.held.stop(grace_s=2.0)
            case TurnEnded():
                await self._turn(fact)
            case Said() | ToolEnded() | Denied() | Garbled() | Progressed():
                return
            case _:
                assert_never(fact)

    async def _hear_request(self, fact: PermissionAsked | AnswerAsked | Withdrawn | DocumentOffered) -> None:
        match fact:
            case PermissionAsked():
                await self._permit(fact)
            case AnswerAsked():
                await self._ask(fact)
            case Withdrawn(request):
                await self._forgo(request)
            case DocumentOffered(text, request):
                self.outcome.offered = text
                if request:
                    await self._reply(request, Allow())
            case _:
                assert_never(fact)

    async def _reply(self, request: str, reply: Reply) -> None:
        await self._send(self.conversation.reply(request, reply))

    async def _permit(self, asked: PermissionAsked) -> None:
        reply = permission(asked, self.brief.access, self.brief.tree, self.brief.out, self.watch.scope)
        why = "" if isinstance(reply, Allow) else reply.why
        title = self.redact(asked.title)[:200]
        await self._record(e.PermissionDecided(self._offset, asked.request, title, isinstance(reply, Allow), why))
        await self._reply(asked.request, reply)

    async def _watch_scope(self, kind: str, paths: tuple[str, ...]) -> None:
        if kind == "edit":
            in_tree = [path for path in paths if not path.startswith("/") or inside(path, self.brief.out) is None]
            relative = [inside(path, self.brief.tree) for path in in_tree]
            await self.watch.check(tuple(path for path in relative if path))

    async def _ask(self, asked: AnswerAsked) -> None:
        question = f"{self.brief.session}/{asked.request}"
        run = self.runs.require(self.task)
        known = question in dict(run.answers) or any(open.id == question for open in run.questions)
        if not known:
            text = self.redact(asked.text)
            event = e.QuestionAsked(question, text, asked.options, asked.default, self.brief.session)
            await self.runs.record(self.task, event, by=self.brief.session)
        self._waiting[question] = asyncio.create_task(self._pass_answer(question, asked.request))

    async def _pass_answer(self, question: str, request: str) -> None:
        while (answer := dict(self.runs.require(self.task).answers).get(question)) is None:
            await self.runs.journal.wait(self.runs.journal.position())
        if self.runs.require(self.task).parked is not None:
            return  # the session that goes on with the conversation is told it (D1)
        await self._reply(request, Answered(answer))
        self._waiting.pop(question, None)
        self._moved_on()

    async def _pass_answers(self, turn: int) -> None:
        """The next turn, with the answers to what it asked through its tools."""
        answers = await self.asking.answers(turn)
        if answers is None:
            return
        await self._send(self.conversation.prompt(self.answered(answers), turn + 1))
        self._waiting.pop(f"turn {turn}", None)
        self._moved_on()

    async def _forgo(self, request: str) -> None:
        """Nobody needs to answer that any more."""
        question = f"{self.brief.session}/{request}"
        waiting = self._waiting.pop(question, None)
        if waiting is not None:
            waiting.cancel()
            withdrawn = e.QuestionWithdrawn(question)

            def still_open(run: Run) -> list[e.Event]:
                return [withdrawn] if any(open.id == question for open in run.questions) else []

            await self.runs.record_if(self.task, still_open, by=self.brief.session)

    async def _withdraw(self) -> None:
        """What nobody waits for any more; a parked conversation waits on, but for one that a person took over."""
        run = self.runs.require(self.task)
        for question in run.questions if run.parked is None or run.parked.visit else ():
            if question.session == self.brief.session:
                await self.runs.record(self.task, e.QuestionWithdrawn(question.id), by=self.brief.session)

    async def _turn(self, ended: TurnEnded) -> None:
        """A turn ended: take what it left, ask for a mended document a bounded number of times, or close."""
        self._turns += 1
        self.outcome.turn = ended
        replayed = self.runs.tally(self.stream).turns
        await self._record(e.TurnRecorded(self._offset, ended.outcome, self.redact(ended.error)[:2000]))
        good, answered = ended.outcome is TurnOutcome.ENDED, self.asking.turns()
        if self._turns < replayed:  # a later turn is on record: this one was answered with a repair, or with news
            if good and self._turns not in answered and not await self.review(self.outcome):
                self.outcome.offered = self.outcome.offered or ended.text
            await self._send(self.conversation.prompt("", self._turns + 1))
            return
        if good and self.asking.pending(self._turns):
            self._waiting[f"turn {self._turns}"] = asyncio.create_task(self._pass_answers(self._turns))
            return
        complaint = await self.review(self.outcome) if good else ""
        if complaint and self._turns - len(answered) <= self.repairs:
            await self._send(self.conversation.prompt(self.repair(complaint), self._turns + 1))
            return
        news = await self.news(self._turns) if good and not complaint else ""
        if news:
            self.outcome.offered = self.outcome.offered or ended.text  # its next last words may be about the news
            await self._send(self.conversation.prompt(news, self._turns + 1))
            return
        self._closed = True
        self._moved_on()
        await self.held.close_input()
