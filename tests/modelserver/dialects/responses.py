"""The OpenAI Responses dialect, streamed and whole."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from ..http1 import Request, Response
from ..scenario import Error, Message, Turn
from ..tools import ToolCall
from . import Asked

ADDED = re.compile(r"\s*(?:<(\w+)>.*</\1>|# AGENTS\.md instructions.*)\s*", re.DOTALL)
"""A message of the person that the agent's program made up whole: it is nobody's words, so it chooses no scenario."""

MODEL_ITEMS = ("reasoning", "function_call", "custom_tool_call", "local_shell_call", "web_search_call")
"""What the model said beside messages; all that stands together is one answer of it."""

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "invalid_request_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_exceeded",
    529: "server_is_overloaded",
}


class Responses:
    """POST /v1/responses."""

    name = "responses"

    def accepts(self, request: Request) -> bool:
        """See Dialect."""
        return request.method == "POST" and request.path.endswith("/responses")

    def asked(self, request: Request) -> Asked:
        """See Dialect."""
        body = json.loads(request.body)
        items = body.get("input") or []
        items = [{"role": "user", "content": items}] if isinstance(items, str) else items
        tools = [*(body.get("tools") or []), *(tool for item in items for tool in item.get("tools") or [])]
        told = [_text(item.get("content")) for item in items]
        return Asked(
            model=body.get("model", ""),
            session=request.headers.get("session-id", request.headers.get("session_id", "")),
            stream=bool(body.get("stream")),
            messages=list(_messages(items)),
            tools=list(_tool_names(tools)),
            system="\n".join((body.get("instructions") or "", *told)),
            wants_json=bool((body.get("text") or {}).get("format")),
        )

    def plain(self, request: Request) -> Any:
        """See Dialect."""
        return {"models": []} if request.method == "GET" and "client_version=" in request.query else None

    async def begin(self, asked: Asked, turn: Turn, calls: Sequence[ToolCall], serial: int, to: Response) -> None:
        """See Dialect."""
        if not asked.stream:
            return
        await to.start_events(turn.headers)
        await _event(to, "response.created", response=_response(asked, serial, "in_progress"))
        for index, item in enumerate(_items(turn, calls, serial)):
            await _event(to, "response.output_item.added", output_index=index, item=_begun(item))
            if item["type"] == "message":
                place = {"output_index": index, "item_id": item["id"], "content_index": 0}
                await _event(to, "response.content_part.added", **place, part={"type": "output_text", "text": ""})
                for part in re.findall(r".{1,40}", turn.text, re.DOTALL):
                    await _event(to, "response.output_text.delta", **place, delta=part)
            await _event(to, "response.output_item.done", output_index=index, item=item)

    async def finish(self, asked: Asked, turn: Turn, calls: Sequence[ToolCall], serial: int, to: Response) -> None:
        """See Dialect."""
        whole = _response(asked, serial, "completed")
        whole |= {"output": _items(turn, calls, serial), "usage": _usage(turn), "end_turn": not calls}
        if not asked.stream:
            return await to.json(200, whole, turn.headers)
        await _event(to, "response.completed", response=whole)
        await to.end_events()

    async def fail(self, error: Error, to: Response) -> None:
        """See Dialect."""
        kind = error.type or ERROR_TYPES.get(error.status, "server_error")
        data = {"type": kind, "code": kind, "message": error.message, "param": None, **error.details}
        await to.json(error.status, {"error": data}, error.headers)


def _messages(items: Sequence[dict[str, Any]]) -> Iterator[Message]:
    """The conversation. What the model says without being answered in between is one message of it."""
    speaking = False
    for item in items:
        role = item.get("role", "")
        if role == "assistant" or item.get("type") in MODEL_ITEMS:
            if not speaking:
                yield Message("assistant", _text(item.get("content")))
            speaking = True
            continue
        speaking = False
        text = _text(item.get("content"))
        if role == "user" and not ADDED.fullmatch(text):
            yield Message("user", text)


def _tool_names(tools: Sequence[dict[str, Any]]) -> Iterator[str]:
    for tool in tools:
        name = tool.get("name", tool["type"])
        inner = tool.get("tools")
        yield from (f"{name}/{one}" for one in _tool_names(inner)) if inner else (name,)


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(part.get("text", "") for part in parts if part.get("type") in ("input_text", "output_text"))


async def _event(to: Response, name: str, **data: Any) -> None:
    await to.event(name, {"type": name, **data})


def _response(asked: Asked, serial: int, status: str) -> dict[str, Any]:
    whole = {"id": f"resp_{serial:08d}", "object": "response", "created_at": 0, "status": status}
    return {**whole, "model": asked.model, "output": [], "usage": None}


def _usage(turn: Turn) -> dict[str, Any]:
    """As this vendor counts: what was cached is part of the input."""
    told = turn.usage
    whole = told.input + told.cache_read + told.cache_write
    return {
        "input_tokens": whole,
        "input_tokens_details": {"cached_tokens": told.cache_read, "cache_write_tokens": told.cache_write},
        "output_tokens": told.output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": whole + told.output,
    }


def _items(turn: Turn, calls: Sequence[ToolCall], serial: int) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if turn.thinking:
        told = {"summary": [{"type": "summary_text", "text": turn.thinking}], "encrypted_content": "scripted"}
        items.append({"type": "reasoning", "id": f"rs_{serial:08d}", **told})
    if turn.text:
        content = [{"type": "output_text", "text": turn.text, "annotations": []}]
        items.append({"type": "message", "id": f"msg_{serial:08d}", "role": "assistant", "content": content})
    return items + [_call(call, f"{serial:06d}{number:02d}") for number, call in enumerate(calls)]


def _call(call: ToolCall, number: str) -> dict[str, Any]:
    namespace, _, name = call.name.rpartition("/")
    item = {"call_id": f"call_{number}", "name": name, "status": "completed"}
    item |= {"namespace": namespace} if namespace else {}
    if call.text is not None:
        return {"type": "custom_tool_call", "id": f"ctc_{number}", "input": call.text, **item}
    return {"type": "function_call", "id": f"fc_{number}", "arguments": json.dumps(dict(call.args)), **item}


def _begun(item: dict[str, Any]) -> dict[str, Any]:
    """An item as it is announced."""
    return item | {key: type(item[key])() for key in ("content", "arguments", "input") if key in item}
