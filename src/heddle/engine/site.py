"""What the engine is given: one repository with what is needed to work in it, and the fleet's shared things."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from heddle.core.extent import Disk
from heddle.core.settings import Settings
from heddle.ports import Agent, Clock, Repository, Workspaces


@dataclass(frozen=True, slots=True)
class Site:
    """A repository and the maker of its workspaces."""

    repository: Repository
    workspaces: Workspaces


class SettingsSource(Protocol):
    """Where a repository's settings come from; the engine does not know of files."""

    async def settings(self, repository: Repository, commit: str) -> Settings:
        """The settings at a commit. Raises SetupError with the key and what is wrong."""
        ...


class Agents(Protocol):
    """The agents this machine knows."""

    def agent(self, name: str) -> Agent:
        """An agent by its brand. Raises SetupError(slug="unknown-agent") with the known names."""
        ...


class Room(Protocol):
    """What the machine has left."""

    def missing(self, memory_mb: int) -> str:
        """Why there is no room for a process of that size now; "" when there is."""
        ...

    def disk(self) -> Disk | None:
        """What is left of the disk that workspaces lie on; None where that cannot be told."""
        ...


@dataclass(frozen=True, slots=True)
class Outside:
    """All that the engine reaches beyond itself."""

    site: Callable[[str], Awaitable[Site]]
    settings: SettingsSource
    agents: Agents
    texts: Mapping[str, str]
    clock: Clock
    tier: int
    room: Room
