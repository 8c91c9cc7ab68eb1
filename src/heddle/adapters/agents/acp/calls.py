"""What is known of the agent's tool calls. Each message about a call tells a part; what was told before still holds."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from heddle.adapters.agents.acp.wire import Table, table, tables, word
from heddle.core.session import Fact, ToolCalled, ToolEnded

KINDS = {
    "read": "read",
    "edit": "edit",
    "delete": "edit",
    "move": "edit",
    "search": "search",
    "execute": "run",
    "think": "think",
    "fetch": "fetch",
}
DETAIL = 200


@dataclass(slots=True)
class Call:
    """A tool call so far. `told`: the kind and the paths that facts have told of it."""

    kind: str = "other"
    title: str = ""
    paths: tuple[str, ...] = ()
    raw: object = None
    told: tuple[str, frozenset[str]] | None = None
    ended: bool = False

    @property
    def command(self) -> str:
        """The command as it will run, or as it is called when the agent does not tell; empty when it is none."""
        given = table(self.raw).get("command")
        if isinstance(given, list):
            return shlex.join(str(part) for part in given)
        return word(given) or (self.title if self.kind == "run" else "")


class Calls:
    """All tool calls of a session by their id."""

    def __init__(self) -> None:
        self._known: dict[str, Call] = {}

    def learn(self, told: Table) -> Call:
        """The call with what a message adds to it. Paths that were named stay named: scope is judged by all of them."""
        call = self._known.setdefault(word(told.get("toolCallId")), Call())
        call.kind = KINDS.get(word(told.get("kind")), call.kind)
        call.title = word(told.get("title")) or call.title
        call.raw = told.get("rawInput") or call.raw
        call.paths = tuple(dict.fromkeys((*call.paths, *_paths(told))))
        return call

    def heard(self, update: Table) -> Iterator[Fact]:
        """The facts of a tool_call or tool_call_update: what is new in it, and the end of the call once."""
        id, call = word(update.get("toolCallId")), self.learn(update)
        kind, known = call.told or ("", frozenset())
        fresh = call.paths if kind != call.kind else tuple(path for path in call.paths if path not in known)
        if kind != call.kind or fresh:
            call.told = (call.kind, frozenset(call.paths))
            yield ToolCalled(id, call.kind, call.title, fresh)
        status = update.get("status")
        if status in ("completed", "failed") and not call.ended:
            call.ended = True
            yield ToolEnded(id, status == "completed", _detail(update))


def _paths(told: Table) -> list[str]:
    places = [place.get("path") for place in tables(told.get("locations"))]
    changed = [part.get("path") for part in tables(told.get("content")) if part.get("type") == "diff"]
    return [word(path) for path in (*places, *changed) if word(path)]


def _detail(told: Table) -> str:
    parts = [word(table(part.get("content")).get("text")) for part in tables(told.get("content"))]
    return "\n".join(part for part in parts if part)[:DETAIL]
