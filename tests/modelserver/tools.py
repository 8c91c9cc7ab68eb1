"""From an abstract operation to a call of whichever tool the agent offers for it."""

import json
import posixpath
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from .scenario import Edit, Op, Raw, Read, Served, Shell, Turn, Write


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of an agent's own tool; `text` is what a tool is called with that takes no named arguments."""

    name: str
    args: Mapping[str, Any]
    text: str | None = None


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
        return ToolCall(op.name, filled(op.args, fields), filled(op.text, fields))
    for call in (*_claude(op, fields), *_opencode(op, fields), *_codex(op, fields)):
        if call.name in offered:
            return call
    raise Unscripted(f"the agent offers no tool for {op}: {json.dumps(sorted(offered))}")


def _claude(op: Op, fields: Mapping[str, str]) -> list[ToolCall]:
    """Gemini CLI calls the same things otherwise."""
    match op:
        case Read(path):
            return [ToolCall(tool, {"file_path": _absolute(path, fields)}) for tool in ("Read", "read_file")]
        case Write(path, content):
            whole = {"file_path": _absolute(path, fields), "content": filled(content, fields)}
            return [ToolCall(tool, whole) for tool in ("Write", "write_file")]
        case Edit(path, old, new):
            change = {"old_string": filled(old, fields), "new_string": filled(new, fields)}
            change |= {"file_path": _absolute(path, fields)}
            return [ToolCall("Edit", change), ToolCall("replace", {**change, "instruction": "scripted"})]
        case Shell(command):
            told = {"command": filled(command, fields), "description": "scripted"}
            return [ToolCall(tool, told) for tool in ("Bash", "run_shell_command")]
        case Served(name, args):
            return [ToolCall(f"{prefix}heddle{prefix[3:]}{name}", filled(args, fields)) for prefix in ("mcp__", "mcp_")]
        case Raw():
            return []


def _opencode(op: Op, fields: Mapping[str, str]) -> list[ToolCall]:
    match op:
        case Read(path):
            return [ToolCall("read", {"filePath": _absolute(path, fields)})]
        case Write(path, content):
            return [ToolCall("write", {"filePath": _absolute(path, fields), "content": filled(content, fields)})]
        case Edit(path, old, new):
            change = {"oldString": filled(old, fields), "newString": filled(new, fields)}
            return [ToolCall("edit", {"filePath": _absolute(path, fields), **change})]
        case Shell(command):
            return [ToolCall("bash", {"command": filled(command, fields), "description": "scripted"})]
        case Served(name, args):
            return [ToolCall(f"heddle_{name}", filled(args, fields))]
        case Raw():
            return []


def _codex(op: Op, fields: Mapping[str, str]) -> list[ToolCall]:
    """With a model that it knows one tool runs a script that calls the others; else there is a tool for commands alone.

    A patch replaces whole lines, so the texts of an Edit have to be such.
    """
    match op:
        case Read(path):
            return _codex_command(f"cat {shlex.quote(_absolute(path, fields))}")
        case Write(path, content):
            told = filled(content, fields).splitlines()
            return _codex_patch([f"*** Add File: {_absolute(path, fields)}", *(f"+{line}" for line in told)])
        case Edit(path, old, new):
            lines = [f"-{line}" for line in filled(old, fields).splitlines()]
            lines += [f"+{line}" for line in filled(new, fields).splitlines()]
            return _codex_patch([f"*** Update File: {_absolute(path, fields)}", "@@", *lines])
        case Shell(command):
            return _codex_command(filled(command, fields))
        case Served(name, args):
            script = f"{PATIENTLY}text(await tools.mcp__heddle__{name}({json.dumps(filled(args, fields))}));"
            return [ToolCall("functions/exec", {}, script)]
        case Raw():
            return []


PATIENTLY = '// @exec: {"yield_time_ms": 600000}\n'


def _codex_command(command: str) -> list[ToolCall]:
    args = {"cmd": command, "yield_time_ms": 30_000}
    script = f"{PATIENTLY}text(await tools.exec_command({json.dumps(args)}));"
    return [ToolCall("functions/exec", {}, script), ToolCall("exec_command", args)]


def _codex_patch(lines: list[str]) -> list[ToolCall]:
    patch = "\n".join(["*** Begin Patch", *lines, "*** End Patch"])
    script = f"{PATIENTLY}text(await tools.apply_patch({json.dumps(patch)}));"
    command = f"apply_patch <<'PATCH'\n{patch}\nPATCH"
    return [ToolCall("functions/exec", {}, script), ToolCall("exec_command", {"cmd": command})]


def _absolute(path: str, fields: Mapping[str, str]) -> str:
    return posixpath.join(fields.get("cwd", ""), filled(path, fields))
