"""JSON-RPC lines, and readers that make of anything an agent may send what is expected there, or nothing."""

import json
from typing import Any

from heddle.core.session import Send

Table = dict[str, Any]

PERMISSION = "session/request_permission"
FORM = "elicitation/create"


def decoded(line: bytes) -> Table | None:
    """A request, a notification or an answer; None when the line is not the protocol."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict):
        return None
    if "method" not in message:
        return message if "id" in message and ("result" in message or "error" in message) else None
    if message["method"] == PERMISSION and not isinstance(message.get("id"), str | int):
        return None
    return message if isinstance(message["method"], str) else None


def table(value: object) -> Table:
    """A JSON object; anything else is an empty one."""
    return value if isinstance(value, dict) else {}


def tables(value: object) -> list[Table]:
    """The objects in a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def word(value: object) -> str:
    """A text; anything else is an empty one."""
    return value if isinstance(value, str) else ""


def complaint(error: object) -> str:
    """What an error says. Many agents tell what happened only in its data."""
    data = table(error).get("data")
    told = word(data) or word(table(data).get("details")) or word(table(data).get("message"))
    parts = [word(table(error).get("message")) or "an error without a message", told]
    return ": ".join(part for part in parts if part)[:2000]


def request(id: str, number: int, method: str, params: Table) -> Send:
    """A request of ours; the agent answers to `number`."""
    return _send(id, {"id": number, "method": method, "params": params})


def notification(id: str, method: str, params: Table) -> Send:
    """A message of ours that is not answered."""
    return _send(id, {"method": method, "params": params})


def answer(id: str, number: object, result: Table) -> Send:
    """Our answer to a request of the agent."""
    return _send(id, {"id": number, "result": result})


def refusal(id: str, number: object) -> Send:
    """Our answer to a request for what is not offered."""
    return _send(id, {"id": number, "error": {"code": -32601, "message": "not offered"}})


def _send(id: str, message: Table) -> Send:
    return Send(id, json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
