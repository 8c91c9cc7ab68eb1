"""How a journal comes to be, is recognised, brought up to date and, when a person says so, kept aside.

A new file gets its schema before it gets its name. So a file of that name without a schema, an empty one included, is
never a journal that may be filled: it is a damaged one, and it is refused.
"""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib.resources import files
from pathlib import Path

from heddle.adapters.journal.failure import failure, unreadable
from heddle.core.errors import HeddleError, OutsideError, SetupError
from heddle.ports import Clock, SetAside

BUSY_S = 2.0
"""How long a statement waits for another process before it is an error."""


def open_database(path: Path) -> sqlite3.Connection:
    """A connection to the journal at `path`, which is made when there is none.

    Raises SetupError (journal-newer, journal-unreadable), OutsideError (journal-busy, disk-full, journal-failed).
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _make(path)
        with closing(_connect(path, "ro")) as looking:  # a reader leaves a foreign or newer file as it is
            require_readable(looking, path)
        return _ready(path)
    except sqlite3.Error as error:
        raise failure(error, path) from error
    except OSError as error:
        raise _failed(path, error) from error


def require_readable(connection: sqlite3.Connection, path: Path) -> None:
    """Raises SetupError: journal-newer or journal-unreadable. Reads every page, as loading the journal does anyway."""
    present, known = _schema(connection), len(migrations())
    if present > known:
        raise SetupError(
            f"the journal '{path}' has schema {present}; this Heddle knows {known}",
            slug="journal-newer",
            hint="install the Heddle that made it, or a newer one; the journal was left untouched",
        )
    ours = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'events'").fetchone()[0]
    if present == 0 or not ours:
        raise unreadable(path, "it is no journal of Heddle's")
    verdict = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    if verdict != "ok":
        raise unreadable(path, verdict.replace("\n", " "))


def migrations() -> tuple[str, ...]:
    """The texts of data/migrations in order; the schema's number is how many were carried out."""
    folder = files("heddle.data.migrations")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return tuple((folder / name).read_text() for name in names)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the schema up to date, all of it or nothing. Whoever comes second finds it done."""
    scripts = migrations()
    if _schema(connection) >= len(scripts):
        return
    connection.execute("BEGIN IMMEDIATE")
    for script in scripts[_schema(connection) :]:
        for statement in _statements(script):
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {len(scripts)}")
    connection.execute("COMMIT")


def keep_aside(path: Path, clock: Clock, why: str) -> SetAside:
    """Move the file and what belongs to it to kept-aside/, under a name that nothing has there yet."""
    folder = path.parent / "kept-aside"
    folder.mkdir(mode=0o700, exist_ok=True)
    stem, number = f"{path.stem}-{clock.now():.0f}", 1
    while any((folder / f"{stem}-{number}{path.suffix}{tail}").exists() for tail in ("", "-wal")):
        number += 1
    kept = folder / f"{stem}-{number}{path.suffix}"
    for tail in ("-shm", "-wal", ""):
        extra = path.with_name(path.name + tail)
        if extra.exists():
            extra.rename(kept.with_name(kept.name + tail))
    return SetAside(f"journal '{path.name}'", str(kept), why)


def _make(path: Path) -> None:
    """A new journal under `path`. Two processes may make one at a time: the first name stands."""
    if path.with_name(f"{path.name}-wal").exists():
        raise unreadable(path, "the file itself is gone, its write-ahead log is there")
    unnamed = path.with_name(f".{path.name}.{os.getpid()}")
    unnamed.unlink(missing_ok=True)
    os.close(os.open(unnamed, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    try:
        with closing(_connect(unnamed, "rw")) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            migrate(connection)
        os.link(unnamed, path)
    except FileExistsError:
        pass
    finally:
        unnamed.unlink()


def _ready(path: Path) -> sqlite3.Connection:
    connection = _connect(path, "rw")
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        migrate(connection)
    except (sqlite3.Error, HeddleError):
        connection.close()
        raise
    return connection


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    """`ro` or `rw`: SQLite itself never makes a file, so that a journal that vanished is no empty one."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_S,
        isolation_level=None,
        check_same_thread=False,
    )
    # Bytes that are not UTF-8 are damage; whoever decodes the record says so, and the rest is read all the same.
    connection.text_factory = lambda stored: stored.decode("utf-8", "surrogateescape")
    return connection


def _schema(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _statements(script: str) -> Iterator[str]:
    """One at a time, because `executescript` would end the transaction around it."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _failed(path: Path, error: OSError) -> HeddleError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutsideError(
            f"no room for the journal '{path}'", slug="disk-full", hint="make room on the disk, then try again"
        )
    return OutsideError(
        f"the journal '{path}' cannot be opened: {error.strerror}",
        slug="journal-failed",
        hint="set HEDDLE_HOME to a folder that can be written; see: heddle doctor",
    )
