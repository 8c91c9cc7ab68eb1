"""How Claude Code is started, and with what it is kept from running what the repository brought along."""

import json
import posixpath
import shlex
import sys
import uuid
from collections.abc import Mapping
from contextlib import suppress
from importlib.resources import files

from heddle.adapters.agents.brands import Brand, handed_on, reach
from heddle.adapters.agents.claude.conversation import ClaudeConversation
from heddle.adapters.agents.claude.tools import OFFER_PLAN, WITHHELD
from heddle.adapters.agents.version import run_version
from heddle.core.session import PRIVATE_HOME, TOOLS_SERVER, TOOLS_TOKEN, TOOLS_URL, Access, Brief, RulesSeen, rules_told
from heddle.ports import Command

HOST = ("-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose")

ENV = {
    "DISABLE_AUTOUPDATER": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS": "1",  # it says itself when a turn is over
    "CLAUDE_CODE_ADDITIONAL_DIRECTORIES_CLAUDE_MD": "1",  # the repository's rules still count: they are text
}

UNAPPROVED = ("--setting-sources=user", "--strict-mcp-config")
"""Keeps the repository's settings (hooks, plugins, environment, permissions), skills, commands, agents and
.mcp.json from being loaded: in this mode the program would run them without asking (X5)."""

SERVED = {
    "mcpServers": {
        TOOLS_SERVER: {
            "type": "http",
            "url": f"${{{TOOLS_URL}}}",
            "headers": {"Authorization": f"Bearer ${{{TOOLS_TOKEN}}}"},
            "alwaysLoad": True,  # few and small: to search for them would cost more
        }
    }
}
"""The tools that Heddle serves the session; the program itself puts in where they are, and the token."""

SETTINGS = {"useAutoModeDuringPlan": False, "permissions": {"disableAutoMode": "disable"}}
"""Nobody but Heddle answers permission requests: else a classifier decides on commands in plan mode."""

SEEDED = (sys.executable, "-I", "-S", str(files("heddle.relay").joinpath("seeded.py")))
"""By its file and isolated: it starts in the repository, whose modules are none of its own."""

SEED = "HEDDLE_SEED"
"""The variable in which heddle.relay.seeded is told what to add."""

KEY_TAIL = 20
"""By so many last characters the program remembers an API key that was approved."""

MOST_RULES = 500
"""Files that are heard of."""

_HOOKED = ("file_path", "load_reason", "parent_file_path", "trigger_file_path")

MODES = {Access.READ: "plan", Access.WRITE: "default"}

NAMESPACE = uuid.UUID("5b1d3c0e-6f0a-5d55-9c39-6a8f1e2f7b60")


class ClaudeAgent:
    """The Agent port for Claude Code. Of `environment` it hands on what the brand allows, nothing else."""

    def __init__(self, brand: Brand, environment: Mapping[str, str]) -> None:
        self.name = brand.name
        self.capabilities, self.memory_mb = brand.capabilities, brand.memory_mb
        self._brand = brand
        self._env = handed_on(brand, environment)
        self._reach = reach(brand, environment)

    def command(self, brief: Brief) -> Command:
        """See the port."""
        argv = [*self._brand.command, *HOST, "--permission-prompt-tool=stdio", *UNAPPROVED]
        settings = {**SETTINGS, "hooks": _tells_rules(brief)}
        argv += [f"--permission-mode={MODES[brief.access]}", f"--settings={json.dumps(settings)}"]
        withheld = WITHHELD if brief.access is Access.READ else (*WITHHELD, OFFER_PLAN)
        argv += [f"--disallowedTools={','.join(withheld)}", f"--add-dir={brief.tree}"]
        argv += [f"--resume={brief.resume}" if brief.resume else f"--session-id={session_id(brief)}"]
        argv += [f"--model={brief.model}"] if brief.model else []
        argv += [f"--mcp-config={json.dumps(SERVED)}", f"--allowedTools=mcp__{TOOLS_SERVER}"] if brief.tools else []
        env, to = {**ENV, **self._env}, self._reach
        return Command(
            brief.session, tuple(argv), "", env, stdin="pipe", hosts=to.hosts, near=to.near, forwards=to.forwards
        )

    def terminal(self, brief: Brief) -> Command:
        """See the port. In a HOME of the session's own the first screens would ask what was answered when the task was
        started; the person's own settings are theirs alone.
        """
        private = PRIVATE_HOME in dict(brief.options)
        argv = [
            *(SEEDED if private else ()),
            *([self._config_file()] if private else ()),
            *self._brand.command,
            *UNAPPROVED,
        ]
        argv += [f"--permission-mode={MODES[brief.access]}", f"--settings={json.dumps(SETTINGS)}"]
        argv += [f"--disallowedTools={','.join(WITHHELD)}", f"--add-dir={brief.tree}", f"--resume={brief.resume}"]
        argv += [f"--model={brief.model}"] if brief.model else []
        known = {"hasCompletedOnboarding": True, "projects": {brief.tree: {"hasTrustDialogAccepted": True}}}
        key = self._env.get("ANTHROPIC_API_KEY")
        known |= {"customApiKeyResponses": {"approved": [key[-KEY_TAIL:]]}} if key else {}
        env, to = {**ENV, **self._env, **({SEED: json.dumps(known)} if private else {})}, self._reach
        return Command(
            brief.session, tuple(argv), "", env, stdin="terminal", hosts=to.hosts, near=to.near, forwards=to.forwards
        )

    def _config_file(self) -> str:
        folder = self._env.get("CLAUDE_CONFIG_DIR", "~")
        return f"{folder}/.claude.json"

    def conversation(self, brief: Brief) -> ClaudeConversation:
        """See the port."""
        return ClaudeConversation(brief)

    def told_rules(self, data: bytes) -> tuple[RulesSeen, ...]:
        """See the port: an object for each call of its hook, one after the other."""
        text, seen = data.decode(errors="replace").lstrip(), list[RulesSeen]()
        with suppress(ValueError, RecursionError):
            while text and len(seen) < MOST_RULES:
                told, end = json.JSONDecoder().raw_decode(text)
                words = [told.get(key) for key in _HOOKED] if isinstance(told, dict) else []
                path, reason, parent, trigger = (word if isinstance(word, str) else "" for word in words or [""] * 4)
                seen += [RulesSeen(path, reason, parent or trigger)] if path else []
                text = text[end:].lstrip()
        return tuple(seen)

    async def check(self) -> str:
        """See the port."""
        return await run_version(self._brand, ENV)


def _tells_rules(brief: Brief) -> dict[str, object]:
    """A hook by which the program tells each file of rules that it loads, and why. The one over its own stream comes too late
    in most sessions: it reads them before it hears which hooks there are.
    """
    told = shlex.quote(posixpath.join(brief.out, rules_told(brief.session)))
    return {"InstructionsLoaded": [{"hooks": [{"type": "command", "command": f"cat >> {told}"}]}]}


def session_id(brief: Brief) -> str:
    """The conversation's id, the same for the same session in the same tree: a restart finds it again."""
    return str(uuid.uuid5(NAMESPACE, f"{brief.session}\n{brief.tree}"))
