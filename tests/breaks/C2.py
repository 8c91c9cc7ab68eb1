"""A journal that answers contention with nothing."""

import sqlite3
from pathlib import Path

import pytest

from heddle.adapters.journal import opening, sqlite
from heddle.adapters.journal.sqlite import SqliteJournal
from heddle.core.errors import OutsideError
from heddle.ports import Fence


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease that could not be asked for is taken by another, and a locked file is an empty journal."""
    open_database, claim = sqlite.open_database, SqliteJournal.claim

    def empty(path: Path) -> sqlite3.Connection:
        try:
            return open_database(path)
        except OutsideError:
            connection = sqlite3.connect(":memory:", isolation_level=None)
            opening.migrate(connection)
            return connection

    async def nothing(self: SqliteJournal, name: str, owner: str, ttl_s: float) -> Fence | None:
        try:
            return await claim(self, name, owner, ttl_s)
        except OutsideError:
            return None

    monkeypatch.setattr(sqlite, "open_database", empty)
    monkeypatch.setattr(SqliteJournal, "claim", nothing)
