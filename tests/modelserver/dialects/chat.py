"""The OpenAI Chat Completions dialect, streamed and whole: what most servers of local models speak."""

import json
import re
from collections.abc import Sequence
from typing import Any

from ..http1 import Request, Response
from ..scenario import Error, Message, Turn
from ..tools import ToolCall
from . import Asked

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "invalid_request_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


class Chat:
    """POST /v1/chat/completions."""

    name = "chat"

    def accepts(self, request: Request) -> bool:
        """See Dialect."""
        return request.method == "POST" and request.path.endswith("/chat/completions")

    def asked(self, request: Request) -> Asked:
        """See Dialect."""
        body = json.loads(request.body)
        spoken = [(str(item["role"]), _text(item.get("content"))) for item in body["messages"]]
        return Asked(
            model=body.get("model", ""),
            session=request.headers.get("x-session-affinity", request.headers.get("x-session-id", "")),
            stream=bool(body.get("stream")),
            messages=[Message(role, text) for role, text in spoken if role in ("user", "assistant")],
            tools=[tool["function"]["name"] for tool in body.get("tools") or []],
            system="\n".join(text for _, text in spoken),
            wants_json=(body.get("response_format") or {}).get("type", "text") != "text",
        )

    def plain(self, request: Request) -> Any:
        """See Dialect."""
        return None

    async def begin(self, asked: Asked, turn: Turn, calls: Sequence[ToolCall], serial: int, to: Response) -> None:
        """See Dialect."""
        if not asked.stream:
            return
        await to.start_events(turn.headers)
        await _chunk(to, asked, serial, {"role": "assistant", "content": ""})
        for part in re.findall(r".{1,40}", turn.thinking, re.DOTALL):
            await _chunk(to, asked, serial, {"reasoning_content": part})
        for part in re.findall(r".{1,40}", turn.text, re.DOTALL):
            await _chunk(to, asked, serial, {"content": part})
        for index, call in enumerate(_calls(calls, serial)):
            told = call["function"]
            begun = {**call, "index": index, "function": {**told, "arguments": ""}}
            await _chunk(to, asked, serial, {"tool_calls": [begun]})
            more = {"index": index, "function": {"arguments": told["arguments"]}}
            await _chunk(to, asked, serial, {"tool_calls": [more]})

    async def finish(self, asked: Asked, turn: Turn, calls: Sequence[ToolCall], serial: int, to: Response) -> None:
        """See Dialect."""
        stop = turn.stop or ("tool_calls" if calls else "stop")
        if not asked.stream:
            message = {"role": "assistant", "content": turn.text or None}
            message |= {"tool_calls": _calls(calls, serial)} if calls else {}
            choice = {"index": 0, "message": message, "finish_reason": stop, "logprobs": None}
            whole = {**_head(asked, serial, "chat.completion"), "choices": [choice], "usage": _usage(turn)}
            return await to.json(200, whole, turn.headers)
        await _chunk(to, asked, serial, {}, stop)
        await to.data({**_head(asked, serial, "chat.completion.chunk"), "choices": [], "usage": _usage(turn)})
        await to.data("[DONE]")
        await to.end_events()

    async def fail(self, error: Error, to: Response) -> None:
        """See Dialect."""
        kind = error.type or ERROR_TYPES.get(error.status, "server_error")
        data = {"message": error.message, "type": kind, "param": None, "code": kind, **error.details}
        await to.json(error.status, {"error": data}, error.headers)


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(part.get("text", "") for part in parts if part.get("type") == "text")


def _head(asked: Asked, serial: int, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{serial:08d}", "object": kind, "created": 0, "model": asked.model}


async def _chunk(to: Response, asked: Asked, serial: int, delta: dict[str, Any], stop: str | None = None) -> None:
    choice = {"index": 0, "delta": delta, "finish_reason": stop}
    await to.data({**_head(asked, serial, "chat.completion.chunk"), "choices": [choice]})


def _calls(calls: Sequence[ToolCall], serial: int) -> list[dict[str, Any]]:
    listed = []
    for number, call in enumerate(calls):
        function = {"name": call.name, "arguments": json.dumps(dict(call.args))}
        listed.append({"id": f"call_{serial:06d}{number:02d}", "type": "function", "function": function})
    return listed


def _usage(turn: Turn) -> dict[str, Any]:
    """As this vendor counts: what was cached is part of the input."""
    told = turn.usage
    whole = told.input + told.cache_read + told.cache_write
    details = {"prompt_tokens_details": {"cached_tokens": told.cache_read}}
    counts = {"prompt_tokens": whole, "completion_tokens": told.output, "total_tokens": whole + told.output}
    return {**counts, **details}
