"""Recorded sessions of the real opencode (see record_opencode.py), replayed without it."""

from functools import partial
from typing import Any

from heddle.adapters.agents.opencode import OpencodeConversation
from support.recordings import entries_of, folders, sent
from support.recordings import replay as replay_with

__all__ = ["FOLDERS", "recording", "replay", "sent"]

FOLDERS = folders("opencode")
replay = partial(replay_with, partial(OpencodeConversation, model="local/scripted"))


def recording(name: str) -> list[dict[str, Any]]:
    """The entries of a recording of the newest version."""
    return entries_of(FOLDERS[-1] / f"{name}.jsonl")
