"""The conversation with an agent over ACP as a pure machine: lines in, facts and messages out.

The ids of our requests are fixed words and numbers, so that a replayed transcript yields the same messages.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from heddle.adapters.agents.acp import wire
from heddle.adapters.agents.acp.calls import Calls
from heddle.adapters.agents.acp.forms import DECLINED, Form
from heddle.adapters.agents.acp.spend import Meter, context_of
from heddle.adapters.agents.acp.wire import Table, table, tables, word
from heddle.core.session import (
    Access,
    AgentReady,
    Allow,
    AnswerAsked,
    Answered,
    Brief,
    Deny,
    Fact,
    Garbled,
    PermissionAsked,
    Progressed,
    Reply,
    Said,
    Send,
    ToolCalled,
    TurnEnded,
    TurnOutcome,
    UsageReported,
)
from heddle.ports import Exit

VERSION = 1
INITIALIZE, SESSION, SET_MODE, FIRST_PROMPT = 1, 2, 3, 10
READ_MODES = ("plan", "read-only", "readonly", "ask-read-only")
WRITE_MODES = ("ask", "default", "workspace-write", "acceptEdits", "autoEdit", "build")
STOPS = {"end_turn": TurnOutcome.ENDED, "cancelled": TurnOutcome.INTERRUPTED}
FORGONE: Table = {"action": "cancel"}
SAMPLE = 200


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of the agent that waits for an answer."""

    number: object
    options: list[Table]
    question: bool


class AcpConversation:
    """See the Conversation port. The first turn is open from the beginning, a later one from its prompt."""

    def __init__(self, brief: Brief, servers: Sequence[Table] = ()) -> None:
        self._brief, self._servers = brief, list(servers)
        self._session = ""
        self._resumed = ""
        self._version = ""
        self._turn = 0
        self._awaited: set[object] = set()
        self._asked: dict[str, Asked] = {}
        self._forms: dict[str, Form] = {}
        self._calls = Calls()
        self._meter = Meter(resumed=False)
        self._text: list[str] = []
        self._message = ""
        self._between = False

    # ------------------------------------------------------------------------------------------- sending

    def open(self) -> list[Send]:
        """See the port."""
        self._turn = 1
        # No files and no terminals are offered: an agent that has them goes through its client for every read.
        params = {
            "protocolVersion": VERSION,
            "clientCapabilities": {"elicitation": {"form": {}}},
            "clientInfo": {"name": "heddle", "version": "1"},
        }
        return [self._request("initialize", INITIALIZE, "initialize", params)]

    def prompt(self, text: str, number: int) -> list[Send]:
        """See the port."""
        self._turn = number
        self._text, self._message, self._between = [], "", False
        self._meter.begin()
        params = {"sessionId": self._session, "prompt": [{"type": "text", "text": text}]}
        return [self._request(f"prompt:{number}", FIRST_PROMPT + number, "session/prompt", params)]

    def interrupt(self) -> list[Send]:
        """See the port. The protocol wants every open request answered with it; no message when no turn is open."""
        if not self._turn or not self._session:
            return []
        cancel = wire.notification(f"interrupt:{self._turn}", "session/cancel", {"sessionId": self._session})
        asked, self._asked, forms, self._forms = self._asked, {}, self._forms, {}
        cancelled = {"outcome": {"outcome": "cancelled"}}
        answers = [wire.answer(f"reply:{id}", one.number, cancelled) for id, one in asked.items()]
        return [cancel, *answers, *(wire.answer(f"reply:{id}", form.number, FORGONE) for id, form in forms.items())]

    def reply(self, request: str, reply: Reply) -> list[Send]:
        """See the port. An answer to what was withdrawn, or answered before, is no message."""
        id = next((id for id, form in self._forms.items() if request in form.requests), "")
        if id:
            return self._fill(id, self._forms[id].reply(request, reply))
        asked = self._asked.pop(request, None)
        if asked is None:
            return []
        result: Table = {"outcome": _outcome(asked, reply)}
        if isinstance(reply, Answered):
            result["_meta"] = {"heddle": {"answer": reply.text}}
        return [wire.answer(f"reply:{request}", asked.number, result)]

    def _fill(self, id: str, result: Table | None) -> list[Send]:
        return [] if result is None else [wire.answer(f"reply:{id}", self._forms.pop(id).number, result)]

    def _request(self, id: str, number: int, method: str, params: Table) -> Send:
        self._awaited.add(number)
        return wire.request(id, number, method, params)

    # ----------------------------------------------------------------------------------------- receiving

    def receive(self, line: bytes) -> list[Fact | Send]:
        """See the port."""
        message = wire.decoded(line)
        if message is None:
            return [Garbled(line[:SAMPLE].decode(errors="replace"))]
        return list(self._called(message) if "method" in message else self._answered(message))

    def _called(self, message: Table) -> Iterator[Fact | Send]:
        params = table(message.get("params"))
        match message["method"]:
            case "session/update":
                yield from self._updated(table(params.get("update")))
            case wire.PERMISSION:
                yield self._ask(message["id"], params)
            case wire.FORM if isinstance(message.get("id"), str | int):
                yield from self._ask_for(message["id"], params)
            case _ if "id" in message:
                yield wire.refusal(f"refuse:{message['id']}", message["id"])
            case _:  # a notification that nobody knows is none of ours
                pass

    def _answered(self, message: Table) -> Iterator[Fact | Send]:
        """An answer counts once, and only when it was asked for."""
        number, result = message["id"], table(message.get("result"))
        if not isinstance(number, int) or number not in self._awaited:
            return
        self._awaited.discard(number)
        if number == SET_MODE:  # a mode that is refused is no reason to stop: every request is judged here anyway
            yield from self.prompt(self._brief.prompt, 1)
        elif message.get("error") is not None:
            yield from self._end_turn(TurnOutcome.FAILED, wire.complaint(message["error"]))
        elif number == INITIALIZE:
            yield from self._begin(result)
        elif number == SESSION:
            yield from self._begun(result)
        else:
            yield from self._stopped(result)

    def _begin(self, told: Table) -> Iterator[Fact | Send]:
        version = told.get("protocolVersion")
        if isinstance(version, int) and version != VERSION:
            error = f"the agent speaks version {version} of the protocol; version {VERSION} is spoken here"
            yield from self._end_turn(TurnOutcome.FAILED, error)
            return
        self._version = word(table(told.get("agentInfo")).get("version"))
        params: Table = {"cwd": self._brief.tree, "mcpServers": self._servers}
        if self._brief.resume and table(told.get("agentCapabilities")).get("loadSession"):
            self._resumed, self._meter = self._brief.resume, Meter(resumed=True)
            params = {"sessionId": self._resumed, **params}
            yield self._request("load-session", SESSION, "session/load", params)
        else:
            yield self._request("new-session", SESSION, "session/new", params)

    def _begun(self, told: Table) -> Iterator[Fact | Send]:
        self._session = word(told.get("sessionId")) or self._resumed
        if not self._session:
            yield from self._end_turn(TurnOutcome.FAILED, "the agent began a session without an id")
            return
        yield AgentReady(self._session, "", self._version)
        wanted = READ_MODES if self._brief.access is Access.READ else WRITE_MODES
        setting = _option(told, wanted) or _mode(told, wanted)
        if setting:
            method, params = setting
            yield self._request("mode", SET_MODE, method, {"sessionId": self._session, **params})
        else:
            yield from self.prompt(self._brief.prompt, 1)

    def _updated(self, update: Table) -> Iterator[Fact]:
        """What the agent does. While a session is loaded its history is told: that was all told before."""
        match update.get("sessionUpdate"):
            case "usage_update":
                self._meter.read(update)
                yield Progressed()
                yield from context_of(update)
            case "agent_thought_chunk" | "plan" if self._session:
                yield Progressed()
            case "agent_message_chunk" if self._session:
                yield from self._hear(update)
            case "tool_call" | "tool_call_update" if self._session:
                facts = list(self._calls.heard(update))
                self._between = self._between or any(isinstance(fact, ToolCalled) for fact in facts)
                yield from facts or (Progressed(),)

    def _hear(self, update: Table) -> Iterator[Fact]:
        """A piece of a message. The turn's text is its last message: another id, or a tool call, begins a new one."""
        text, message = word(table(update.get("content")).get("text")), word(update.get("messageId"))
        if not text:
            return
        if message != self._message or (self._between and not message):
            self._text = []
        self._text.append(text)
        self._message, self._between = message, False
        yield Said(text)

    def _ask_for(self, number: object, params: Table) -> Iterator[Fact | Send]:
        form = Form.read(number, params)
        if form is None:  # what nobody could answer must not let the agent wait
            yield wire.answer(f"decline:{number}", number, DECLINED)
            return
        self._forms[str(number)] = form
        yield from form.asked()

    def _ask(self, number: object, params: Table) -> Fact:
        options = [option for option in tables(params.get("options")) if word(option.get("optionId"))]
        question = table(params.get("_meta")).get("heddle")
        request, call = str(number), self._calls.learn(table(params.get("toolCall")))
        self._asked[request] = Asked(number, options, isinstance(question, dict))
        if isinstance(question, dict):
            names = tuple(word(option.get("name")) for option in options)
            return AnswerAsked(request, word(question.get("question")), names, word(question.get("default")))
        return PermissionAsked(request, call.kind, call.title, call.paths, call.command)

    # ------------------------------------------------------------------------------------ the end of a turn

    def _stopped(self, told: Table) -> Iterator[Fact]:
        stop = word(told.get("stopReason")) or "no reason"
        outcome = STOPS.get(stop, TurnOutcome.FAILED)
        error = f"the agent stopped: {stop}" if outcome is TurnOutcome.FAILED else ""
        yield from self._end_turn(outcome, error, told.get("usage"))

    def _end_turn(self, outcome: TurnOutcome, error: str = "", counts: object = None) -> Iterator[Fact]:
        self._turn = 0
        usage = self._meter.usage(counts)
        if usage is not None:
            yield UsageReported(usage)
        yield TurnEnded(outcome, "".join(self._text), error)

    def exited(self, exit: Exit, errors: str) -> list[Fact]:
        """See the port."""
        if not self._turn:
            return []
        how = f"signal {exit.signal}" if exit.signal is not None else f"status {exit.code}"
        how = how if exit.why == "exited" else exit.why
        last = (errors.strip().splitlines() or [""])[-1][:500]
        return list(self._end_turn(TurnOutcome.FAILED, f"the agent ended ({how}) {last}".strip()))


def _option(told: Table, wanted: tuple[str, ...]) -> tuple[str, Table] | None:
    """How the mode is set where it is one of the session's options; a later protocol names their ids otherwise."""
    for option in tables(told.get("configOptions")):
        id = word(option.get("id")) or word(option.get("configId"))
        offered = [choice.get("value") for choice in _flat(option.get("options"))]
        mode = next((mode for mode in wanted if mode in offered), "")
        if id and mode and option.get("category", id) == "mode":
            return "session/set_config_option", {"configId": id, "value": mode}
    return None


def _flat(choices: object) -> Iterator[Table]:
    """Choices, those in groups too."""
    for choice in tables(choices):
        yield from _flat(choice["options"]) if "options" in choice else (choice,)


def _mode(told: Table, wanted: tuple[str, ...]) -> tuple[str, Table] | None:
    """How the mode is set explicitly: read-only for the stages that read, one that asks for the others."""
    offered = [mode.get("id") for mode in tables(table(told.get("modes")).get("availableModes"))]
    mode = next((mode for mode in wanted if mode in offered), "")
    return ("session/set_mode", {"modeId": mode}) if mode else None


def _outcome(asked: Asked, reply: Reply) -> Table:
    """The option that says what the reply means. None fits: cancelled, for nothing may be allowed that was not meant."""
    match reply:
        case Answered(text):
            named = [one for one in asked.options if text in (one.get("name"), one["optionId"])]
            chosen = named or (asked.options if asked.question else [])
        case Allow():
            chosen = _of_kind(asked, "allow_once") or _of_kind(asked, "allow_always")
        case Deny():
            chosen = _of_kind(asked, "reject_once") or _of_kind(asked, "reject_always")
    return {"outcome": "selected", "optionId": chosen[0]["optionId"]} if chosen else {"outcome": "cancelled"}


def _of_kind(asked: Asked, kind: str) -> list[Table]:
    return [option for option in asked.options if option.get("kind") == kind]
