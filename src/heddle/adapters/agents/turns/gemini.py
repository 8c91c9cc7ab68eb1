"""The stream of Gemini CLI (`--output-format stream-json`) and of programs that speak it.

Its limits are told in prose alone: what is not known from the exit status stays unknown. The status of an answer of its
vendor is the exit status modulo 256.
"""

from collections.abc import Iterator
from typing import Any, TypeAlias

import msgspec

from heddle.adapters.agents.turns.conversation import SAMPLE, unhappy
from heddle.adapters.agents.turns.wire import End
from heddle.core.session import (
    AgentReady,
    Fact,
    Garbled,
    LimitKind,
    LimitSeen,
    Said,
    ToolCalled,
    ToolEnded,
    TurnEnded,
    TurnOutcome,
    Usage,
    UsageReported,
)

AUTHENTICATION = 41
"""The exit status by which it says that it has no credential that it could use."""

STATUSES = {status % 256: status for status in (401, 402, 403, 429, 500, 502, 503, 504, 529)}
"""Exit statuses that mean a limit of the vendor, when the stream tells an error too."""


class Head(msgspec.Struct):
    """What tells the kinds of lines apart."""

    type: str


class Init(msgspec.Struct):
    """A turn begins."""

    session_id: str = ""
    model: str = ""


class Message(msgspec.Struct):
    """A piece of what was said, by role."""

    role: str = ""
    content: str = ""


class ToolUse(msgspec.Struct):
    """A tool is called."""

    tool_name: str = ""
    tool_id: str = ""
    parameters: dict[str, Any] = {}


class ToolResult(msgspec.Struct):
    """A tool has ended."""

    tool_id: str = ""
    status: str = ""
    output: str | None = None


class Fault(msgspec.Struct):
    """What went wrong, in prose."""

    message: str = ""


class Tokens(msgspec.Struct):
    """Usage of the turn; cached tokens are among those of the input, thoughts are told in the total alone."""

    total_tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached: int = 0


class Result(msgspec.Struct):
    """The turn is over."""

    status: str = ""
    error: Fault | None = None
    stats: Tokens | None = None


Line: TypeAlias = Init | Message | ToolUse | ToolResult | Fault | Result

_LINES: dict[str, type[Line]] = {
    "init": Init,
    "message": Message,
    "tool_use": ToolUse,
    "tool_result": ToolResult,
    "error": Fault,
    "result": Result,
}

_KINDS = {
    "read_file": "read",
    "read_many_files": "read",
    "list_directory": "search",
    "glob": "search",
    "grep_search": "search",
    "search_file_content": "search",
    "replace": "edit",
    "write_file": "edit",
    "run_shell_command": "run",
    "web_fetch": "fetch",
    "google_web_search": "fetch",
    "write_todos": "think",
    "update_topic": "think",
    "activate_skill": "think",
}


def decoded(line: str) -> Line | None:
    """The line, or None for a kind that does not matter. Raises ValueError when it is not the protocol."""
    kind = _LINES.get(msgspec.json.decode(line, type=Head).type)
    return None if kind is None else msgspec.json.decode(line, type=kind)


class GeminiReader:
    """See Reader."""

    def __init__(self) -> None:
        self._said = ""
        self._result: Result | None = None
        self._fault = ""

    def heard(self, line: str) -> Iterator[Fact]:
        """See Reader."""
        try:
            told = decoded(line)
        except (ValueError, RecursionError):
            yield Garbled(line[:SAMPLE])
            return
        match told:
            case Init(session_id, model):
                yield AgentReady(session_id, model)
            case Message(role, content):
                self._said += content if role == "assistant" else ""
            case ToolUse():
                yield from self._spoken()
                self._said = ""
                yield _called(told)
            case ToolResult(id, status, output):
                yield ToolEnded(id, status == "success", (output or "")[:SAMPLE])
            case Fault(message):
                self._fault = message
            case Result():
                self._result = told
            case None:
                return

    def _spoken(self) -> Iterator[Fact]:
        if self._said.strip():
            yield Said(self._said)

    def ended(self, end: End) -> Iterator[Fact]:
        """See Reader. A turn has ended when the program says so, whatever became of the program afterwards."""
        yield from self._spoken()
        result = self._result
        if result is not None and (usage := _usage(result.stats)) is not None:
            yield UsageReported(usage)
        if result is not None and result.status == "success" and (end.code == 0 or end.why):
            yield TurnEnded(TurnOutcome.ENDED, self._said)
            return
        error = (result.error.message if result is not None and result.error is not None else "") or self._fault
        limit = None if end.why else _limit(end.code, error)
        if limit is not None:
            yield limit
            yield TurnEnded(TurnOutcome.LIMITED, "", error or end.told)
        elif error and not end.why:
            yield TurnEnded(TurnOutcome.FAILED, "", error)
        else:
            yield unhappy(end, self._said)


def _limit(code: int | None, error: str) -> LimitSeen | None:
    if code == AUTHENTICATION:
        return LimitSeen(LimitKind.AUTHENTICATION, error or "the program has no credential that it could use")
    status = STATUSES.get(code or 0)
    return LimitSeen(LimitKind.UNKNOWN, f"status {status}: {error}") if status and error else None


def _called(use: ToolUse) -> ToolCalled:
    named = (use.parameters.get(key) for key in ("file_path", "absolute_path", "path", "dir_path"))
    paths = tuple(path for path in named if isinstance(path, str) and path)
    telling = (use.parameters.get(key) for key in ("command", "pattern", "query", "prompt", "title"))
    about = next((text for text in telling if isinstance(text, str)), "") or next(iter(paths), "")
    title = " ".join(f"{use.tool_name} {about}".split())
    return ToolCalled(use.tool_id, _KINDS.get(use.tool_name, "other"), title, paths)


def _usage(stats: Tokens | None) -> Usage | None:
    """What is neither input nor output was thought, and counts as output; nothing when nothing is told."""
    if stats is None or not stats.total_tokens:
        return None
    output = max(stats.output_tokens, stats.total_tokens - stats.input_tokens)
    cached = min(max(stats.cached, 0), max(stats.input_tokens, 0))
    return Usage(max(stats.input_tokens, 0) - cached, max(output, 0), cached)
