"""A fleet that takes what it does not know for idle."""

import pytest

from heddle.core.cycle import Wait, Who
from heddle.engine.fleet import Fleet


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that nobody looked at is shown as one that waits for a person."""
    monkeypatch.setattr(Fleet, "decision", lambda self, run: Wait(Who.PERSON, "idle", "idle"))
