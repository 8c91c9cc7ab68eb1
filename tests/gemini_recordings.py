"""Recorded sessions of the real Gemini CLI (see record_gemini.py), replayed without it."""

from functools import partial
from importlib.resources import files
from typing import Any

import msgspec

from heddle.adapters.agents.brands import Brand, load_brand
from heddle.adapters.agents.turns import GeminiReader, TurnsConversation
from heddle.core.session import Brief
from support.recordings import entries_of, folders
from support.recordings import replay as replay_with

FOLDERS = folders("gemini")


def brand() -> Brand:
    """The shipped brand, with nothing of this machine in it."""
    shipped, data = load_brand("gemini"), str(files("heddle.data"))
    return msgspec.structs.replace(shipped, command=tuple(part.replace(data, "/data") for part in shipped.command))


def conversation(brief: Brief) -> TurnsConversation:
    """A fresh one."""
    return TurnsConversation(brief, brand(), GeminiReader)


def recording(name: str) -> list[dict[str, Any]]:
    """The entries of a recording of the newest version."""
    return entries_of(FOLDERS[-1] / f"{name}.jsonl")


replay = partial(replay_with, conversation)
"""Feed a fresh conversation with everything that the recorded one was fed with."""
