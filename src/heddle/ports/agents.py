"""Agents as pure protocol machines, and who runs the work."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from heddle.core.capabilities import Capabilities
from heddle.core.errors import HeddleError
from heddle.core.session import Brief, Fact, Reply, RulesSeen, Send
from heddle.ports.processes import Command, Exit


class Conversation(Protocol):
    """The protocol of one agent as a pure machine: bytes in, facts and messages out. It does no I/O.

    Fed the same transcript and replies it yields the same messages with the same ids, so that a new daemon can
    replay it from the start: the holder takes each id once, hence each request is answered exactly once.
    """

    def open(self) -> list[Send]:
        """The first messages, up to and including the prompt where the protocol allows that."""
        ...

    def receive(self, line: bytes) -> list[Fact | Send]:
        """One line of the transcript (without its newline)."""
        ...

    def reply(self, request: str, reply: Reply) -> list[Send]:
        """The answer to an open PermissionAsked, AnswerAsked or DocumentOffered."""
        ...

    def prompt(self, text: str, number: int) -> list[Send]:
        """A further turn in the same conversation; `number` counts from 2."""
        ...

    def interrupt(self) -> list[Send]:
        """Ask the agent to end its turn."""
        ...

    def exited(self, exit: Exit, errors: str) -> list[Fact]:
        """What the process's end means (a TurnEnded when a turn was open); `errors` is the end of stderr."""
        ...


class Agent(Protocol):
    """A brand of agent."""

    name: str
    capabilities: Capabilities
    memory_mb: int
    """What a session of it takes, about."""

    def command(self, brief: Brief) -> Command:
        """How to start it: argv, env, stdin. `cwd` is "" (the tree)."""
        ...

    def conversation(self, brief: Brief) -> Conversation:
        """A fresh machine for the session of `brief`."""
        ...

    def terminal(self, brief: Brief) -> Command | None:
        """How its own screen is started on the conversation `brief.resume`, for a person; None when it has none."""
        ...

    def told_rules(self, data: bytes) -> tuple[RulesSeen, ...]:
        """What its program left, in the document of the name that session.rules_told gives, about the rules that it loaded;
        anything may be in it.
        """
        ...

    async def check(self) -> str:
        """The version found. Raises SetupError (slug agent-missing or agent-version) with what to do."""
        ...


@dataclass(frozen=True, slots=True)
class AgentFound:
    """A brand as it was looked for on this machine.

    `version`: what its program told, "" when it cannot be asked. `trouble`: why it cannot be used, None when it can.
    `lacks`: why it does not have a capability, by the capability's name, as far as that is known. `own`: it comes from a file of the person's.
    """

    name: str
    protocol: str = ""
    version: str = ""
    trouble: HeddleError | None = None
    capabilities: Capabilities = Capabilities()
    lacks: Mapping[str, str] = field(default_factory=dict)
    memory_mb: int = 0
    own: bool = False


class Dispatcher(Protocol):
    """Runs the work of each key, one at a time per key, and wakes it when facts changed."""

    def submit(self, key: str, work: Callable[[], Awaitable[None]]) -> None:
        """Have `work` running for `key`; nothing happens when it runs already."""
        ...

    def running(self) -> tuple[str, ...]:
        """Keys whose work has not ended."""
        ...

    async def cancel(self, key: str) -> None:
        """Cancel the work of a key and wait until it has ended; no error when there is none."""
        ...

    async def close(self) -> None:
        """Cancel all and wait."""
        ...
