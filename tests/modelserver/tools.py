"""From an abstract operation to a call of whichever tool the agent offers for it."""

import json
import posixpath
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from .scenario import Edit, Op, Raw, Read, Shell, Turn, Write


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of an agent's own tool."""

    name: str
    args: Mapping[str, Any]


class Unscripted(Exception):
    """The agent offers no tool for the operation."""


def filled(value: Any, fields: Mapping[str, str]) -> Any:
    """`value` with `{name}` replaced in every string of it, for the known names only."""
    if isinstance(value, str):
        for name, text in fields.items():
            value = value.replace(f"{{{name}}}", text)
        return value
    if isinstance(value, Mapping):
        return {key: filled(item, fields) for key, item in value.items()}
    return [filled(item, fields) for item in value] if isinstance(value, list | tuple) else value


def tool_calls(turn: Turn, offered: Collection[str], fields: Mapping[str, str]) -> list[ToolCall]:
    """The calls of a turn. Raises Unscripted."""
    return [_tool_call(op, offered, fields) for op in turn.calls]


def _tool_call(op: Op, offered: Collection[str], fields: Mapping[str, str]) -> ToolCall:
    if isinstance(op, Raw):
        return ToolCall(op.name, filled(op.args, fields))
    for tool, args in _candidates(op, fields):
        if tool in offered:
            return ToolCall(tool, args)
    raise Unscripted(f"the agent offers no tool for {op}: {json.dumps(sorted(offered))}")


def _candidates(op: Op, fields: Mapping[str, str]) -> list[tuple[str, dict[str, Any]]]:
    """(tool name, arguments) for each agent program we know."""
    match op:
        case Read(path):
            return [("Read", {"file_path": _absolute(path, fields)})]
        case Write(path, content):
            return [("Write", {"file_path": _absolute(path, fields), "content": filled(content, fields)})]
        case Edit(path, old, new):
            change = {"old_string": filled(old, fields), "new_string": filled(new, fields)}
            return [("Edit", {"file_path": _absolute(path, fields), **change})]
        case Shell(command):
            return [("Bash", {"command": filled(command, fields), "description": "scripted"})]
        case Raw():
            return []


def _absolute(path: str, fields: Mapping[str, str]) -> str:
    return posixpath.join(fields.get("cwd", ""), filled(path, fields))
