"""How an agent with a process per turn is started: the relay is, and the conversation tells it the rest."""

import sys
from collections.abc import Callable, Mapping

from heddle.adapters.agents.brands import Brand, handed_on, reach, screen
from heddle.adapters.agents.turns.conversation import Reader, TurnsConversation
from heddle.adapters.agents.version import run_version
from heddle.core.session import Brief, RulesSeen
from heddle.ports import Command

RELAY = (sys.executable, "-I", "-m", "heddle.relay.turns")
"""Isolated: it starts in the repository, whose modules and PYTHONPATH are none of its own."""


class TurnsAgent:
    """The Agent port for brands with a process per turn; `reader` makes what understands one turn's stream.

    Of `environment` it hands on what the brand allows, and what the brand sets.
    """

    def __init__(self, brand: Brand, environment: Mapping[str, str], reader: Callable[[], Reader]) -> None:
        self.name = brand.name
        self.capabilities, self.memory_mb = brand.capabilities, brand.memory_mb
        self._brand, self._reader = brand, reader
        own = handed_on(brand, environment)
        self._env = {**own_env(brand), **own}
        self._reach = reach(brand, own)

    def command(self, brief: Brief) -> Command:
        """See the port."""
        to = self._reach
        return Command(
            brief.session, RELAY, "", self._env, stdin="pipe", hosts=to.hosts, near=to.near, forwards=to.forwards
        )

    def conversation(self, brief: Brief) -> TurnsConversation:
        """See the port."""
        return TurnsConversation(brief, self._brand, self._reader)

    def terminal(self, brief: Brief) -> Command | None:
        """See the port."""
        return screen(self._brand, brief, self._env, self._reach)

    def told_rules(self, data: bytes) -> tuple[RulesSeen, ...]:
        """See the port: it leaves nothing."""
        return ()

    async def check(self) -> str:
        """See the port."""
        return await run_version(self._brand, self._brand.turns.env)


def own_env(brand: Brand) -> dict[str, str]:
    """What the brand itself sets: with it the program is kept from what the repository brought along (X5)."""
    return brand.turns.env
