"""Recorded sessions of the real Codex (see record_codex.py), replayed without it."""

from functools import partial
from typing import Any

from heddle.adapters.agents.codex import CodexConversation
from support.recordings import entries_of, folders, sent
from support.recordings import replay as replay_with

__all__ = ["FOLDERS", "recording", "replay", "sent"]

FOLDERS = folders("codex")
replay = partial(replay_with, CodexConversation)


def recording(name: str) -> list[dict[str, Any]]:
    """The entries of a recording of the newest version."""
    return entries_of(FOLDERS[-1] / f"{name}.jsonl")
