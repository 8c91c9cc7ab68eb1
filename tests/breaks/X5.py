"""Commands that nobody allowed, and an agent that is started as anyone would start it, with all that repository and daemon bring along."""

import pytest

from heddle.adapters.agents import turns
from heddle.adapters.agents.claude import adapter
from heddle.adapters.agents.codex import adapter as codex
from heddle.adapters.agents.opencode import adapter as opencode
from heddle.engine import world


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """The repository's settings and servers are loaded, and the whole environment is handed on."""
    monkeypatch.setattr(adapter, "UNAPPROVED", ())
    monkeypatch.setattr(turns.adapter, "own_env", lambda brand: {})
    monkeypatch.setattr(adapter, "handed_on", lambda brand, environment: dict(environment))
    monkeypatch.setattr(codex, "distrust", lambda tree: "projects={}")
    monkeypatch.setattr(codex, "handed_on", lambda brand, environment: dict(environment))
    monkeypatch.setattr(opencode, "ENV", {})
    monkeypatch.setattr(opencode, "handed_on", lambda brand, environment: dict(environment))
    monkeypatch.setattr(world, "unapproved", lambda settings, approved: ())
