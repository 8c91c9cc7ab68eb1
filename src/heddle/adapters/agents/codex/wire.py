"""The messages of Codex' app-server as far as they matter here. The rest is ignored: it may change."""

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from heddle.core.session import Send

Number: TypeAlias = int | str
"""The id of a request."""


class Complaint(msgspec.Struct):
    """Why a request of ours was refused."""

    message: str = ""


class Head(msgspec.Struct):
    """What tells the kinds of messages apart."""

    id: Number | None = None
    method: str = ""
    params: msgspec.Raw = msgspec.Raw(b"{}")
    result: msgspec.Raw = msgspec.Raw(b"{}")
    error: Complaint | None = None


class Answer(msgspec.Struct):
    """The answer to a request of ours."""

    number: Number
    result: msgspec.Raw
    error: Complaint | None = None


class Introduced(msgspec.Struct, rename="camel"):
    """Result of initialize; `user_agent` has the version of the program."""

    user_agent: str = ""


class Thread(msgspec.Struct):
    """A conversation that can be resumed by its id."""

    id: str


class Opened(msgspec.Struct, rename="camel"):
    """Result of thread/start and thread/resume. `instruction_sources`: the files of rules that it loaded."""

    thread: Thread
    model: str = ""
    instruction_sources: Any = None

    @property
    def rules(self) -> tuple[str, ...]:
        """The paths among what it names as such."""
        told = self.instruction_sources if isinstance(self.instruction_sources, list) else []
        return tuple(path for path in told if isinstance(path, str))


class Fault(msgspec.Struct, rename="camel"):
    """What went wrong. `codex_error_info` is a word, or a word with more about it."""

    message: str = ""
    codex_error_info: Any = None
    additional_details: str | None = None


class Turn(msgspec.Struct):
    """`status` is inProgress, completed, interrupted or failed."""

    id: str
    status: str = ""
    error: Fault | None = None


class Begun(msgspec.Struct):
    """Result of turn/start."""

    turn: Turn


class TurnStarted(msgspec.Struct, rename="camel"):
    """A turn begins."""

    turn: Turn
    thread_id: str = ""


class TurnCompleted(msgspec.Struct, rename="camel"):
    """A turn is over."""

    turn: Turn
    thread_id: str = ""


class Action(msgspec.Struct):
    """What the program takes a command for, for people to read; nothing is decided by it."""

    type: str = ""
    path: str | None = None


class ChangeKind(msgspec.Struct):
    """add, delete or update; an update may move the file."""

    type: str = ""
    move_path: str | None = None


class Change(msgspec.Struct):
    """One file of a patch."""

    path: str
    kind: ChangeKind = msgspec.field(default_factory=ChangeKind)


class Item(msgspec.Struct, rename="camel"):
    """What a turn consists of: messages, commands, patches and others."""

    type: str
    id: str
    text: str = ""
    phase: str | None = None
    status: str = ""
    command: str = ""
    command_actions: list[Action] = []
    aggregated_output: str | None = None
    changes: list[Change] = []
    server: str = ""
    tool: str = ""
    query: str = ""
    path: str = ""


class ItemStarted(msgspec.Struct, rename="camel"):
    """An item begins."""

    item: Item
    thread_id: str = ""


class ItemCompleted(msgspec.Struct, rename="camel"):
    """An item is over."""

    item: Item
    thread_id: str = ""


class PatchUpdated(msgspec.Struct, rename="camel"):
    """A patch that was announced has other changes now."""

    item_id: str
    changes: list[Change] = []


class Tokens(msgspec.Struct, rename="camel"):
    """Counts; the input includes what was cached."""

    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    output_tokens: int = 0


class TokenUsage(msgspec.Struct):
    """`last` is what the last request used, `total` what the whole conversation did; `window`: what a context holds."""

    total: Tokens
    last: Tokens
    window: int | None = msgspec.field(default=None, name="modelContextWindow")


class Used(msgspec.Struct, rename="camel"):
    """Usage; it is told again when a conversation is resumed, with the turn that it belonged to."""

    token_usage: TokenUsage
    turn_id: str = ""


class Window(msgspec.Struct, rename="camel"):
    """A limit over some time; `resets_at` in Unix seconds."""

    used_percent: float = 0.0
    resets_at: float | None = None


class Standing(msgspec.Struct, rename="camel"):
    """Where the account stands. All empty for one that pays by use."""

    primary: Window | None = None
    secondary: Window | None = None
    rate_limit_reached_type: str | None = None
    spend_control_reached: bool | None = None


class Limits(msgspec.Struct, rename="camel"):
    """The standing has changed."""

    rate_limits: Standing


class Failed(msgspec.Struct, rename="camel"):
    """A request to the vendor failed; with `will_retry` it is repeated."""

    error: Fault
    will_retry: bool = False
    thread_id: str = ""


class Resolved(msgspec.Struct, rename="camel"):
    """A request of the agent that nobody needs to answer any more."""

    request_id: Number


class CommandAsked(msgspec.Struct, rename="camel"):
    """May a command run, or something be typed into one that runs (`kind`)?"""

    kind: str = "command"
    item_id: str = ""
    command: str | None = None
    reason: str | None = None


class ChangeAsked(msgspec.Struct, rename="camel"):
    """May the patch of an item be applied? `grant_root`: a folder that it wants to write to from now on."""

    item_id: str = ""
    grant_root: str | None = None


class Option(msgspec.Struct):
    """A possible answer."""

    label: str = ""


class Question(msgspec.Struct):
    """One question to the person."""

    id: str
    question: str = ""
    options: list[Option] | None = None


class InputAsked(msgspec.Struct):
    """Questions, answered all at once."""

    questions: list[Question] = []


class ToolMeta(msgspec.Struct):
    """What a form of a tool server is about."""

    codex_approval_kind: str = ""
    tool_name: str = ""


class FormAsked(msgspec.Struct, rename="camel"):
    """A tool server's form for the person; the program asks in this way too whether a tool of it may be called."""

    server_name: str = ""
    meta: ToolMeta | None = msgspec.field(default=None, name="_meta")

    @property
    def asks_for_a_call(self) -> bool:
        """Whether it is the program that asks."""
        return self.meta is not None and self.meta.codex_approval_kind == "mcp_tool_call"


class Working(msgspec.Struct):
    """A part of an item came: words, thoughts, what a command says."""


Notice: TypeAlias = (
    TurnStarted
    | TurnCompleted
    | ItemStarted
    | ItemCompleted
    | PatchUpdated
    | Used
    | Limits
    | Failed
    | Resolved
    | Working
)
Asked: TypeAlias = CommandAsked | ChangeAsked | InputAsked | FormAsked

NOTICES: dict[str, type[Notice]] = {
    "turn/started": TurnStarted,
    "turn/completed": TurnCompleted,
    "item/started": ItemStarted,
    "item/completed": ItemCompleted,
    "item/fileChange/patchUpdated": PatchUpdated,
    "thread/tokenUsage/updated": Used,
    "account/rateLimits/updated": Limits,
    "error": Failed,
    "serverRequest/resolved": Resolved,
}

REQUESTS: dict[str, type[Asked]] = {
    "item/commandExecution/requestApproval": CommandAsked,
    "item/fileChange/requestApproval": ChangeAsked,
    "item/tool/requestUserInput": InputAsked,
    "mcpServer/elicitation/request": FormAsked,
}


class Request(msgspec.Struct):
    """A request of the agent. `asked` is None for what is not offered, or cannot be read."""

    number: Number
    method: str
    asked: Asked | None = None


def decoded(line: bytes) -> Answer | Request | Notice | None:
    """The message, or None for a notice that does not matter. Raises ValueError when it is not the protocol."""
    try:
        head = msgspec.json.decode(line, type=Head)
        if not head.method:
            return _answer(head)
        if head.id is None:
            kind = NOTICES.get(head.method) or (Working if head.method.startswith("item/") else None)
            return None if kind is None else msgspec.json.decode(head.params, type=kind)
    except RecursionError as error:
        raise ValueError("too deep") from error
    return Request(head.id, head.method, _asked(head))


def _answer(head: Head) -> Answer:
    if head.id is None:
        raise ValueError("neither a message nor an answer")
    return Answer(head.id, head.result, head.error)


def _asked(head: Head) -> Asked | None:
    """What is asked. One that cannot be read is refused, not dropped: the agent would wait for ever."""
    kind = REQUESTS.get(head.method)
    try:
        return None if kind is None else msgspec.json.decode(head.params, type=kind)
    except (ValueError, RecursionError):
        return None


def request(id: str, method: str, params: dict[str, object]) -> Send:
    """A request of ours; the agent answers to the same id."""
    return _send(id, {"id": id, "method": method, "params": params})


def notification(id: str, method: str) -> Send:
    """A message of ours that is not answered."""
    return _send(id, {"method": method})


def result(number: Number, value: Mapping[str, object]) -> Send:
    """Our answer to a request of the agent."""
    return _send(f"reply:{number}", {"id": number, "result": dict(value)})


def refusal(number: Number, method: str) -> Send:
    """Our answer to a request for what is not offered."""
    error = {"code": -32601, "message": f"'{method}' is not offered"}
    return _send(f"reply:{number}", {"id": number, "error": error})


def text_input(*texts: str) -> list[dict[str, str]]:
    """What a turn is begun with."""
    return [{"type": "text", "text": text} for text in texts]


def _send(id: str, message: dict[str, object]) -> Send:
    return Send(id, json.dumps(message, separators=(",", ":")).encode() + b"\n")
