"""Codex through its app-server: JSON-RPC, one message per line in both directions, one process per session.

What binds us was measured against the real program and is kept by recorded streams (tests/fixtures/codex-*): it runs no
command and changes no file without asking, it marks a repository as trusted by itself unless it is told not to, and what it
reads it reads by commands.
"""

from heddle.adapters.agents.codex.adapter import CodexAgent
from heddle.adapters.agents.codex.conversation import CodexConversation

__all__ = ["CodexAgent", "CodexConversation"]
