"""The dialect of the Gemini API: generateContent, streamed and whole."""

import json
import re
from collections.abc import Sequence
from typing import Any

from ..http1 import Request, Response
from ..scenario import Error, Message, Turn
from ..tools import ToolCall
from . import Asked

PATH = re.compile(r"/models/([^/:]+):(generateContent|streamGenerateContent)$")
STATUSES = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 429: "RESOURCE_EXHAUSTED"}
QUOTA = "type.googleapis.com/google.rpc.QuotaFailure"


class Gemini:
    """POST /v1beta/models/MODEL:streamGenerateContent and :generateContent."""

    name = "gemini"

    def accepts(self, request: Request) -> bool:
        """See Dialect."""
        return request.method == "POST" and PATH.search(request.path) is not None

    def asked(self, request: Request) -> Asked:
        """See Dialect. The API knows no conversations, so `session` is empty."""
        found = PATH.search(request.path)
        assert found is not None
        body = json.loads(request.body)
        told = [(str(item.get("role", "user")), _text(item.get("parts"))) for item in body.get("contents") or []]
        declared = [one for tool in body.get("tools") or [] for one in tool.get("functionDeclarations") or []]
        config = body.get("generationConfig") or {}
        return Asked(
            model=found.group(1),
            session="",
            stream=found.group(2) == "streamGenerateContent",
            messages=[Message("assistant" if role == "model" else "user", text) for role, text in told],
            tools=[tool["name"] for tool in declared],
            system=_text((body.get("systemInstruction") or {}).get("parts"))
            + "\n"
            + "\n".join(text for _, text in told),
            wants_json="responseSchema" in config or "responseJsonSchema" in config,
        )

    def plain(self, request: Request) -> Any:
        """See Dialect."""
        if request.method == "POST" and request.path.endswith(":countTokens"):
            return {"totalTokens": len(request.body) // 4}
        return None

    async def begin(self, asked: Asked, turn: Turn, calls: Sequence[ToolCall], serial: int, to: Response) -> None:
        """See Dialect."""
        if not asked.stream:
            return
        await to.start_events(turn.headers)
        for part in _parts(turn, calls, serial):
            await to.event("", _answer(asked, turn, [part], serial))

    async def finish(self, asked: Asked, turn: Turn, calls: Sequence[ToolCall], serial: int, to: Response) -> None:
        """See Dialect."""
        stop = turn.stop or "STOP"
        if not asked.stream:
            return await to.json(200, _answer(asked, turn, _parts(turn, calls, serial), serial, stop), turn.headers)
        await to.event("", _answer(asked, turn, [{"text": ""}], serial, stop))
        await to.end_events()

    async def fail(self, error: Error, to: Response) -> None:
        """See Dialect. A `type` is the quota that was used up."""
        status = STATUSES.get(error.status, "UNAVAILABLE" if error.status == 503 else "INTERNAL")
        told: dict[str, Any] = {"code": error.status, "message": error.message, "status": status}
        if error.type:
            told["details"] = [{"@type": QUOTA, "violations": [{"quotaId": error.type}]}]
        await to.json(error.status, {"error": told}, error.headers)


def _text(parts: Any) -> str:
    """The text of parts; what tools returned and what was thought is left out, it is nobody's prompt."""
    listed = parts if isinstance(parts, list) else []
    return "\n".join(part.get("text", "") for part in listed if not part.get("thought") and "text" in part)


def _parts(turn: Turn, calls: Sequence[ToolCall], serial: int) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [{"text": turn.thinking, "thought": True}] if turn.thinking else []
    parts += [{"text": text} for text in re.findall(r".{1,40}", turn.text, re.DOTALL)]
    for number, call in enumerate(calls):
        told = {"id": f"call_{serial:06d}{number:02d}", "name": call.name, "args": dict(call.args)}
        parts.append({"functionCall": told, "thoughtSignature": "c2NyaXB0ZWQ="})
    return parts


def _answer(asked: Asked, turn: Turn, parts: list[dict[str, Any]], serial: int, stop: str = "") -> dict[str, Any]:
    """One whole answer, or a piece of a streamed one; each piece tells the usage of all."""
    candidate = {"content": {"role": "model", "parts": parts}, "index": 0} | ({"finishReason": stop} if stop else {})
    usage = {
        "promptTokenCount": turn.usage.input + turn.usage.cache_read,  # as the real API: cached tokens are among them
        "candidatesTokenCount": turn.usage.output,
        "cachedContentTokenCount": turn.usage.cache_read,
        "totalTokenCount": turn.usage.input + turn.usage.cache_read + turn.usage.output,
    }
    whole = {"candidates": [candidate], "usageMetadata": usage}
    return {**whole, "modelVersion": asked.model, "responseId": f"answer-{serial}"}
