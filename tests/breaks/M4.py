"""A queue in which the safer one goes first, however long another waits."""

import pytest

from heddle.core import train


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is ever overtaken too often."""
    monkeypatch.setattr(train, "OVERTAKEN", 10**9)
