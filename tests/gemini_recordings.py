"""Recorded sessions of the real Gemini CLI (see record_gemini.py), replayed without it."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from claude_recordings import Replay
from heddle.adapters.agents.brands import Brand, load_brand
from heddle.adapters.agents.turns import GeminiReader, TurnsConversation
from heddle.core.session import Access, Brief
from heddle.ports import Exit

FOLDERS = sorted((Path(__file__).parent / "fixtures").glob("gemini-*"))


def brand() -> Brand:
    """The shipped brand, with nothing of this machine in it."""
    shipped, data = load_brand("gemini"), str(files("heddle.data"))
    return msgspec.structs.replace(shipped, command=tuple(part.replace(data, "/data") for part in shipped.command))


def conversation(brief: Brief) -> TurnsConversation:
    """A fresh one."""
    return TurnsConversation(brief, brand(), GeminiReader)


def recording(name: str) -> list[dict[str, Any]]:
    """The entries of a recording of the newest version."""
    return [json.loads(line) for line in (FOLDERS[-1] / f"{name}.jsonl").read_text().splitlines()]


def replay(entries: list[dict[str, Any]]) -> Replay:
    """Feed a fresh conversation with everything that the recorded one was fed with."""
    told = entries[0]["brief"]
    brief = Brief(**{**told, "access": Access(told["access"]), "options": tuple(map(tuple, told["options"]))})
    made, heard = conversation(brief), Replay()
    heard.sends += made.open()
    for entry in entries[1:]:
        match entry:
            case {"said": line}:
                heard.take(made.receive(line.encode()))
            case {"prompt": text, "number": number}:
                heard.sends += made.prompt(text, number)
            case {"interrupt": _}:
                heard.sends += made.interrupt()
            case {"exit": exit, "errors": errors}:
                heard.facts += made.exited(Exit(**exit), errors)
    return heard
