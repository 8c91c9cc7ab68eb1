"""Waits without a reason."""

import pytest

from heddle.core.cycle import Wait, Who
from heddle.engine import fleet


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every wait is for nothing in particular."""
    real = fleet.decide

    def mute(*args: object) -> object:
        decision = real(*args)  # type: ignore[arg-type]
        return Wait(Who.NOBODY, "", "") if isinstance(decision, Wait) else decision

    monkeypatch.setattr(fleet, "decide", mute)
