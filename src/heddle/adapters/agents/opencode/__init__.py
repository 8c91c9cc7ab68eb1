"""opencode through its server: HTTP and a stream of events, one server for each session, inside of its sandbox.

A relay stands between (heddle.relay.served): requests and events are lines of its standard streams. What binds us was
measured against the real program and is kept by recorded streams (tests/fixtures/opencode-*): idle may be told twice for
one turn, and the retries of a request bear no status.
"""

from heddle.adapters.agents.opencode.adapter import OpencodeAgent
from heddle.adapters.agents.opencode.conversation import OpencodeConversation

__all__ = ["OpencodeAgent", "OpencodeConversation"]
