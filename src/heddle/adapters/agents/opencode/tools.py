"""What opencode does and asks, in Heddle's words."""

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from heddle.adapters.agents.opencode.wire import PermissionTold, Question
from heddle.core.session import OWN, TOOLS_SERVER, AnswerAsked, PermissionAsked

KINDS = {
    "read": "read",
    "list": "read",
    "external_directory": "read",  # what is done there is asked for besides
    "glob": "search",
    "grep": "search",
    "lsp": "search",
    "edit": "edit",
    "write": "edit",
    "multiedit": "edit",
    "apply_patch": "edit",
    "bash": "run",
    "webfetch": "fetch",
    "websearch": "fetch",
    "todowrite": "think",
    "skill": "think",
    "question": "think",
}
"""Of its tools and its permissions alike; a tool of a server has its own name, and is other, or Heddle's own."""

LOOP = "doom_loop"
"""The same call three times in a row."""

_TITLES = ("command", "filePath", "path", "pattern", "url", "query", "description", "name")
_PATCHED = re.compile(r"^\*\*\* (?:Add File|Update File|Delete File|Move to): (.+)$", re.MULTILINE)


def kind_of(tool: str) -> str:
    """read, edit, run, search, fetch, think, own or other."""
    return OWN if tool.startswith(f"{TOOLS_SERVER}_") else KINDS.get(tool, "other")


def paths_of(given: Mapping[str, Any]) -> tuple[str, ...]:
    """The paths that a call names."""
    named = [given.get("filePath"), given.get("path")]
    patch = given.get("patchText")
    named += _PATCHED.findall(patch) if isinstance(patch, str) else []
    return _texts(named)


def title_of(tool: str, given: Mapping[str, Any]) -> str:
    """The call in one line for people."""
    told = next((text for name in _TITLES if isinstance(text := given.get(name), str) and text), "")
    told = told or ", ".join(paths_of(given))
    shown = told if kind_of(tool) == "run" else f"{tool} {told}"
    return " ".join(shown.split()) or tool


def permission_asked(told: PermissionTold, tree: str) -> PermissionAsked:
    """What is asked for. An edit is judged by all that it writes, also by where it moves files to."""
    kind = kind_of(told.permission)
    command = told.metadata.get("command")
    command = command if kind == "run" and isinstance(command, str) else ""
    paths = _written(told, tree) if kind == "edit" else ()
    what = command or ", ".join(paths or told.patterns)
    title = what if kind == "run" and what else f"{told.permission} {what}"
    return PermissionAsked(told.id, kind, " ".join(title.split()), paths, command)


def _written(told: PermissionTold, tree: str) -> tuple[str, ...]:
    files = told.metadata.get("files")
    listed = [file for file in files if isinstance(file, dict)] if isinstance(files, list) else []
    named = [file.get(name) for file in listed for name in ("filePath", "movePath")]
    if not listed:
        named = [told.metadata.get("filepath")]
    paths = _texts([*named, *told.patterns])
    return tuple(dict.fromkeys(posixpath.normpath(posixpath.join(tree, path)) for path in paths))


def _texts(values: Sequence[object]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if isinstance(value, str) and value))


@dataclass(slots=True)
class Questions:
    """The questions of one request, answered one by one: the agent gets its answers with the last of them."""

    id: str
    listed: Sequence[Question]
    answers: dict[str, str] = field(default_factory=dict)

    def asked(self) -> list[AnswerAsked]:
        """One fact per question; the first bears the request's id, a further one a number after it."""
        facts = []
        for place, question in enumerate(self.listed, start=1):
            options = tuple(option.label for option in question.options)
            default = next((option for option in options if _RECOMMENDED.search(option)), "")
            facts.append(AnswerAsked(self._name(place), question.question, options, default))
        return facts

    def answer(self, request: str, text: str) -> list[list[str]] | None:
        """Take an answer; all of them in their order when this was the last one."""
        self.answers[request] = text
        names = [self._name(place) for place in range(1, len(self.listed) + 1)]
        if not all(name in self.answers for name in names):
            return None
        return [[self.answers[name]] for name in names]

    def _name(self, place: int) -> str:
        return self.id if place == 1 else f"{self.id}#{place}"


_RECOMMENDED = re.compile(r"\(recommended\)", re.IGNORECASE)
