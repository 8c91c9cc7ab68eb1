"""A journal that keeps what fitted on the disk and calls the rest a failure like any other; a disk that nobody watches."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from heddle.adapters.journal.sqlite import SqliteJournal
from heddle.adapters.sandbox.headroom import Headroom
from heddle.core.errors import HeddleError, OutsideError


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fitted of a batch is committed, nobody learns that there is no room, and sessions write on."""
    monkeypatch.setattr(Headroom, "disk", lambda self: None)

    @contextmanager
    def piecemeal(self: SqliteJournal) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise vague(error, self._path) from error

    def vague(error: sqlite3.Error, path: Path) -> HeddleError:
        return OutsideError("something failed", slug="failed")

    monkeypatch.setattr(SqliteJournal, "_transaction", piecemeal)
