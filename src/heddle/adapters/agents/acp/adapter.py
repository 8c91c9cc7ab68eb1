"""How an agent that speaks ACP is started."""

from collections.abc import Mapping

from heddle.adapters.agents.acp.conversation import AcpConversation
from heddle.adapters.agents.brands import Brand, reach, screen
from heddle.adapters.agents.version import run_version
from heddle.core.session import Brief
from heddle.ports import Command


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
        return AcpConversation(brief)

    def terminal(self, brief: Brief) -> Command | None:
        """See the port."""
        return screen(self._brand, brief, self._env, reach(self._brand, self._env))

    async def check(self) -> str:
        """See the port."""
        return await run_version(self._brand, self._env)
