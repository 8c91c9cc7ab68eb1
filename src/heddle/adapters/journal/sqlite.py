"""The journal in one SQLite file: WAL, FULL, one short transaction per append.

Contention is a bounded wait and then an error, never an empty answer. What cannot be read is kept where it is and
reported; a file that is no journal is kept aside and reported, never replaced in silence.
"""

import asyncio
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from heddle.adapters.journal.codec import Unreadable, decode, encode
from heddle.core.errors import Fenced, HeddleError, OutsideError, SetupError, StaleSequence
from heddle.core.events import Event, Recorded
from heddle.ports import Clock, Fence, SetAside

BUSY_S = 5.0


class SqliteJournal:
    """The Journal port on SQLite. One process writes (the daemon); others may read."""

    def __init__(self, connection: sqlite3.Connection, path: Path, clock: Clock) -> None:
        self._db = connection
        self._path = path
        self._clock = clock
        self._aside: dict[str, SetAside] = {}
        self._waiting: list[asyncio.Future[int]] = []
        self._position = int(self._one("SELECT coalesce(max(position), 0) FROM events"))

    @classmethod
    def open(cls, path: Path, clock: Clock, *, keep_aside: bool = False) -> "SqliteJournal":
        """Open or make the journal at `path`. With `keep_aside` an unreadable file is moved to kept-aside/ first.

        Raises SetupError: journal-newer (made by a newer Heddle), journal-unreadable; the file stays untouched.
        """
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            migrate(connection)
            return cls(connection, path, clock)
        except HeddleError:
            connection.close()
            raise
        except sqlite3.DatabaseError as error:
            connection.close()
            if _is_contention(error) or _is_full(error):
                raise _outside(error) from error
            if not keep_aside:
                raise _unreadable(path, error) from error
            _keep_aside(path, clock)
            return cls.open(path, clock)

    async def append(
        self,
        stream: str,
        expected: int,
        events: Sequence[Event],
        *,
        by: str,
        cause: str = "",
        fence: Fence | None = None,
    ) -> tuple[Recorded, ...]:
        """See the port."""
        at = self._clock.now()
        written: list[Recorded] = []
        with self._transaction():
            if fence is not None:
                self._require_fence(fence)
            row = self._db.execute("SELECT seq FROM streams WHERE stream = ?", (stream,)).fetchone()
            seq = int(row[0]) if row else 0
            if seq != expected:
                raise StaleSequence(
                    f"stream '{stream}' is at {seq}, not at {expected}", slug="stale-sequence", hint="read it again"
                )
            for event in events:
                seq += 1
                kind, version, data = encode(event)
                cursor = self._db.execute(
                    "INSERT INTO events (stream, seq, at, by, cause, kind, version, data) VALUES (?,?,?,?,?,?,?,?)",
                    (stream, seq, at, by, cause, kind, version, data),
                )
                written.append(Recorded(stream, seq, int(cursor.lastrowid or 0), at, by, cause, version, event))
            if written:
                self._project(stream, seq, written[0].position)
        if written:
            self._announce(written[-1].position)
        return tuple(written)

    def _project(self, stream: str, seq: int, first: int) -> None:
        self._db.execute(
            "INSERT INTO streams (stream, seq, first) VALUES (?,?,?) ON CONFLICT (stream) DO UPDATE SET seq = excluded.seq",
            (stream, seq, first),
        )

    async def read(self, stream: str, after: int = 0) -> tuple[Recorded, ...]:
        """See the port."""
        return self._records("WHERE stream = ? AND seq > ? ORDER BY seq", (stream, after))

    async def read_all(self, after: int = 0, limit: int = 10_000) -> tuple[Recorded, ...]:
        """See the port."""
        return self._records("WHERE position > ? ORDER BY position LIMIT ?", (after, limit))

    async def streams(self, prefix: str = "") -> tuple[str, ...]:
        """See the port."""
        rows = self._rows(
            "SELECT stream FROM streams WHERE substr(stream, 1, ?) = ? ORDER BY first", (len(prefix), prefix)
        )
        return tuple(str(row[0]) for row in rows)

    def position(self) -> int:
        """See the port."""
        return self._position

    async def wait(self, after: int) -> int:
        """See the port."""
        while self._position <= after:
            future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            await future
        return self._position

    async def claim(self, name: str, owner: str, ttl_s: float) -> Fence | None:
        """See the port."""
        now = self._clock.now()
        with self._transaction():
            row = self._db.execute("SELECT owner, token, expires_at FROM leases WHERE name = ?", (name,)).fetchone()
            if row and row[0] != owner and float(row[2]) > now:
                return None
            token = int(row[1]) + 1 if row else 1
            self._db.execute("INSERT OR REPLACE INTO leases VALUES (?,?,?,?)", (name, owner, token, now + ttl_s))
        return Fence(name, token)

    async def renew(self, fence: Fence, ttl_s: float) -> None:
        """See the port."""
        with self._transaction():
            self._require_fence(fence)
            self._db.execute("UPDATE leases SET expires_at = ? WHERE name = ?", (self._clock.now() + ttl_s, fence.name))

    async def release(self, fence: Fence) -> None:
        """See the port. The row stays, expired, so that tokens never repeat."""
        with self._transaction():
            self._db.execute(
                "UPDATE leases SET expires_at = 0, owner = '' WHERE name = ? AND token = ?", (fence.name, fence.token)
            )

    def set_aside(self) -> tuple[SetAside, ...]:
        """See the port."""
        return tuple(self._aside.values())

    def rebuild(self) -> None:
        """Make the projections anew from the events."""
        with self._transaction():
            self._db.execute("DELETE FROM streams")
            self._db.execute("INSERT INTO streams SELECT stream, max(seq), min(position) FROM events GROUP BY stream")

    def close(self) -> None:
        """See the port."""
        self._db.close()
        for future in self._waiting:
            future.cancel()

    def _require_fence(self, fence: Fence) -> None:
        row = self._db.execute("SELECT token FROM leases WHERE name = ?", (fence.name,)).fetchone()
        if row is None or int(row[0]) != fence.token:
            raise Fenced(f"lease '{fence.name}' was taken over", slug="fenced", hint="another daemon goes on with it")

    def _records(self, where: str, args: tuple[object, ...]) -> tuple[Recorded, ...]:
        rows = self._rows(f"SELECT position, stream, seq, at, by, cause, kind, version, data FROM events {where}", args)
        found = []
        for position, stream, seq, at, by, cause, kind, version, data in rows:
            try:
                event = decode(kind, version, data)
            except Unreadable as error:
                self._aside[f"{position}"] = SetAside(f"record {position} of '{stream}'", str(self._path), str(error))
                continue
            found.append(Recorded(stream, seq, position, at, by, cause, version, event))
        return tuple(found)

    def _rows(self, sql: str, args: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        try:
            return self._db.execute(sql, args).fetchall()
        except sqlite3.DatabaseError as error:
            raise _outside(error) from error

    def _one(self, sql: str) -> int:
        return int(str(self._rows(sql)[0][0]))

    def _announce(self, position: int) -> None:
        self._position = position
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(position)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.DatabaseError as error:
            raise _outside(error) from error
        try:
            yield
            self._db.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            self._rollback()
            raise _outside(error) from error
        except BaseException:
            self._rollback()
            raise

    def _rollback(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the schema up to date, a numbered file at a time. Raises SetupError(slug="journal-newer")."""
    scripts = sorted(
        (entry.name, entry) for entry in files("heddle.data.migrations").iterdir() if entry.name.endswith(".sql")
    )
    with closing(connection.execute("PRAGMA user_version")) as cursor:
        present = int(cursor.fetchone()[0])
    if present > len(scripts):
        raise SetupError(
            f"the journal has schema {present}, this Heddle knows {len(scripts)}",
            slug="journal-newer",
            hint="install the Heddle that made it, or a newer one; the journal was left untouched",
        )
    for number, (_, script) in enumerate(scripts[present:], start=present + 1):
        connection.executescript(f"BEGIN IMMEDIATE;\n{script.read_text()}\nPRAGMA user_version = {number};\nCOMMIT;")


def _unreadable(path: Path, error: Exception) -> SetupError:
    return SetupError(
        f"the journal '{path}' could not be read ({error}); it was left untouched",
        slug="journal-unreadable",
        hint="put a backup in its place, or keep it aside and begin a new one with: heddle daemon start --keep-aside",
    )


def _keep_aside(path: Path, clock: Clock) -> None:
    folder = path.parent / "kept-aside"
    folder.mkdir(mode=0o700, exist_ok=True)
    stamp = f"{path.stem}-{clock.now():.6f}"
    for tail in ("", "-wal", "-shm"):
        extra = path.with_name(path.name + tail)
        if extra.exists():
            extra.rename(folder / f"{stamp}{path.suffix}{tail}")


def _is_contention(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _is_full(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


def _outside(error: sqlite3.Error) -> OutsideError:
    if _is_contention(error):
        return OutsideError(
            f"the journal is busy ({error})",
            slug="journal-busy",
            hint="try again; see: heddle doctor",
            program="sqlite",
        )
    if _is_full(error):
        return OutsideError(
            f"no room for the journal ({error}); nothing was written",
            slug="disk-full",
            hint="make room on the disk; work goes on by itself",
            program="sqlite",
        )
    return OutsideError(
        f"the journal failed ({error})", slug="journal-failed", hint="see: heddle doctor", program="sqlite"
    )
