"""Commands of agents that run unseen."""

import pytest

from heddle.core import cycle


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """No check is ever new."""
    monkeypatch.setattr(cycle, "_fresh_checks", lambda run, world: ())
