"""A board that makes up its own status."""

import pytest

from heddle.api import desk
from heddle.core.views import Row


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows say running whatever the one function says."""
    import dataclasses

    real = desk.row

    def invented(*args: object) -> Row:
        return dataclasses.replace(real(*args), why="busy")  # type: ignore[arg-type]

    monkeypatch.setattr(desk, "row", invented)
