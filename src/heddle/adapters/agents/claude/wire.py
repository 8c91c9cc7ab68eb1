"""The lines of Claude Code's stream as far as they matter here. The rest is ignored: it may change."""

import json
from typing import Any, TypeAlias

import msgspec

Input: TypeAlias = dict[str, Any]
"""The arguments of a tool call: the tool's own shape."""


class Head(msgspec.Struct):
    """What tells the kinds of lines apart."""

    type: str = ""
    subtype: str = ""


class Init(msgspec.Struct):
    """A turn begins; repeated in each turn of a conversation."""

    session_id: str
    model: str = ""
    claude_code_version: str = ""


class State(msgspec.Struct):
    """running, requires_action or idle. Only idle says that a turn is over: results may follow results."""

    state: str = ""


class Retry(msgspec.Struct):
    """A request to the vendor failed and is repeated; no status means that there was no answer at all."""

    error_status: int | None = None
    error: str | None = None
    attempt: int = 0
    max_retries: int = 0


class Refusal(msgspec.Struct):
    """A tool call was refused without asking."""

    tool_name: str = ""
    tool_use_id: str = ""


class Block(msgspec.Struct):
    """A part of a message: text, tool_use or tool_result."""

    type: str = ""
    text: str = ""
    id: str = ""
    name: str = ""
    input: Input = {}
    tool_use_id: str = ""
    content: Any = None
    is_error: bool | None = None


class Tokens(msgspec.Struct):
    """Usage of one message, or of the main conversation in one result; subagents are missing from that."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0


class Message(msgspec.Struct):
    """The body of what was spoken."""

    content: str | list[Block] = ""
    model: str = ""
    usage: Tokens | None = None

    def blocks(self) -> list[Block]:
        """The parts; a bare text is one part."""
        return [Block(type="text", text=self.content)] if isinstance(self.content, str) else self.content


class Assistant(msgspec.Struct):
    """The model spoke. `error`: the program put words in its mouth because the vendor failed."""

    message: Message = msgspec.field(default_factory=Message)
    parent_tool_use_id: str | None = None
    error: str | None = None


class User(msgspec.Struct):
    """What the model was told: tool results, mostly."""

    message: Message = msgspec.field(default_factory=Message)


class RateLimitInfo(msgspec.Struct):
    """`resetsAt` in Unix seconds."""

    status: str = ""
    resetsAt: float | None = None
    rateLimitType: str | None = None


class RateLimit(msgspec.Struct):
    """Where the account stands."""

    rate_limit_info: RateLimitInfo = msgspec.field(default_factory=RateLimitInfo)


class Asked(msgspec.Struct):
    """What the agent wants of its host."""

    subtype: str = ""
    tool_name: str = ""
    input: Input = {}


class ControlRequest(msgspec.Struct):
    """A request that must be answered."""

    request_id: str
    request: Asked = msgspec.field(default_factory=Asked)


class Cancelled(msgspec.Struct):
    """A request of the agent that nobody needs to answer any more."""

    request_id: str = ""


class Working(msgspec.Struct):
    """A command, a subagent or the model itself came further."""


class ModelUsage(msgspec.Struct, rename="camel"):
    """Usage of one model since the last result, subagents included."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    usd: float | None = msgspec.field(default=None, name="costUSD")
    basis: str = msgspec.field(default="", name="costBasis")
    window: int = msgspec.field(default=0, name="contextWindow")


class Result(msgspec.Struct):
    """A run of the model ended. `subtype` is "success" even when the vendor refused: look at `is_error`."""

    subtype: str = ""
    is_error: bool = False
    result: str | None = None
    errors: list[str] = []
    terminal_reason: str | None = None
    api_error_status: int | None = None
    total_cost_usd: float | None = None
    usage: Tokens | None = None
    model_usage_since_last_result: dict[str, ModelUsage] | None = None

    @property
    def aborted(self) -> bool:
        """Whether it was interrupted: by us, or by a refusal that ends the turn."""
        return (self.terminal_reason or "").startswith("aborted")


Line: TypeAlias = (
    Init | State | Retry | Refusal | Assistant | User | RateLimit | ControlRequest | Cancelled | Working | Result
)

_SYSTEM: dict[str, type[Line]] = {
    "init": Init,
    "session_state_changed": State,
    "api_retry": Retry,
    "permission_denied": Refusal,
    "task_started": Working,
    "task_progress": Working,
    "task_notification": Working,
}

_LINES: dict[str, type[Line]] = {
    "assistant": Assistant,
    "user": User,
    "rate_limit_event": RateLimit,
    "control_request": ControlRequest,
    "control_cancel_request": Cancelled,
    "stream_event": Working,
    "tool_progress": Working,
    "result": Result,
}


def decoded(line: bytes) -> Line | None:
    """The line, or None for a kind that does not matter. Raises ValueError when it is not the protocol."""
    try:
        head = msgspec.json.decode(line, type=Head)
        if not head.type:
            raise ValueError("no type")
        kind = _SYSTEM.get(head.subtype) if head.type == "system" else _LINES.get(head.type)
        return None if kind is None else msgspec.json.decode(line, type=kind)
    except RecursionError as error:
        raise ValueError("too deep") from error


def encoded(message: dict[str, object]) -> bytes:
    """A message for the agent's input."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def user_message(text: str) -> bytes:
    """A prompt."""
    return encoded({"type": "user", "message": {"role": "user", "content": text}, "parent_tool_use_id": None})


def control_request(id: str, subtype: str) -> bytes:
    """A request of ours."""
    return encoded({"type": "control_request", "request_id": id, "request": {"subtype": subtype}})


def granted(id: str, input: Input) -> bytes:
    """Permission, with the arguments that the call is to be made with."""
    return _answer(id, {"behavior": "allow", "updatedInput": input})


def refused(id: str, why: str, *, end: bool = False) -> bytes:
    """No permission; `end` also ends the turn, without another word of the model."""
    return _answer(id, {"behavior": "deny", "message": why, **({"interrupt": True} if end else {})})


def unsupported(id: str, subtype: str) -> bytes:
    """The answer to a request that is not ours to answer: without one the agent would wait for ever."""
    response = {"subtype": "error", "request_id": id, "error": f"'{subtype}' is not supported"}
    return encoded({"type": "control_response", "response": response})


def _answer(id: str, response: dict[str, object]) -> bytes:
    body = {"subtype": "success", "request_id": id, "response": response}
    return encoded({"type": "control_response", "response": body})
