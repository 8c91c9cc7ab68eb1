"""Recorded sessions of the real Claude Code (see record_claude.py), replayed without it."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from heddle.adapters.agents.claude import ClaudeConversation
from heddle.core.session import Access, Allow, Answered, Brief, Deny, Fact, Reply, Send
from heddle.ports import Exit

FOLDERS = sorted((Path(__file__).parent / "fixtures").glob("claude-*"))
F = TypeVar("F")


@dataclass
class Replay:
    """What a conversation made of a recording."""

    facts: list[Fact] = field(default_factory=list)
    sends: list[Send] = field(default_factory=list)

    def of(self, kind: type[F]) -> list[F]:
        """The facts of a kind."""
        return [fact for fact in self.facts if isinstance(fact, kind)]

    def take(self, items: list[Fact | Send]) -> None:
        """Sort what a line yielded."""
        for item in items:
            if isinstance(item, Send):
                self.sends.append(item)
            else:
                self.facts.append(item)


def recording(name: str) -> list[dict[str, Any]]:
    """The entries of a recording of the newest version."""
    return [json.loads(line) for line in (FOLDERS[-1] / f"{name}.jsonl").read_text().splitlines()]


def replay(entries: list[dict[str, Any]]) -> Replay:
    """Feed a fresh conversation with everything that the recorded one was fed with."""
    brief = _brief(entries[0]["brief"])
    conversation, heard = ClaudeConversation(brief), Replay()
    heard.sends += conversation.open()
    for entry in entries[1:]:
        match entry:
            case {"said": line}:
                heard.take(conversation.receive(line.encode()))
            case {"reply": request, "with": kind, **values}:
                heard.sends += conversation.reply(request, _reply(kind, values))
            case {"prompt": text, "number": number}:
                heard.sends += conversation.prompt(text, number)
            case {"interrupt": _}:
                heard.sends += conversation.interrupt()
            case {"exit": exit, "errors": errors}:
                heard.facts += conversation.exited(Exit(**exit), errors)
    return heard


def sent(entries: list[dict[str, Any]]) -> list[Send]:
    """What was sent when it was recorded."""
    return [Send(entry["sent"], entry["data"].encode()) for entry in entries if "sent" in entry]


def _brief(values: dict[str, Any]) -> Brief:
    return Brief(**{**values, "access": Access(values["access"]), "options": tuple(map(tuple, values["options"]))})


def _reply(kind: str, values: dict[str, str]) -> Reply:
    kinds: dict[str, type[Reply]] = {"Allow": Allow, "Deny": Deny, "Answered": Answered}
    return kinds[kind](**values)
