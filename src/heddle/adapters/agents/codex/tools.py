"""What Codex does and asks, in Heddle's words."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from heddle.adapters.agents.codex.commands import reads_only, script_of
from heddle.adapters.agents.codex.wire import Change, Item, Number, Question
from heddle.core.session import AnswerAsked

KINDS = {
    "commandExecution": "run",
    "fileChange": "edit",
    "mcpToolCall": "other",
    "dynamicToolCall": "other",
    "collabAgentToolCall": "other",
    "imageGeneration": "other",
    "imageView": "read",
    "webSearch": "fetch",
    "sleep": "think",
}
"""The items that are tool calls."""


def kind_of(item: Item) -> str:
    """read, edit, run, search, fetch, think or other; empty for what is no tool call."""
    kind = KINDS.get(item.type, "")
    return command_kind(item.command) if kind == "run" else kind


def command_kind(command: str) -> str:
    """read for what is known to write nothing, else run."""
    return "read" if reads_only(script_of(command)) else "run"


def paths_of(item: Item) -> tuple[str, ...]:
    """The paths that a call names."""
    named = [item.path, *(action.path or "" for action in item.command_actions)]
    return changed(item.changes) or tuple(dict.fromkeys(path for path in named if path))


def changed(changes: Sequence[Change]) -> tuple[str, ...]:
    """All paths that a patch writes, those that it moves files to as well."""
    paths = (path for change in changes for path in (change.path, change.kind.move_path))
    return tuple(dict.fromkeys(path for path in paths if path))


def title_of(item: Item) -> str:
    """The call in one line for people."""
    if item.type == "fileChange":
        return f"edit {', '.join(changed(item.changes))}"
    told = script_of(item.command) or item.query or item.path or f"{item.server} {item.tool}"
    return " ".join(told.split()) or item.type


@dataclass(slots=True)
class Questions:
    """The questions of one request, answered one by one: the agent gets its answer with the last of them."""

    number: Number
    listed: Sequence[Question]
    ids: dict[str, str] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)

    def asked(self) -> list[AnswerAsked]:
        """One fact per question; the first bears the request's id, a further one a number after it."""
        facts = []
        for place, question in enumerate(self.listed, start=1):
            options = tuple(option.label for option in question.options or ())
            default = next((option for option in options if _RECOMMENDED.search(option)), "")
            request = str(self.number) if place == 1 else f"{self.number}#{place}"
            self.ids[request] = question.id
            facts.append(AnswerAsked(request, question.question, options, default))
        return facts

    def answer(self, request: str, text: str) -> dict[str, object] | None:
        """Take an answer; what the agent is told when this was the last one."""
        self.answers[request] = text
        if len(self.answers) < len(self.ids):
            return None
        return {"answers": {self.ids[request]: {"answers": [text]} for request, text in self.answers.items()}}


_RECOMMENDED = re.compile(r"\(recommended\)", re.IGNORECASE)
