"""How opencode is started, and with what it is kept from running what the repository brought along."""

import json
import sys
from collections.abc import Mapping
from importlib.resources import files

from heddle.adapters.agents.brands import Brand, handed_on, reach
from heddle.adapters.agents.opencode.conversation import RULES, OpencodeConversation
from heddle.adapters.agents.opencode.wire import EVENTS
from heddle.adapters.agents.version import run_version
from heddle.core.session import TOOLS_SERVER, TOOLS_TOKEN, TOOLS_URL, Brief, RulesSeen
from heddle.ports import Command

LOCAL = "local"
"""The provider that an endpoint of the person's own is known as: "local/NAME" is its model NAME."""

ENDPOINT, LOCAL_MODEL, LOCAL_KEY = "LOCAL_ENDPOINT", "LOCAL_MODEL", "LOCAL_API_KEY"
OWN_KEY = "OPENCODE_API_KEY"
OWN_SERVICE = "opencode"
VENDORS = (OWN_SERVICE, "anthropic", "openai", "openrouter", "google")

PLACE = str(files("heddle.data.opencode"))
"""Where it is started: a runtime may obey what lies there, so that must not be the repository."""

ENV = {
    "BUN_INSPECT_PRELOAD": f"{PLACE}/guard.js",  # the one thing that keeps it from running the repository's plugins (X5)
    "OPENCODE_DISABLE_PROJECT_CONFIG": "1",  # the repository's opencode.json and .opencode/ (X5)
    "OPENCODE_PURE": "1",  # a plugin could answer in Heddle's place
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "OPENCODE_DISABLE_MODELS_FETCH": "1",  # what it knows of models came with it
    "OPENCODE_DISABLE_SHARE": "1",
    "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
}

SETTINGS: dict[str, object] = {
    "autoupdate": False,
    "share": "disabled",
    "snapshot": False,  # Heddle keeps what was
    "formatter": False,  # they come out of the repository, and nobody is asked
    "lsp": False,
    "permission": {rule["permission"]: rule["action"] for rule in RULES},
    "experimental": {"continue_loop_on_deny": True},  # a refusal is an answer, not the end of the turn
}

SERVED: dict[str, object] = {
    "type": "remote",
    "url": f"{{env:{TOOLS_URL}}}",
    "headers": {"Authorization": f"Bearer {{env:{TOOLS_TOKEN}}}"},
    "oauth": False,
    "timeout": 60_000,  # a tool may wait for a person, and a busy machine for everything
}
"""The tools that Heddle serves the session."""

PASSWORD = "OPENCODE_SERVER_PASSWORD"  # noqa: S105 - the name of a variable
SERVE = ("serve", "--hostname=127.0.0.1", "--port={port}")


class OpencodeAgent:
    """The Agent port for opencode. Of `environment` it hands on what the brand allows, nothing else."""

    def __init__(self, brand: Brand, environment: Mapping[str, str]) -> None:
        self.name = brand.name
        self.capabilities, self.memory_mb = brand.capabilities, brand.memory_mb
        self._brand = brand
        self._env = handed_on(brand, environment)
        self._reach = reach(brand, environment)

    def command(self, brief: Brief) -> Command:
        """See the port."""
        argv = [sys.executable, "-I", "-m", "heddle.relay.served", "--ready=/global/health", "--events=/global/event"]
        argv += [f"--only={','.join(EVENTS)}", f"--password={PASSWORD}", f"--user={OWN_SERVICE}", "--"]
        to = self._reach
        return Command(
            brief.session,
            (*argv, *self._started(), *SERVE),
            "",
            self._environment(brief),
            stdin="pipe",
            hosts=to.hosts,
            near=to.near,
            forwards=to.forwards,
        )

    def terminal(self, brief: Brief) -> Command:
        """See the port. What it may do is asked of the person then, as its own screen does."""
        to = self._reach
        return Command(
            brief.session,
            (*self._started(), brief.tree, f"--session={brief.resume}"),
            "",
            self._environment(brief),
            stdin="terminal",
            hosts=to.hosts,
            near=to.near,
            forwards=to.forwards,
        )

    def _started(self) -> tuple[str, ...]:
        return (sys.executable, "-I", "-m", "heddle.relay.within", PLACE, *self._brand.command)

    def _environment(self, brief: Brief) -> dict[str, str]:
        return {**self._env, **ENV, "OPENCODE_CONFIG_CONTENT": json.dumps(self._settings(brief))}

    def _settings(self, brief: Brief) -> dict[str, object]:
        """Its configuration, on top of the person's own. No key is in it: it names the variables that have them."""
        model = self._model(brief)
        # the rules of the repository are text and count, although its configuration is not loaded
        settings = {**SETTINGS, "instructions": [f"{brief.tree}/AGENTS.md"]}
        settings |= {"model": model, "small_model": model} if model else {}
        if OWN_KEY not in self._env and not model.startswith(f"{OWN_SERVICE}/"):
            settings["disabled_providers"] = [OWN_SERVICE]  # it takes requests without a key, and nobody asked it to
        if brief.tools:
            settings["mcp"] = {TOOLS_SERVER: SERVED}
        endpoint = self._env.get(ENDPOINT, "")
        if endpoint:
            options = {"baseURL": endpoint, "apiKey": f"{{env:{LOCAL_KEY}}}" if LOCAL_KEY in self._env else "none"}
            asked = model.removeprefix(f"{LOCAL}/") if model.startswith(f"{LOCAL}/") else ""
            names = {name for name in (asked, self._env.get(LOCAL_MODEL, "")) if name}
            provider = {"npm": "@ai-sdk/openai-compatible", "name": "Local", "options": options}
            settings["provider"] = {LOCAL: {**provider, "models": {name: {} for name in sorted(names)}}}
        return settings

    def _model(self, brief: Brief) -> str:
        """ "provider/model". With an endpoint of the person's own a plain name is one of its models."""
        local = bool(self._env.get(ENDPOINT))
        asked = brief.model or (self._env.get(LOCAL_MODEL, "") if local else "")
        named = asked.partition("/")[0] in (LOCAL, *VENDORS)
        return asked if not asked or named or not local else f"{LOCAL}/{asked}"

    def conversation(self, brief: Brief) -> OpencodeConversation:
        """See the port."""
        return OpencodeConversation(brief, self._model(brief))

    def told_rules(self, data: bytes) -> tuple[RulesSeen, ...]:
        """See the port: it leaves nothing."""
        return ()

    async def check(self) -> str:
        """See the port."""
        return await run_version(self._brand, ENV)
