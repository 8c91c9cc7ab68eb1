"""What a repository and its person configured, as data that the engine can use without knowing any file."""

from dataclasses import dataclass, field

from heddle.core.contest import player
from heddle.core.cycle import Bounds
from heddle.core.delegation import Delegation
from heddle.core.extent import Extent
from heddle.core.gate import Decider, GateRule, Gates
from heddle.core.recipe import Recipe
from heddle.core.task import Stage, Task

DEFAULT_GATES = Gates((GateRule(Stage.PLAN, Decider.PERSON),))


@dataclass(frozen=True, slots=True)
class AgentRule:
    """Who plays what: `agent` ("brand" or "brand:model") where stage, role and lane fit; an empty one fits all."""

    agent: str
    stage: str = ""
    role: str = ""
    lane: str = ""

    def fits(self, task: Task, stage: Stage) -> bool:
        """Whether it speaks of this stage of this task."""
        pairs = ((self.stage, stage), (self.role, task.role), (self.lane, task.lane))
        return all(wanted in ("", found) for wanted, found in pairs)


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one repository at one commit.

    `checks`, `setup` and `teardown` are shell commands of the repository; they need a person's approval before they run, as
    do those of `dependencies`, which install what its lockfiles name. `role_checks` come on top, by the task's role.
    `hosts`: "name:port" that the person lets them, and sessions, reach. `network`: whether sessions reach more than their
    agent's own hosts. `hooks`: whether the person's own commit hooks judge what would land. `stall_s`: seconds without any
    progress fact after which a turn is ended. `park_s`: seconds for which a session waits for an answer before its process
    is ended and its conversation waits alone; 0: for ever. `session_s`: the longest a session may take; what it is frozen
    does not count. `workspace`: how much may be written in one workspace. `agent_rules`: who plays instead of `agent`; the
    first that fits holds. `fallbacks`: brands to take when one cannot be used; `needs`: capabilities that each must have.
    """

    agent: str = "claude"
    model: str = ""
    agent_rules: tuple[AgentRule, ...] = ()
    fallbacks: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    role_checks: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    teardown: tuple[str, ...] = ()
    dependencies: tuple[Recipe, ...] = ()
    hosts: tuple[str, ...] = ()
    network: bool = True
    hooks: bool = True
    gates: Gates = DEFAULT_GATES
    delegations: tuple[Delegation, ...] = ()
    bounds: Bounds = Bounds()
    sessions: int = 5
    validations: int = 2
    repairs: int = 2
    resumes: int = 2
    stall_s: float = 900.0
    park_s: float = 120.0
    session_s: float = 7200.0
    check_s: float = 1800.0
    transcript_bytes: int = 256 * 1024 * 1024
    workspace: Extent = Extent(10 * 10**9, 500_000)
    test_paths: tuple[str, ...] = field(
        default=(
            "**/test_*",
            "**/*_test.*",
            "**/tests/**",
            "**/test/**",
            "**/conftest.py",
            "**/*.spec.*",
            "**/*.test.*",
            ".github/**",
            ".ci/**",
            "heddle.toml",
        )
    )

    def candidates(self, task: Task, stage: Stage) -> tuple[tuple[str, str], ...]:
        """The agents for a stage of a task as (brand, model), the wanted one first; model "" is the agent's own default."""
        brand, model = player(next((rule.agent for rule in self.agent_rules if rule.fits(task, stage)), ""))
        brand = brand or self.agent
        own = (task.model or self.model) if brand == self.agent else ""  # one brand's model says nothing to another
        first = (brand, model or own)
        return tuple(dict.fromkeys((first, *((name, "") for name in self.fallbacks if name != first[0]))))

    @property
    def agents_wanted(self) -> frozenset[str]:
        """The brands that the person chose, fallbacks aside."""
        return frozenset((self.agent, *(player(rule.agent)[0] for rule in self.agent_rules)))

    @property
    def every_check(self) -> tuple[str, ...]:
        """The repository's checks, and those that the task's role adds."""
        return tuple(dict.fromkeys((*self.checks, *self.role_checks)))

    @property
    def commands(self) -> tuple[str, ...]:
        """All that a person must approve before it runs, each once."""
        installs = (recipe.install for recipe in self.dependencies)
        return tuple(dict.fromkeys((*installs, *self.setup, *self.teardown, *self.every_check)))
