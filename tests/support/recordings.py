"""Recorded sessions of a real agent program (see record_*.py), replayed without it."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from heddle.core.session import Access, Allow, Answered, Brief, Deny, Fact, Reply, Send
from heddle.ports import Conversation, Exit

FIXTURES = Path(__file__).parents[1] / "fixtures"
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


def folders(agent: str) -> list[Path]:
    """The recordings of an agent, one folder for each version, oldest first."""
    return sorted(FIXTURES.glob(f"{agent}-*"))


def entries_of(path: Path) -> list[dict[str, Any]]:
    """The entries of a recording."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def replay(make: Callable[[Brief], Conversation], entries: list[dict[str, Any]]) -> Replay:
    """Feed a fresh conversation with everything that the recorded one was fed with."""
    conversation, heard = make(_brief(entries[0]["brief"])), Replay()
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
