"""What the engine is given: one repository with what is needed to work in it, and the fleet's shared things."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from heddle.core.extent import Disk
from heddle.core.settings import Settings
from heddle.ports import (
    Agent,
    AgentFound,
    Clock,
    Maps,
    NoTools,
    Registries,
    Repository,
    SessionTools,
    Workspaces,
    Worktrees,
)


@dataclass(slots=True)
class Made:
    """What is known of a repository's dependency layers: digests by recipe and commit, layers by digest."""

    digests: dict[tuple[str, str], str] = field(default_factory=dict)
    layers: dict[str, str] = field(default_factory=dict)
    _locks: dict[str, asyncio.Lock] = field(default_factory=dict)

    def lock(self, recipe: str) -> asyncio.Lock:
        """One at a time makes a layer by a recipe; whoever comes meanwhile waits for the same one."""
        return self._locks.setdefault(recipe, asyncio.Lock())


@dataclass(frozen=True, slots=True)
class Site:
    """A repository, the maker of its workspaces, and what was installed for them. `max_file_bytes`: a larger file is left
    out of a result.
    """

    repository: Repository
    workspaces: Workspaces
    worktrees: Worktrees
    max_file_bytes: int
    made: Made = field(default_factory=Made)


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

    async def look(self, name: str = "") -> list[AgentFound]:
        """Every brand, or that one, as it is found now. Raises SetupError(slug="unknown-agent")."""
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
    registries: Registries
    maps: Maps
    tools: SessionTools = field(default_factory=NoTools)
