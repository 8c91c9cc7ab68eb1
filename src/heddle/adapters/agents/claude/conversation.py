"""The conversation with Claude Code as a pure machine: lines in, facts and messages out."""

from collections.abc import Iterator

from heddle.adapters.agents.claude import wire
from heddle.adapters.agents.claude.spend import Context, Meter, limit_kind
from heddle.adapters.agents.claude.tools import (
    ASK,
    OFFER_PLAN,
    Questions,
    command_of,
    kind_of,
    paths_of,
    title_of,
)
from heddle.adapters.agents.telling import ending, words
from heddle.core.session import (
    AgentReady,
    Allow,
    Answered,
    Brief,
    Denied,
    DocumentOffered,
    Fact,
    Garbled,
    LimitKind,
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

COST_BASELINE = "cost_baseline"
"""The option that tells what a resumed conversation had cost before, in USD."""

PLAN_TAKEN = "The plan was taken. The turn ends here."
SAMPLE = 200


class ClaudeConversation:
    """See the Conversation port. A turn ends when the program says that it is idle, not with a result."""

    def __init__(self, brief: Brief) -> None:
        self._brief = brief
        self._meter = Meter(_cost_before(brief))
        self._context = Context()
        self._ready = ""
        self._tells_state = False
        self._in_turn = False
        self._result: wire.Result | None = None
        self._fault: str | None = None
        self._limit: LimitKind | None = None
        self._plan_taken = False
        self._interrupts = 0
        self._asked: dict[str, wire.Asked | Questions] = {}

    # ------------------------------------------------------------------------------------------- sending

    def open(self) -> list[Send]:
        """See the port."""
        return [
            Send("initialize", wire.control_request("initialize", "initialize")),
            *self.prompt(self._brief.prompt, 1),
        ]

    def prompt(self, text: str, number: int) -> list[Send]:
        """See the port."""
        self._in_turn = True
        self._result = self._fault = self._limit = None
        self._plan_taken = False
        return [Send(f"prompt:{number}", wire.user_message(text))]

    def interrupt(self) -> list[Send]:
        """See the port."""
        self._interrupts += 1
        id = f"interrupt:{self._interrupts}"
        return [Send(id, wire.control_request(id, "interrupt"))]

    def reply(self, request: str, reply: Reply) -> list[Send]:
        """See the port. An answer to what was withdrawn, or answered before, is no message."""
        match self._asked.pop(request, None):
            case None:
                return []
            case Questions() as questions:
                return self._reply_question(questions, request, reply)
            case wire.Asked() as asked if asked.tool_name == OFFER_PLAN and isinstance(reply, Allow):
                self._plan_taken = True
                return [Send(f"reply:{request}", wire.refused(request, PLAN_TAKEN, end=True))]
            case wire.Asked() as asked if isinstance(reply, Allow):
                return [Send(f"reply:{request}", wire.granted(request, asked.input))]
            case _:
                return [Send(f"reply:{request}", wire.refused(request, words(reply)))]

    def _reply_question(self, questions: Questions, request: str, reply: Reply) -> list[Send]:
        id = f"reply:{questions.call}"
        if not isinstance(reply, Answered):
            for other in questions.texts:
                self._asked.pop(other, None)
            return [Send(id, wire.refused(questions.call, words(reply)))]
        answered = questions.answer(request, reply.text)
        return [] if answered is None else [Send(id, wire.granted(questions.call, answered))]

    # ----------------------------------------------------------------------------------------- receiving

    def receive(self, line: bytes) -> list[Fact | Send]:
        """See the port."""
        try:
            told = wire.decoded(line)
        except ValueError:
            return [Garbled(line[:SAMPLE].decode(errors="replace"))]
        return [] if told is None else list(self._take(told))

    def _take(self, told: wire.Line) -> Iterator[Fact | Send]:
        match told:
            case wire.Init():
                yield from self._begin(told)
            case wire.State(state):
                yield from self._settle(state)
            case wire.Assistant():
                yield from self._hear(told)
            case wire.User(message):
                yield from _ended_calls(message)
            case wire.ControlRequest(id, asked):
                yield from self._ask(id, asked)
            case wire.Cancelled(id):
                yield from self._withdraw(id)
            case wire.Working():
                yield Progressed()
            case wire.Refusal(tool, call):
                yield Denied(call, tool)
            case wire.Retry():
                yield self._retry(told)
            case wire.RateLimit(info):
                yield from self._limited(info)
            case wire.Result():
                yield from self._close(told)

    def _begin(self, init: wire.Init) -> Iterator[Fact]:
        if self._ready != init.session_id:
            self._ready = init.session_id
            yield AgentReady(init.session_id, init.model, init.claude_code_version)

    def _hear(self, spoken: wire.Assistant) -> Iterator[Fact]:
        self._fault = spoken.error or self._fault
        if spoken.parent_tool_use_id is None:
            yield from self._context.hear(spoken.message)
        for block in spoken.message.blocks():
            if block.type == "text" and block.text and spoken.parent_tool_use_id is None:
                yield Said(block.text)
            elif block.type == "tool_use":
                title = title_of(block.name, block.input)
                yield ToolCalled(block.id, kind_of(block.name), title, paths_of(block.input))

    def _ask(self, id: str, asked: wire.Asked) -> Iterator[Fact | Send]:
        if asked.subtype != "can_use_tool":
            yield Send(f"reply:{id}", wire.unsupported(id, asked.subtype))
        elif asked.tool_name == ASK:
            yield from self._put_questions(Questions(id, asked.input))
        elif asked.tool_name == OFFER_PLAN:
            self._asked[id] = asked
            plan = asked.input.get("plan")
            yield DocumentOffered(plan if isinstance(plan, str) else "", id)
        else:
            self._asked[id] = asked
            tool, input = asked.tool_name, asked.input
            yield PermissionAsked(id, kind_of(tool), title_of(tool, input), paths_of(input), command_of(input))

    def _put_questions(self, questions: Questions) -> Iterator[Fact | Send]:
        facts = questions.asked()
        if not facts:
            yield Send(f"reply:{questions.call}", wire.refused(questions.call, "No question was asked."))
        self._asked.update({fact.request: questions for fact in facts})
        yield from facts

    def _withdraw(self, id: str) -> Iterator[Fact]:
        for request, asked in list(self._asked.items()):
            if request == id or (isinstance(asked, Questions) and asked.call == id):
                del self._asked[request]
                yield Withdrawn(request)

    # -------------------------------------------------------------------------------- limits and the end

    def _retry(self, retry: wire.Retry) -> LimitSeen:
        known = limit_kind(retry.error_status, retry.error)
        kind = known or (LimitKind.OUTAGE if retry.error_status is None else LimitKind.UNKNOWN)
        status = "no answer" if retry.error_status is None else f"status {retry.error_status}"
        detail = f"{retry.error or 'error'} ({status}), retry {retry.attempt} of {retry.max_retries}"
        return LimitSeen(kind, detail, retrying=True)

    def _limited(self, info: wire.RateLimitInfo) -> Iterator[Fact]:
        if info.status == "rejected":
            self._limit = LimitKind.QUOTA
            yield LimitSeen(LimitKind.QUOTA, info.rateLimitType or "limit", info.resetsAt)

    def _close(self, result: wire.Result) -> Iterator[Fact]:
        """A result: its spend counts at once, the turn ends when the program is idle (or cannot say so)."""
        usage = self._meter.usage(result)
        if usage is not None:
            yield UsageReported(usage)
        yield from self._context.learn(result)
        kind = limit_kind(result.api_error_status, self._fault) if result.terminal_reason == "api_error" else None
        if kind is not None and self._limit is None:
            self._limit = kind
            yield LimitSeen(kind, result.result or "the vendor refused")
        self._result = result
        if not self._tells_state:
            yield from self._end_turn()

    def _settle(self, state: str) -> Iterator[Fact]:
        self._tells_state = True
        if state == "idle":
            yield from self._end_turn()

    def _end_turn(self) -> Iterator[Fact]:
        result, self._result = self._result, None
        if result is None or not self._in_turn:
            return
        self._in_turn = False
        text = result.result or ""
        if result.aborted:
            yield TurnEnded(TurnOutcome.ENDED if self._plan_taken else TurnOutcome.INTERRUPTED, text)
        elif not result.is_error:
            yield TurnEnded(TurnOutcome.ENDED, text)
        else:
            error = "; ".join(result.errors) or text or result.subtype
            yield TurnEnded(TurnOutcome.LIMITED if self._limit else TurnOutcome.FAILED, "", error)

    def exited(self, exit: Exit, errors: str) -> list[Fact]:
        """See the port."""
        if self._result is not None:
            return list(self._end_turn())
        if not self._in_turn:
            return []
        self._in_turn = False
        return [TurnEnded(TurnOutcome.FAILED, "", ending(exit, errors))]


def _ended_calls(message: wire.Message) -> Iterator[Fact]:
    for block in message.blocks():
        if block.type == "tool_result":
            yield ToolEnded(block.tool_use_id, not block.is_error, _plain(block.content)[:SAMPLE])


def _plain(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))


def _cost_before(brief: Brief) -> float | None:
    told = dict(brief.options).get(COST_BASELINE)
    try:
        return float(told) if told is not None else (None if brief.resume else 0.0)
    except ValueError:
        return None
