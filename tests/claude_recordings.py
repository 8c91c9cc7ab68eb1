"""Recorded sessions of the real Claude Code (see record_claude.py), replayed without it."""

from functools import partial
from typing import Any

from heddle.adapters.agents.claude import ClaudeConversation
from support.recordings import entries_of, folders, sent
from support.recordings import replay as replay_with

__all__ = ["FOLDERS", "recording", "replay", "sent"]

FOLDERS = folders("claude")
replay = partial(replay_with, ClaudeConversation)


def recording(name: str) -> list[dict[str, Any]]:
    """The entries of a recording of the newest version."""
    return entries_of(FOLDERS[-1] / f"{name}.jsonl")
