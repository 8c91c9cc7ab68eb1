"""What went wrong in SQLite, told as an error of ours with its next step."""

import os
import sqlite3
from pathlib import Path

from heddle.core.errors import HeddleError, OutsideError, SetupError

KEEP_ASIDE = "put a backup in its place, or keep it aside and begin a new one with: heddle daemon start --keep-aside"

LEAST_ROOM = 1 << 20
"""Bytes below which a failed write is taken for a full disk: a journal that opens needs some of them at once."""


def failure(error: sqlite3.Error, path: Path) -> HeddleError:
    """journal-busy, disk-full, journal-unreadable, or journal-failed for the rest."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return OutsideError(
            f"the journal '{path}' is busy: another process is writing to it",
            slug="journal-busy",
            hint="try again; see: heddle doctor",
            program="sqlite",
        )
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and not _has_room(path)):
        return OutsideError(
            f"no room for the journal '{path}'; nothing was written",
            slug="disk-full",
            hint="make room on the disk; work goes on by itself",
            program="sqlite",
        )
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return unreadable(path, str(error))
    return OutsideError(
        f"the journal '{path}' failed: {error}", slug="journal-failed", hint="see: heddle doctor", program="sqlite"
    )


def unreadable(path: Path, why: str) -> SetupError:
    """The file is damaged or no journal. It stays as it is until a person decides: nothing begins anew by itself."""
    return SetupError(
        f"the journal '{path}' could not be read ({why}); it was left untouched",
        slug="journal-unreadable",
        hint=KEEP_ASIDE,
    )


def _has_room(path: Path) -> bool:
    """SQLite tells some writes that found no room as an I/O error like any other; the file system knows better."""
    try:
        room = os.statvfs(path.parent)
    except OSError:
        return True
    return room.f_bavail * room.f_frsize >= LEAST_ROOM
