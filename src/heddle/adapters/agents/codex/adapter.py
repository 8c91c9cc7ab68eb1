"""How Codex is started, and with what it is kept from running what the repository brought along."""

import json
from collections.abc import Mapping
from typing import Literal

from heddle.adapters.agents.brands import Brand, handed_on, reach
from heddle.adapters.agents.codex.conversation import CodexConversation
from heddle.adapters.agents.version import run_version
from heddle.core.session import TOOLS, TOOLS_TOKEN, Access, Brief, RulesSeen
from heddle.ports import Command

KEY = "CODEX_API_KEY"
"""The variable with a key for this agent alone, as `codex exec` takes it; its login file is for where that can be seen."""

ENDPOINT = "OPENAI_BASE_URL"

SETTINGS = (
    "check_for_update_on_startup=false",
    "analytics.enabled=false",
    "suppress_unstable_features_warning=true",
    f'shell_environment_policy.exclude=["{KEY}"]',  # its commands need no credential
    "agents.enabled=false",  # one session is one conversation
    "features.default_mode_request_user_input=true",  # it may ask the person
    "features.unbounded_connection_retries=false",  # an outage is told, and ends the turn
)

WITHHELD = (
    "apps",
    "daemon_auto_start",  # nothing outlives its session
    "goals",  # it would begin turns by itself
    "memories",  # other sessions of the person are none of its business
    "plugins",
    "remote_plugin",
    "skill_mcp_dependency_install",  # a repository's skills are text; what they want installed is not
    "sleep_tool",
    "tool_suggest",
)
"""Features that an agent of ours is not offered."""

SANDBOXES = {Access.READ: "read-only", Access.WRITE: "danger-full-access"}
"""For its own screen: where it may write, Heddle's sandbox encloses it."""

PROVIDER = "heddle"

SERVED = (
    f'mcp_servers.heddle.url="http://{TOOLS}/mcp"',
    f'mcp_servers.heddle.bearer_token_env_var="{TOOLS_TOKEN}"',
    'mcp_servers.heddle.default_tools_approval_mode="approve"',
)
"""The tools that Heddle serves the session."""


class CodexAgent:
    """The Agent port for Codex. Of `environment` it hands on what the brand allows, nothing else."""

    def __init__(self, brand: Brand, environment: Mapping[str, str]) -> None:
        self.name = brand.name
        self.capabilities, self.memory_mb = brand.capabilities, brand.memory_mb
        self._brand = brand
        self._env = handed_on(brand, environment)
        self._reach = reach(brand, environment)

    def command(self, brief: Brief) -> Command:
        """See the port."""
        return self._started(brief, "app-server", (), "pipe")

    def terminal(self, brief: Brief) -> Command:
        """See the port. What it may do is asked of the person then, as its own screen does."""
        asks = "-c", 'approval_policy="on-request"', "-c", f'sandbox_mode="{SANDBOXES[brief.access]}"'
        return self._started(brief, "resume", (*asks, brief.resume), "terminal")

    def _started(self, brief: Brief, verb: str, more: tuple[str, ...], stdin: Literal["pipe", "terminal"]) -> Command:
        settings = (*SETTINGS, *(f"features.{name}=false" for name in WITHHELD), *self._vendor(), distrust(brief.tree))
        settings += SERVED if brief.tools else ()
        argv = (*self._brand.command, verb, *(word for setting in settings for word in ("-c", setting)), *more)
        to = self._reach
        return Command(
            brief.session, argv, "", self._env, stdin=stdin, hosts=to.hosts, near=to.near, forwards=to.forwards
        )

    def _vendor(self) -> tuple[str, ...]:
        """Whom it talks to: as its own configuration says, unless the environment has a key or an endpoint for it."""
        endpoint = self._env.get(ENDPOINT, "")
        if KEY not in self._env:
            return (f"openai_base_url={text(endpoint)}",) if endpoint else ()
        told = {"name": "OpenAI", "env_key": KEY, "wire_api": "responses"} | (
            {"base_url": endpoint} if endpoint else {}
        )
        provider = (f"model_providers.{PROVIDER}.{key}={text(value)}" for key, value in told.items())
        return (f"model_provider={text(PROVIDER)}", *provider)

    def conversation(self, brief: Brief) -> CodexConversation:
        """See the port."""
        return CodexConversation(brief)

    def told_rules(self, data: bytes) -> tuple[RulesSeen, ...]:
        """See the port: it leaves nothing."""
        return ()

    async def check(self) -> str:
        """See the port."""
        return await run_version(self._brand)


def distrust(tree: str) -> str:
    """Keeps the repository's configuration, MCP servers, hooks and command rules from being loaded (X5).

    It is said of the very folder, so it holds also where the person trusts the repository that it belongs to. Left unsaid,
    the program would trust it by itself, and write that down in the person's own configuration.
    """
    return f'projects={{{text(tree)}={{trust_level="untrusted"}}}}'


def text(value: str) -> str:
    """A TOML string."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
