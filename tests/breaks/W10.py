"""A journal that keeps what fitted on the disk and calls the rest a failure like any other."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from heddle.adapters.journal.sqlite import SqliteJournal
from heddle.core.errors import HeddleError, OutsideError


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fitted of a batch is committed, and nobody learns that there is no room."""

    @contextmanager
    def piecemeal(self: SqliteJournal) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise vague(error, self._path) from error

    def vague(error: sqlite3.Error, path: Path) -> HeddleError:
        return OutsideError("something failed", slug="failed")

    monkeypatch.setattr(SqliteJournal, "_transaction", piecemeal)
