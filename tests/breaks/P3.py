"""A scope that covers everything and meets nothing."""

import pytest

from heddle.core.scope import Scope


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing lies outside, and no two scopes have a path in common."""
    monkeypatch.setattr(Scope, "outside", lambda self, paths: ())
    monkeypatch.setattr(Scope, "meeting", lambda self, other: None)
