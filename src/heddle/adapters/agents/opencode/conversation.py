"""The conversation with opencode as a pure machine: lines in, facts and messages out.

The ids of our requests are fixed words, numbers, or the ids of what they answer, so that a replayed transcript yields the
same messages.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import msgspec

from heddle.adapters.agents.opencode import wire
from heddle.adapters.agents.opencode.spend import Meter, limit_of, retried
from heddle.adapters.agents.opencode.tools import (
    LOOP,
    Questions,
    kind_of,
    paths_of,
    permission_asked,
    title_of,
)
from heddle.adapters.agents.telling import ending, words
from heddle.core.session import (
    TOOLS_SERVER,
    AgentReady,
    Allow,
    Brief,
    Denied,
    Fact,
    Garbled,
    LimitSeen,
    PermissionAsked,
    Progressed,
    Reply,
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

SESSION, TOOLS, CONNECT = "session", "tools", "connect"
AGENT = "build"
"""The program's own agent that may be given everything; one of the person's choice could refuse what a stage needs."""

UNASKED = ("read", "list", "glob", "grep", "lsp", "skill", "todowrite", "question", "external_directory")
"""What changes nothing. What is done outside of the tree is asked for as what it is, so the place needs no asking."""

WITHHELD = ("task", "plan_enter", "plan_exit")
"""One session is one conversation, and a stage is one kind of work."""

RULES = tuple(
    {"permission": name, "pattern": "*", "action": action}
    for name, action in (("*", "ask"), *((n, "allow") for n in UNASKED), *((n, "deny") for n in WITHHELD))
)
"""The last rule that fits counts; those of a session come after all others."""

AGAIN = (
    "You have made this very call three times. Do not repeat it: find another way, or say what keeps you from going on."
)
SAMPLE = 200


class OpencodeConversation:
    """See the Conversation port. The first turn is open from the beginning, a later one from its prompt.

    `model` is "provider/model"; empty: the program's own choice.
    """

    def __init__(self, brief: Brief, model: str = "") -> None:
        self._brief, self._model = brief, model
        self._session = ""
        self._family: set[str] = set()
        self._in_turn = False
        self._number = 0
        self._is_busy = False
        self._interrupts, self._checks = 0, 0
        self._interrupt_wanted = False
        self._awaited: set[str] = set()
        self._asked: dict[str, PermissionAsked | Questions] = {}
        self._settled: set[str] = set()
        self._prompts: set[str] = set()
        self._spoken: dict[str, wire.Message] = {}
        self._last = ""
        self._called: set[str] = set()
        self._ended: set[str] = set()
        self._heard: set[str] = set()
        self._text = ""
        self._fault: wire.Fault | None = None
        self._meter = Meter()

    # ------------------------------------------------------------------------------------------- sending

    def open(self) -> list[Send]:
        """See the port."""
        self._in_turn = True
        rules: dict[str, object] = {"permission": list(RULES)}
        if self._brief.resume:
            return [self._request(SESSION, "PATCH", f"/session/{quote(self._brief.resume, safe='')}", rules)]
        # with a title it makes up none, which would be a request to the model of its own
        return [self._request(SESSION, "POST", "/session", {"title": f"Heddle {self._brief.session}", **rules})]

    def prompt(self, text: str, number: int) -> list[Send]:
        """See the port."""
        self._in_turn, self._number = True, number
        self._is_busy = self._interrupt_wanted = False
        self._settled.update(self._prompts)
        self._prompts, self._spoken = set(), {}
        self._text = self._last = ""
        self._fault = None
        body: dict[str, object] = {"agent": AGENT, "parts": [{"type": "text", "text": text}]}
        provider, _, model = self._model.partition("/")
        if model:
            body["model"] = {"providerID": provider, "modelID": model}
        return [self._request(f"prompt:{number}", "POST", self._path("prompt_async"), body)]

    def interrupt(self) -> list[Send]:
        """See the port. A turn that the program has not begun yet is interrupted as soon as it has."""
        if not self._in_turn:
            return []
        if not self._is_busy:
            self._interrupt_wanted = True
            return []
        self._interrupts += 1
        return [self._request(f"interrupt:{self._interrupts}", "POST", self._path("abort"), {})]

    def reply(self, request: str, reply: Reply) -> list[Send]:
        """See the port. An answer to what was withdrawn, or answered before, is no message."""
        match self._asked.pop(request, None):
            case None:
                return []
            case Questions() as questions:
                answers = questions.answer(request, words(reply))
                if answers is None:
                    return []
                return [self._answer("question", questions.id, {"answers": answers})]
            case PermissionAsked() if isinstance(reply, Allow):
                return [self._answer("permission", request, {"reply": "once"})]
            case PermissionAsked():
                return [self._answer("permission", request, {"reply": "reject", "message": words(reply)})]

    def _answer(self, kind: str, id: str, body: dict[str, object]) -> Send:
        self._settled.add(id)
        return self._request(f"reply:{id}", "POST", f"/{kind}/{quote(id, safe='')}/reply", body)

    def _request(self, id: str, method: str, path: str, body: dict[str, object] | None = None) -> Send:
        self._awaited.add(id)
        # it is started elsewhere, so each request names the folder that it is about
        return wire.request(id, method, f"{path}?directory={quote(self._brief.tree, safe='')}", body)

    def _path(self, what: str) -> str:
        return f"/session/{quote(self._session, safe='')}/{what}"

    # ----------------------------------------------------------------------------------------- receiving

    def receive(self, line: bytes) -> list[Fact | Send]:
        """See the port."""
        try:
            told = wire.decoded(line)
            return [] if told is None else list(self._take(told))
        except ValueError:
            return [Garbled(line[:SAMPLE].decode(errors="replace"))]

    def _take(self, told: wire.Told) -> Iterator[Fact | Send]:
        match told:
            case wire.Answer():
                yield from self._answered(told)
            case wire.Lost():
                yield from self._look_again(told)
            case wire.Created(info) if info.parent in self._family:
                self._family.add(info.id)
            case wire.StatusTold(session, status) if session == self._session:
                yield from self._go_on(status)
            case wire.Failed(error, session) if session == self._session and self._in_turn:
                self._fault = error
            case wire.MessageTold(message) if message.session == self._session:
                self._note(message)
            case wire.PartTold(part) if part.session in self._family:
                yield from list(self._piece(part)) or (Progressed(),)
            case wire.PermissionTold(session=session) if session in self._family:
                yield from self._ask(told)
            case wire.QuestionsTold(session=session) if session in self._family:
                yield from self._put_questions(told)
            case wire.Settled(request):
                yield from self._withdraw(request)
            case _:  # of a session that is not ours
                pass

    def _answered(self, answer: wire.Answer) -> Iterator[Fact | Send]:
        """An answer counts once, and only when it was asked for."""
        id = answer.answer
        if id not in self._awaited:
            return
        self._awaited.discard(id)
        if id in (TOOLS, CONNECT):
            yield from self._equipped(answer)
        elif not answer.ok:
            if id in (SESSION, f"prompt:{self._number}"):
                told = f"the agent refused to begin: {answer.complaint}"
                yield from self._end_turn(TurnOutcome.FAILED, told)
        elif id == SESSION:
            yield from self._opened(answer)
        elif id.startswith("look:"):
            yield from self._looked(id, answer.body)

    def _opened(self, answer: wire.Answer) -> Iterator[Fact | Send]:
        try:
            info = msgspec.convert(answer.body, wire.Info)
        except msgspec.ValidationError:
            self._awaited.add(SESSION)
            raise
        self._session = info.id
        self._family = {info.id}
        yield AgentReady(info.id, self._model, info.version)
        if self._brief.tools and not self._interrupt_wanted:
            yield self._request(TOOLS, "GET", "/mcp")
        else:
            yield from self._begin()

    def _equipped(self, answer: wire.Answer) -> Iterator[Fact | Send]:
        """Its tools come a moment after it does: a model that is asked before would not know of them. Without them it works,
        too.
        """
        if answer.answer == TOOLS and not wire.is_connected(answer.body, TOOLS_SERVER):
            yield self._request(CONNECT, "POST", f"/mcp/{TOOLS_SERVER}/connect", {})
        else:
            yield from self._begin()

    def _begin(self) -> Iterator[Fact | Send]:
        if self._interrupt_wanted:
            return (yield from self._end_turn(TurnOutcome.INTERRUPTED))
        yield from self.prompt(self._brief.prompt, 1)

    # -------------------------------------------------------------------------------------- what is told

    def _go_on(self, status: wire.Status) -> Iterator[Fact | Send]:
        if not self._in_turn:
            return
        if status.type == "busy" and self._prompts:
            self._is_busy = True
            if self._interrupt_wanted:
                self._interrupt_wanted = False
                yield from self.interrupt()
        elif status.type == "retry":
            kind, resets_at = retried(status)
            yield LimitSeen(kind, status.message or "the vendor refused", resets_at, retrying=True)
        elif status.type == "idle" and (self._is_busy or self._fault is not None):
            yield from self._rest()

    def _rest(self) -> Iterator[Fact]:
        """It is idle. Of a turn that failed it says so twice, and only at the second time it is ready for another."""
        last = self._spoken.get(self._last)
        if last is not None and last.time.completed is None and last.error is None:
            return
        fault = (last.error if last is not None else None) or self._fault
        if fault is None:
            return (yield from self._end_turn(TurnOutcome.ENDED))
        if fault.name == "MessageAbortedError":
            return (yield from self._end_turn(TurnOutcome.INTERRUPTED))
        told = fault.data.message or fault.name or "the turn failed"
        limit = limit_of(fault)
        if limit is not None:
            yield LimitSeen(limit, told)
        yield from self._end_turn(TurnOutcome.LIMITED if limit else TurnOutcome.FAILED, told)

    def _note(self, message: wire.Message) -> None:
        """Which messages belong to this turn: its prompts, and what answers them."""
        if not self._in_turn or message.id in self._settled:
            return
        if message.role == "user":
            self._prompts.add(message.id)
        elif message.role == "assistant" and message.parent in self._prompts:
            if message.id not in self._spoken:
                self._last, self._fault = message.id, None
            self._spoken[message.id] = message

    def _piece(self, part: wire.Part) -> Iterator[Fact]:
        match part.type:
            case "step-finish":
                self._meter.read(part)
            case "tool" if part.state.status != "pending":
                yield from self._call(part)
            case "text" if part.session == self._session and part.message in self._spoken and part.time.end is not None:
                yield from self._hear(part)

    def _call(self, part: wire.Part) -> Iterator[Fact]:
        if part.id in self._ended:
            return
        given = part.state.input
        if part.id not in self._called:
            self._called.add(part.id)
            yield ToolCalled(part.id, kind_of(part.tool), title_of(part.tool, given), paths_of(given))
        if part.state.status in ("completed", "error"):
            self._ended.add(part.id)
            ok = part.state.status == "completed"
            yield ToolEnded(part.id, ok, (part.state.output if ok else part.state.error)[:SAMPLE])

    def _hear(self, part: wire.Part) -> Iterator[Fact]:
        if part.synthetic or part.ignored or not part.text or part.id in self._heard:
            return
        self._heard.add(part.id)
        if not self._spoken[part.message].summary:
            self._text = part.text
        yield Said(part.text)

    # ---------------------------------------------------------------------------------- what is asked of us

    def _ask(self, told: wire.PermissionTold) -> Iterator[Fact | Send]:
        if told.id in self._asked or told.id in self._settled:
            return
        if told.permission == LOOP:
            yield Denied(told.id, f"the same call again: {', '.join(told.patterns)}"[:SAMPLE])
            yield self._answer("permission", told.id, {"reply": "reject", "message": AGAIN})
            return
        asked = permission_asked(told, self._brief.tree)
        if asked.kind == "edit" and not asked.paths:  # what cannot be judged is not allowed
            yield Denied(told.id, "a change of unknown files")
            yield self._answer(
                "permission", told.id, {"reply": "reject", "message": "It is not known what it changes."}
            )
            return
        self._asked[told.id] = asked
        yield asked

    def _put_questions(self, told: wire.QuestionsTold) -> Iterator[Fact | Send]:
        if told.id in self._asked or told.id in self._settled:
            return
        questions = Questions(told.id, told.questions)
        facts = questions.asked()
        if not facts:
            yield self._answer("question", told.id, {"answers": []})
        self._asked.update({fact.request: questions for fact in facts})
        yield from facts

    def _withdraw(self, request: str) -> Iterator[Fact]:
        self._settled.add(request)
        for key in [key for key in self._asked if key == request or key.startswith(f"{request}#")]:
            del self._asked[key]
            yield Withdrawn(key)

    # ------------------------------------------------------------------------------- what was not heard

    def _look_again(self, lost: wire.Lost) -> Iterator[Fact | Send]:
        """Some events are missing: whether it still works, and what it waits for, is asked for."""
        yield Garbled(lost.why[:SAMPLE])
        if not lost.again or not self._session or not self._in_turn:
            return
        self._checks += 1
        for what, path in (("permission", "/permission"), ("question", "/question"), ("status", "/session/status")):
            yield self._request(f"look:{what}:{self._checks}", "GET", path)

    def _looked(self, id: str, body: Any) -> Iterator[Fact | Send]:
        what = id.split(":")[1]
        if what == "status":
            if self._is_busy and isinstance(body, dict) and self._session not in body:
                told = "the end of the turn was not heard"
                yield from self._end_turn(TurnOutcome.FAILED, told)
            return
        kind = wire.PermissionTold if what == "permission" else wire.QuestionsTold
        for told in msgspec.convert(body, list[kind]):  # type: ignore[valid-type]
            yield from self._take(told)

    # ------------------------------------------------------------------------------------------ the end

    def _end_turn(self, outcome: TurnOutcome, error: str = "") -> Iterator[Fact]:
        if not self._in_turn:
            return
        self._in_turn = self._is_busy = False
        self._asked.clear()
        used = self._meter.taken()
        if used is not None:
            yield UsageReported(used)
        failed = outcome in (TurnOutcome.FAILED, TurnOutcome.LIMITED)
        yield TurnEnded(outcome, "" if failed else self._text, error)

    def exited(self, exit: Exit, errors: str) -> list[Fact]:
        """See the port."""
        return list(self._end_turn(TurnOutcome.FAILED, ending(exit, errors)))
