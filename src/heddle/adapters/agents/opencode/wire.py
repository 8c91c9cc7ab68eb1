"""What the relay tells of opencode's server, as far as it matters here. The rest is ignored: it may change."""

import json
from typing import Any, TypeAlias

import msgspec

from heddle.core.session import Send


class Answer(msgspec.Struct):
    """The answer to a request of ours; `status` 0: there was none, and `error` says why."""

    answer: str
    status: int = 0
    body: Any = None
    error: str = ""

    @property
    def ok(self) -> bool:
        """Whether the server did what it was asked for."""
        return 200 <= self.status < 300

    @property
    def complaint(self) -> str:
        """Why it did not."""
        told = self.body.get("data", self.body) if isinstance(self.body, dict) else self.body
        message = told.get("message") if isinstance(told, dict) else told
        return self.error or (message if isinstance(message, str) and message else f"status {self.status}")


class Lost(msgspec.Struct):
    """Some events were not heard; `again`: those from now on are."""

    why: str
    again: bool


class Info(msgspec.Struct, rename={"parent": "parentID"}):
    """A session; `parent` has it where it is a sub-agent's."""

    id: str
    parent: str | None = None
    version: str = ""


class Created(msgspec.Struct):
    """A session began."""

    info: Info


class Action(msgspec.Struct):
    """What a vendor's limit asks of the person."""

    reason: str = ""


class Status(msgspec.Struct):
    """busy, idle or retry; `next` in Unix milliseconds."""

    type: str
    message: str = ""
    next: float = 0
    action: Action | None = None


class StatusTold(msgspec.Struct, rename={"session": "sessionID"}):
    """How a session is doing."""

    session: str
    status: Status


class FaultData(msgspec.Struct, rename="camel"):
    """More about what went wrong."""

    message: str = ""
    status_code: int | None = None
    is_retryable: bool = False


class Fault(msgspec.Struct):
    """What went wrong."""

    name: str = ""
    data: FaultData = msgspec.field(default_factory=FaultData)


class Failed(msgspec.Struct, rename={"session": "sessionID"}):
    """A turn went wrong."""

    error: Fault = msgspec.field(default_factory=Fault)
    session: str = ""


class Times(msgspec.Struct):
    """Unix milliseconds."""

    completed: float | None = None
    end: float | None = None


class Message(msgspec.Struct, rename={"session": "sessionID", "parent": "parentID"}):
    """A message of the person, or the model's answer to it (`parent`). `summary`: the program's own."""

    id: str
    session: str
    role: str
    parent: str = ""
    time: Times = msgspec.field(default_factory=Times)
    error: Fault | None = None
    summary: Any = None


class MessageTold(msgspec.Struct):
    """A message, as it is now."""

    info: Message


class Cache(msgspec.Struct):
    """Counts."""

    read: int = 0
    write: int = 0


class Tokens(msgspec.Struct):
    """Counts; none of them includes another."""

    input: int = 0
    output: int = 0
    reasoning: int = 0
    cache: Cache = msgspec.field(default_factory=Cache)


class State(msgspec.Struct):
    """A tool call: pending, running, completed or error."""

    status: str = ""
    input: dict[str, Any] = {}
    output: str = ""
    error: str = ""


class Part(msgspec.Struct, rename={"session": "sessionID", "message": "messageID"}):
    """A piece of a message: text, tool, step-finish and others."""

    id: str
    session: str
    message: str
    type: str
    text: str = ""
    synthetic: bool = False
    ignored: bool = False
    time: Times = msgspec.field(default_factory=Times)
    tool: str = ""
    state: State = msgspec.field(default_factory=State)
    cost: float = 0.0
    tokens: Tokens | None = None


class PartTold(msgspec.Struct):
    """A piece, as it is now."""

    part: Part


class PermissionTold(msgspec.Struct, rename={"session": "sessionID"}):
    """May a tool do what it is about to do? `patterns` are paths from the tree, or commands."""

    id: str
    session: str
    permission: str
    patterns: list[str] = []
    metadata: dict[str, Any] = {}


class Option(msgspec.Struct):
    """A possible answer."""

    label: str


class Question(msgspec.Struct):
    """One question to the person."""

    question: str = ""
    options: list[Option] = []


class QuestionsTold(msgspec.Struct, rename={"session": "sessionID"}):
    """Questions that are answered together."""

    id: str
    session: str
    questions: list[Question] = []


class Settled(msgspec.Struct, rename={"request": "requestID"}):
    """A request that was answered, by whomever."""

    request: str


EVENTS: dict[str, type[msgspec.Struct]] = {
    "session.created": Created,
    "session.status": StatusTold,
    "session.error": Failed,
    "message.updated": MessageTold,
    "message.part.updated": PartTold,
    "permission.asked": PermissionTold,
    "permission.replied": Settled,
    "question.asked": QuestionsTold,
    "question.replied": Settled,
    "question.rejected": Settled,
}
"""The events that are heard; the relay passes no others."""

Told: TypeAlias = (
    Answer | Lost | Created | StatusTold | Failed | MessageTold | PartTold | PermissionTold | QuestionsTold | Settled
)


class Payload(msgspec.Struct):
    """An event."""

    type: str = ""
    properties: msgspec.Raw = msgspec.Raw(b"{}")


class Event(msgspec.Struct):
    """An event as the server wraps it, with the folder that it belongs to."""

    payload: Payload = msgspec.field(default_factory=Payload)


class Line(msgspec.Struct):
    """What tells the kinds of lines apart."""

    answer: str | None = None
    event: Event | None = None
    lost: str | None = None
    again: bool = True
    dropped: int | None = None
    ready: int | None = None


def decoded(line: bytes) -> Any:
    """What was told (see Told), or None for what does not matter. Raises ValueError when it is not the protocol."""
    try:
        head = msgspec.json.decode(line, type=Line)
        if head.answer is not None:
            return msgspec.json.decode(line, type=Answer)
        if head.event is not None:
            kind = EVENTS.get(head.event.payload.type)
            return None if kind is None else msgspec.json.decode(head.event.payload.properties, type=kind)
    except RecursionError as error:
        raise ValueError("too deep") from error
    if head.lost is not None:
        return Lost(head.lost, head.again)
    if head.dropped is not None:
        return Lost(f"{head.dropped} bytes at once are too much", again=True)
    if head.ready is None:
        raise ValueError("neither an answer nor an event")
    return None


def is_connected(body: object, server: str) -> bool:
    """Whether the program says so of one of its servers of tools."""
    told = body.get(server) if isinstance(body, dict) else None
    return isinstance(told, dict) and told.get("status") == "connected"


def request(id: str, method: str, path: str, body: dict[str, object] | None = None) -> Send:
    """A request of ours; its answer bears the same id."""
    message: dict[str, object] = {"id": id, "method": method, "path": path}
    message |= {} if body is None else {"body": body}
    return Send(id, json.dumps(message, separators=(",", ":")).encode() + b"\n")
