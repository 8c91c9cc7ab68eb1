"""The Anthropic Messages dialect, streamed and whole."""

import json
import re
from collections.abc import Sequence
from typing import Any

from ..http1 import Request, Response
from ..scenario import Error, Message, Turn
from ..tools import ToolCall
from . import Asked

REMINDER = re.compile(r"<system-reminder>.*?</system-reminder>\s*", re.DOTALL)
"""What the agent's program adds to a prompt; it is nobody's words, so it chooses no scenario."""

FILLER = "No response requested."
"""What the program puts into the model's mouth where a killed turn had none; it counts as no turn."""

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}


class Anthropic:
    """POST /v1/messages."""

    name = "anthropic"

    def accepts(self, request: Request) -> bool:
        """See Dialect."""
        return request.method == "POST" and request.path.endswith("/v1/messages")

    def asked(self, request: Request) -> Asked:
        """See Dialect."""
        body = json.loads(request.body)
        spoken = [(str(item["role"]), _text(item.get("content"))) for item in body["messages"]]
        return Asked(
            model=body.get("model", ""),
            session=request.headers.get("x-claude-code-session-id", ""),
            stream=bool(body.get("stream")),
            messages=[Message(role, REMINDER.sub("", text)) for role, text in spoken if text != FILLER],
            tools=[tool["name"] for tool in body.get("tools") or [] if "name" in tool],
            system=_text(body.get("system")) + "\n" + "\n".join(text for _, text in spoken),
            wants_json="output_config" in body or "output_format" in body,
        )

    def plain(self, request: Request) -> Any:
        """See Dialect."""
        if request.path.endswith("/v1/messages/count_tokens"):
            return {"input_tokens": len(request.body) // 4}
        if request.method == "GET" and request.path.endswith("/v1/models"):
            return {"data": [], "has_more": False, "first_id": None, "last_id": None}
        return None

    async def begin(self, asked: Asked, turn: Turn, calls: Sequence[ToolCall], serial: int, to: Response) -> None:
        """See Dialect."""
        if not asked.stream:
            return
        await to.start_events(_headers(turn, serial))
        message = _message(asked, turn, serial) | {"content": [], "stop_reason": None}
        await to.event("message_start", {"type": "message_start", "message": message})
        for index, block in enumerate(_blocks(turn, calls, serial)):
            empty, deltas = _deltas(block)
            await _event(to, "content_block_start", index=index, content_block=empty)
            for delta in deltas:
                await _event(to, "content_block_delta", index=index, delta=delta)
            await _event(to, "content_block_stop", index=index)

    async def finish(self, asked: Asked, turn: Turn, calls: Sequence[ToolCall], serial: int, to: Response) -> None:
        """See Dialect."""
        stop = turn.stop or ("tool_use" if calls else "end_turn")
        if not asked.stream:
            message = _message(asked, turn, serial)
            message |= {"content": _blocks(turn, calls, serial), "stop_reason": stop}
            message["usage"]["output_tokens"] = turn.usage.output
            return await to.json(200, message, _headers(turn, serial))
        ending = {"stop_reason": stop, "stop_sequence": None}
        await _event(to, "message_delta", delta=ending, usage={"output_tokens": turn.usage.output})
        await _event(to, "message_stop")
        await to.end_events()

    async def fail(self, error: Error, to: Response) -> None:
        """See Dialect."""
        kind = error.type or ERROR_TYPES.get(error.status, "api_error")
        data = {
            "type": "error",
            "error": {"type": kind, "message": error.message},
            "request_id": "req_scripted",
        }
        await to.json(error.status, data, error.headers)


async def _event(to: Response, name: str, **data: Any) -> None:
    await to.event(name, {"type": name, **data})


def _text(content: Any) -> str:
    """The text of a content value; what tools returned is left out, it is nobody's prompt."""
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    return "\n".join(block.get("text", "") for block in blocks if block.get("type") == "text")


def _headers(turn: Turn, serial: int) -> dict[str, str]:
    return {"request-id": f"req_{serial:08d}", **turn.headers}


def _message(asked: Asked, turn: Turn, serial: int) -> dict[str, Any]:
    usage = {
        "input_tokens": turn.usage.input,
        "cache_creation_input_tokens": turn.usage.cache_write,
        "cache_read_input_tokens": turn.usage.cache_read,
        "output_tokens": 1,  # as the real API: the true count comes with the end of the message
    }
    whole = {"id": f"msg_{serial:08d}", "type": "message", "role": "assistant", "model": asked.model}
    return {**whole, "stop_sequence": None, "usage": usage}


def _blocks(turn: Turn, calls: Sequence[ToolCall], serial: int) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if turn.thinking:
        blocks.append({"type": "thinking", "thinking": turn.thinking, "signature": "scripted"})
    if turn.text:
        blocks.append({"type": "text", "text": turn.text})
    for number, call in enumerate(calls):
        name = f"toolu_{serial:06d}{number:02d}"
        blocks.append({"type": "tool_use", "id": name, "name": call.name, "input": dict(call.args)})
    return blocks


def _deltas(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """(the block as it starts, its deltas)."""
    match block["type"]:
        case "text":
            parts = re.findall(r".{1,40}", block["text"], re.DOTALL)
            return {"type": "text", "text": ""}, [{"type": "text_delta", "text": part} for part in parts]
        case "thinking":
            return {"type": "thinking", "thinking": "", "signature": ""}, [
                {"type": "thinking_delta", "thinking": block["thinking"]},
                {"type": "signature_delta", "signature": block["signature"]},
            ]
        case _:
            text = json.dumps(block["input"])
            return block | {"input": {}}, [{"type": "input_json_delta", "partial_json": text}]
