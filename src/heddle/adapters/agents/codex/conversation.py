"""The conversation with Codex as a pure machine: lines in, facts and messages out.

The ids of our requests are fixed words and numbers, so that a replayed transcript yields the same messages.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from heddle.adapters.agents.codex import wire
from heddle.adapters.agents.codex.commands import script_of
from heddle.adapters.agents.codex.spend import Account, Meter, context_of
from heddle.adapters.agents.codex.tools import Questions, changed, command_kind, kind_of, paths_of, title_of
from heddle.adapters.agents.telling import ending, words
from heddle.core.session import (
    AgentReady,
    Allow,
    AnswerAsked,
    Brief,
    Denied,
    Deny,
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
from heddle.ports import Exit

INITIALIZE, THREAD = "initialize", "thread"
ASKING = "untrusted"
"""The policy under which every command and every patch is asked for."""

UNWANTED = ("turn/diff/updated",)
"""Notices that would fill the transcript: the whole change again after each patch."""

RULES = (
    "Before you begin: if the repository has an AGENTS.md, read it; its rules hold for your work, as do those of an AGENTS.md"
    " in a folder that you work in. They never widen what you were allowed above."
)
"""The program does not load the rules of a repository that it was told not to trust, but they are text and count."""

OUTCOMES = {"completed": TurnOutcome.ENDED, "interrupted": TurnOutcome.INTERRUPTED}
SAMPLE = 200
_VERSION = re.compile(r"/(\d[\w.-]*)")


GRANTED: dict[str, object] = {"decision": "accept"}
REFUSED: dict[str, object] = {"decision": "decline"}


@dataclass(frozen=True, slots=True)
class Open:
    """A request for permission that waits for its answer, and what the answers are."""

    number: wire.Number
    granted: Mapping[str, object] = field(default_factory=lambda: GRANTED)
    refused: Mapping[str, object] = field(default_factory=lambda: REFUSED)


class CodexConversation:
    """See the Conversation port. The first turn is open from the beginning, a later one from its prompt."""

    def __init__(self, brief: Brief) -> None:
        self._brief = brief
        self._version = ""
        self._thread = ""
        self._in_turn = False
        self._number = 0
        self._turn = ""
        self._interrupts = 0
        self._interrupt_wanted = False
        self._awaited: set[wire.Number] = set()
        self._asked: dict[str, Open | Questions] = {}
        self._patches: dict[str, tuple[str, ...]] = {}
        self._called: set[str] = set()
        self._text, self._is_final = "", False
        self._fault: LimitKind | None = None
        self._limit: LimitKind | None = None
        self._account, self._meter = Account(), Meter()

    # ------------------------------------------------------------------------------------------- sending

    def open(self) -> list[Send]:
        """See the port."""
        self._in_turn = True
        params: dict[str, object] = {
            "clientInfo": {"name": "heddle", "title": "Heddle", "version": "1"},
            "capabilities": {"optOutNotificationMethods": UNWANTED},
        }
        return [self._request(INITIALIZE, "initialize", params)]

    def prompt(self, text: str, number: int) -> list[Send]:
        """See the port."""
        self._in_turn, self._number, self._turn = True, number, ""
        self._text, self._is_final = "", False
        self._fault = self._limit = None
        self._interrupt_wanted = False
        params: dict[str, object] = {
            "threadId": self._thread,
            "input": wire.text_input(text, RULES) if number == 1 else wire.text_input(text),
            # What encloses a session is Heddle's. The program's own sandbox would be told to the model as what it may do, and
            # cannot be made inside of a box. It is said here and not at the thread's start, where it would make the program
            # trust the repository.
            "sandboxPolicy": {"type": "dangerFullAccess"},
        }
        return [self._request(f"prompt:{number}", "turn/start", params)]

    def interrupt(self) -> list[Send]:
        """See the port. A turn whose id is not known yet is interrupted as soon as it is."""
        if not self._in_turn:
            return []
        if not self._turn:
            self._interrupt_wanted = True
            return []
        self._interrupts += 1
        params: dict[str, object] = {"threadId": self._thread, "turnId": self._turn}
        return [self._request(f"interrupt:{self._interrupts}", "turn/interrupt", params)]

    def reply(self, request: str, reply: Reply) -> list[Send]:
        """See the port. An answer to what was withdrawn, or answered before, is no message."""
        match self._asked.pop(request, None):
            case None:
                return []
            case Questions() as questions:
                return self._reply_question(questions, request, reply)
            case Open(number, granted) if isinstance(reply, Allow):
                return [wire.result(number, granted)]
            case Open(number, _, refused):
                return [*self._explain(request, reply), wire.result(number, refused)]

    def _reply_question(self, questions: Questions, request: str, reply: Reply) -> list[Send]:
        answered = questions.answer(request, words(reply))
        return [] if answered is None else [wire.result(questions.number, answered)]

    def _explain(self, request: str, reply: Reply) -> list[Send]:
        """A refusal bears no reason in this protocol: it is told as a word of the person in the same turn.

        It is sent before the refusal itself: after it, it could cut off what the model says next, or come after its last word.
        """
        if not self._turn or not isinstance(reply, Deny):
            return []
        told = wire.text_input(f"That was refused: {reply.why}")
        params: dict[str, object] = {"threadId": self._thread, "expectedTurnId": self._turn, "input": told}
        return [self._request(f"why:{request}", "turn/steer", params)]

    def _request(self, id: str, method: str, params: dict[str, object]) -> Send:
        self._awaited.add(id)
        return wire.request(id, method, params)

    # ----------------------------------------------------------------------------------------- receiving

    def receive(self, line: bytes) -> list[Fact | Send]:
        """See the port."""
        try:
            told = wire.decoded(line)
            if isinstance(told, wire.Working):
                return [Progressed()]
            return [] if told is None else list(self._take(told))
        except ValueError:
            return [Garbled(line[:SAMPLE].decode(errors="replace"))]

    def _take(self, told: wire.Answer | wire.Request | wire.Notice) -> Iterator[Fact | Send]:
        match told:
            case wire.Answer():
                yield from self._answered(told)
            case wire.Request():
                yield from self._ask(told)
            case wire.TurnStarted(turn, thread) if thread == self._thread:
                yield from self._begun(turn)
            case wire.TurnCompleted(turn, thread) if thread == self._thread:
                yield from self._completed(turn)
            case wire.ItemStarted(item):
                yield from self._call(item)
            case wire.ItemCompleted(item, thread):
                yield from self._end_call(item, ours=thread == self._thread)
            case wire.PatchUpdated(item, changes):
                self._patches[item] = tuple(dict.fromkeys((*self._patches.get(item, ()), *changed(changes))))
            case wire.Used(usage, turn) if turn and turn == self._turn:
                self._fault = None
                self._meter.read(usage)
                yield from context_of(usage)
            case wire.Limits(standing):
                self._account.learn(standing)
            case wire.Failed(error, retrying, thread) if thread == self._thread:
                yield from self._fail(error, retrying=retrying)
            case wire.Resolved(number):
                yield from self._withdraw(number)
            case _:  # of a thread or a turn that is not ours
                pass

    def _answered(self, answer: wire.Answer) -> Iterator[Fact | Send]:
        """An answer counts once, and only when it was asked for."""
        number = answer.number
        if number not in self._awaited:
            return
        made = self._opened(answer) if answer.error is None else None
        self._awaited.discard(number)
        if made is not None:
            yield from made
        elif answer.error is not None and number in (INITIALIZE, THREAD, f"prompt:{self._number}"):
            yield from self._end_turn(TurnOutcome.FAILED, answer.error.message or "the agent refused to begin")

    def _opened(self, answer: wire.Answer) -> list[Fact | Send]:
        """What follows from a good answer. Raises ValueError when it cannot be read."""
        if answer.number == INITIALIZE:
            introduced = msgspec.json.decode(answer.result, type=wire.Introduced)
            found = _VERSION.search(introduced.user_agent)
            self._version = found[1] if found else ""
            return [wire.notification("initialized", "initialized"), self._open_thread()]
        if answer.number == THREAD:
            opened = msgspec.json.decode(answer.result, type=wire.Opened)
            self._thread = opened.thread.id
            ready = AgentReady(self._thread, opened.model, self._version)
            return [ready, *map(RulesSeen, opened.rules), *self.prompt(self._brief.prompt, 1)]
        if answer.number == f"prompt:{self._number}":
            return list(self._begun(msgspec.json.decode(answer.result, type=wire.Begun).turn))
        return []

    def _open_thread(self) -> Send:
        params: dict[str, object] = {
            "cwd": self._brief.tree,
            "approvalPolicy": ASKING,
            "approvalsReviewer": "user",  # nobody but Heddle answers
            "sandbox": "read-only",
            **({"model": self._brief.model} if self._brief.model else {}),
        }
        if not self._brief.resume:
            return self._request(THREAD, "thread/start", params)
        params |= {"threadId": self._brief.resume, "excludeTurns": True}
        return self._request(THREAD, "thread/resume", params)

    def _begun(self, turn: wire.Turn) -> Iterator[Send]:
        if not self._in_turn or self._turn:
            return
        self._turn = turn.id
        if self._interrupt_wanted:
            self._interrupt_wanted = False
            yield from self.interrupt()

    def _call(self, item: wire.Item) -> Iterator[Fact]:
        kind = kind_of(item)
        if not kind or item.id in self._called:
            return
        self._called.add(item.id)
        if kind == "edit":
            self._patches[item.id] = paths_of(item)
        yield ToolCalled(item.id, kind, title_of(item), paths_of(item))

    def _end_call(self, item: wire.Item, *, ours: bool) -> Iterator[Fact]:
        if item.type == "agentMessage" and ours and item.text:
            yield from self._hear(item)
        if kind_of(item):
            yield from self._call(item)  # one that ended before it was told to have begun
            ok = item.status in ("completed", "")
            self._called.discard(item.id)
            self._patches.pop(item.id, None)
            yield ToolEnded(item.id, ok, (item.aggregated_output or ("" if ok else item.status))[:SAMPLE])

    def _hear(self, item: wire.Item) -> Iterator[Fact]:
        """A message. The turn's text is the last one, or the last that is marked as the answer."""
        is_final = item.phase == "final_answer"
        if is_final or not self._is_final:
            self._text, self._is_final = item.text, is_final
        yield Said(item.text)

    # ---------------------------------------------------------------------------------- what is asked of us

    def _ask(self, request: wire.Request) -> Iterator[Fact | Send]:
        id = str(request.number)
        match request.asked:
            case wire.CommandAsked() as asked:
                self._asked[id] = Open(request.number)
                script = script_of(asked.command or "")
                kind = command_kind(asked.command or "") if asked.kind == "command" else "run"
                title = " ".join(script.split()) or asked.reason or asked.kind
                yield PermissionAsked(id, kind, title, (), script)
            case wire.ChangeAsked(item, root):
                yield from self._ask_change(request.number, item, root)
            case wire.InputAsked(listed):
                yield from self._put_questions(Questions(request.number, listed))
            case wire.FormAsked(server, meta) as asked if asked.asks_for_a_call and meta is not None:
                self._asked[id] = Open(request.number, {"action": "accept", "content": {}}, {"action": "decline"})
                yield PermissionAsked(id, "other", f"{server} {meta.tool_name}".strip())
            case _:
                yield wire.refusal(request.number, request.method)

    def _ask_change(self, number: wire.Number, item: str, root: str | None) -> Iterator[Fact | Send]:
        paths = (*self._patches.get(item, ()), *((root,) if root else ()))
        if not paths:  # what cannot be judged is not allowed
            yield Denied(item, "a change of unknown files")
            yield wire.result(number, REFUSED)
            return
        self._asked[str(number)] = Open(number)
        yield PermissionAsked(str(number), "edit", f"edit {', '.join(paths)}", paths)

    def _put_questions(self, questions: Questions) -> Iterator[AnswerAsked | Send]:
        facts = questions.asked()
        if not facts:
            yield wire.result(questions.number, {"answers": {}})
        self._asked.update({fact.request: questions for fact in facts})
        yield from facts

    def _withdraw(self, number: wire.Number) -> Iterator[Fact]:
        gone = [key for key, asked in self._asked.items() if asked.number == number]
        for request in gone:
            del self._asked[request]
            yield Withdrawn(request)

    # -------------------------------------------------------------------------------- limits and the end

    def _fail(self, error: wire.Fault, *, retrying: bool) -> Iterator[Fact]:
        """A request to the vendor failed. A last word that says nothing means what the retries before it said."""
        found = self._account.limit(error.codex_error_info)
        if found is None and error.codex_error_info == "other" and self._fault is not None:
            found = (self._fault, None)
        self._fault = found[0] if found else None
        if found is not None:
            kind, resets_at = found
            self._limit = self._limit if retrying else kind
            detail = error.additional_details or error.message or "the vendor refused"
            yield LimitSeen(kind, detail, resets_at, retrying)

    def _completed(self, turn: wire.Turn) -> Iterator[Fact]:
        if not self._in_turn or turn.id != self._turn:
            return
        if turn.status == "failed" and turn.error is not None and self._limit is None:
            yield from self._fail(turn.error, retrying=False)
        outcome = OUTCOMES.get(turn.status, TurnOutcome.LIMITED if self._limit else TurnOutcome.FAILED)
        failed = outcome in (TurnOutcome.FAILED, TurnOutcome.LIMITED)
        told = turn.error.message if turn.error is not None else ""
        yield from self._end_turn(outcome, (told or f"the turn was {turn.status}") if failed else "")

    def _end_turn(self, outcome: TurnOutcome, error: str = "") -> Iterator[Fact]:
        if not self._in_turn:
            return
        self._in_turn, self._turn = False, ""
        self._asked.clear()
        used = self._meter.taken()
        if used is not None:
            yield UsageReported(used)
        failed = outcome in (TurnOutcome.FAILED, TurnOutcome.LIMITED)
        yield TurnEnded(outcome, "" if failed else self._text, error)

    def exited(self, exit: Exit, errors: str) -> list[Fact]:
        """See the port."""
        return list(self._end_turn(TurnOutcome.FAILED, ending(exit, errors)))
