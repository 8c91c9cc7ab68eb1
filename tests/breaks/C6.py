"""Git commands that take optional locks, as git does by default."""

import pytest

from heddle.adapters.git import process


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mere read may lock and rewrite the index."""
    monkeypatch.setattr(process, "FIXED", {**process.FIXED, "GIT_OPTIONAL_LOCKS": "1"})
