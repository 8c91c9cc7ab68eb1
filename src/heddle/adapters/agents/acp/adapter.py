"""How an agent that speaks ACP is started."""

import sys
from collections.abc import Mapping

from heddle.adapters.agents.acp.conversation import AcpConversation
from heddle.adapters.agents.brands import Brand, reach, screen
from heddle.adapters.agents.version import run_version
from heddle.core.session import Brief, RulesSeen
from heddle.ports import Command

SERVED = ({"name": "heddle", "command": sys.executable, "args": ["-I", "-m", "heddle.relay.tools"], "env": []},)
"""The tools that Heddle serves the session, in the one way that every agent knows. Where they are and who may ask stands in
the environment of the agent, where the program finds it: nobody knows the address before the agent runs.
"""


class AcpAgent:
    """The Agent port for any brand that speaks ACP."""

    def __init__(self, brand: Brand, env: Mapping[str, str]) -> None:
        self._brand = brand
        self._env = dict(env)
        self.name = brand.name
        self.capabilities, self.memory_mb = brand.capabilities, brand.memory_mb

    def command(self, brief: Brief) -> Command:
        """See the port."""
        to, argv = reach(self._brand, self._env), self._brand.command
        return Command(
            brief.session, argv, "", self._env, stdin="pipe", hosts=to.hosts, near=to.near, forwards=to.forwards
        )

    def conversation(self, brief: Brief) -> AcpConversation:
        """See the port."""
        return AcpConversation(brief, SERVED if brief.tools and self.capabilities.mcp else ())

    def terminal(self, brief: Brief) -> Command | None:
        """See the port."""
        return screen(self._brand, brief, self._env, reach(self._brand, self._env))

    def told_rules(self, data: bytes) -> tuple[RulesSeen, ...]:
        """See the port: it leaves nothing."""
        return ()

    async def check(self) -> str:
        """See the port."""
        return await run_version(self._brand, self._env)
