"""Tasks that nobody knows to be settled."""

import pytest

from heddle.core.run import Run


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """What landed or was closed looks as if it were still to be done."""
    monkeypatch.setattr(Run, "settled_well", property(lambda _: False))
