"""Agents that have a process of their own for each turn. A small program of ours (heddle.relay) stands before them.

The conversation here decides what the relay starts, so it lies in the transcript and its replay like any message. What
the agents' streams mean differs: one module for each format, `gemini` and `command` (any program at all).
"""

from heddle.adapters.agents.turns.adapter import TurnsAgent
from heddle.adapters.agents.turns.command import CommandReader
from heddle.adapters.agents.turns.conversation import TurnsConversation
from heddle.adapters.agents.turns.gemini import GeminiReader

__all__ = ["CommandReader", "GeminiReader", "TurnsAgent", "TurnsConversation"]
