"""A machine without end, and a memory that forgets nothing."""

import pytest

from heddle.adapters.sandbox.headroom import Headroom
from heddle.core.events import Recorded
from heddle.engine.runs import Runs


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is always room, and every fact of a session is kept in memory."""
    monkeypatch.setattr(Headroom, "missing", lambda self, memory_mb: "")
    kept: list[Recorded] = []
    real = Runs._count

    def hoarding(self: Runs, record: Recorded, name: str) -> None:
        kept.append(record)
        real(self, record, name)

    monkeypatch.setattr(Runs, "_count", hoarding)
