"""The real Claude Code under test."""

import os
import shutil

import msgspec

from heddle.adapters.agents.brands import load_brand
from heddle.adapters.agents.claude import ClaudeAgent


def program() -> str:
    """The program under test: $HEDDLE_TEST_CLAUDE, else the one on PATH."""
    found = os.environ.get("HEDDLE_TEST_CLAUDE") or shutil.which("claude")
    assert found, "Claude Code is not there: put 'claude' on PATH or name it in HEDDLE_TEST_CLAUDE"
    return found


def agent(url: str, **environment: str) -> ClaudeAgent:
    """The agent as wired for a model server at `url`; a dummy key unless told otherwise."""
    found = program()
    brand = msgspec.structs.replace(load_brand("claude"), command=(found,), version_command=(found, "--version"))
    return ClaudeAgent(brand, {"ANTHROPIC_BASE_URL": url, **(environment or {"ANTHROPIC_API_KEY": "test"})})
