"""Claims that nobody checks."""

import pytest

from heddle.api import adopting, tasks, tracker


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever writes is believed, whatever token they name."""
    for module in (adopting, tasks, tracker):
        monkeypatch.setattr(module, "require_claim", lambda *_: None)
