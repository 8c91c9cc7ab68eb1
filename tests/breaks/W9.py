"""A journal that takes what it cannot read for nothing."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from heddle.adapters.journal import sqlite
from heddle.adapters.journal.sqlite import SqliteJournal
from heddle.core.errors import SetupError
from heddle.core.events import Recorded


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be read makes way for an empty one, and a record that cannot be read ends its list."""
    open_database, decoded = sqlite.open_database, SqliteJournal._decoded

    def careless(path: Path) -> sqlite3.Connection:
        try:
            return open_database(path)
        except SetupError:
            for tail in ("", "-wal", "-shm"):
                path.with_name(path.name + tail).unlink(missing_ok=True)
            return open_database(path)

    def short(self: SqliteJournal, rows: list[tuple[Any, ...]]) -> Iterator[Recorded]:
        for row in rows:
            one = list(decoded(self, [row]))
            if not one:
                return
            yield from one

    monkeypatch.setattr(sqlite, "open_database", careless)
    monkeypatch.setattr(SqliteJournal, "_decoded", short)
