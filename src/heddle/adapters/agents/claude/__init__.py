"""Claude Code through its stdio control protocol: one JSON object per line in both directions.

The protocol is the one its SDKs speak. What binds us was measured against the real program and is kept by
recorded streams (tests/fixtures/claude-*): unknown events are ignored, a turn may have several results, sums
are not deltas.
"""

from heddle.adapters.agents.claude.adapter import ClaudeAgent
from heddle.adapters.agents.claude.conversation import ClaudeConversation

__all__ = ["ClaudeAgent", "ClaudeConversation"]
