"""Agents that speak the Agent Client Protocol, version 1: JSON-RPC, one message per line in both directions.

The codec is ours and lenient: what it does not know changes nothing. It is proved against the official SDK
as its peer (tests/support/sdk_agent.py) and against the rehearsal agent.
"""

from heddle.adapters.agents.acp.adapter import AcpAgent
from heddle.adapters.agents.acp.conversation import AcpConversation

__all__ = ["AcpAgent", "AcpConversation"]
