"""The journal in one SQLite file: WAL, FULL, one short transaction per append.

Contention is a bounded wait and then an error, never an empty answer. What cannot be read is kept where it is and
reported; a file that is no journal is refused, and moved to kept-aside/ only when a person says so.
"""

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from heddle.adapters.journal.codec import Unreadable, decode, encode, require_text
from heddle.adapters.journal.failure import failure
from heddle.adapters.journal.opening import keep_aside as keep_file_aside
from heddle.adapters.journal.opening import open_database
from heddle.core.errors import Fenced, SetupError, StaleSequence
from heddle.core.events import Event, Recorded
from heddle.ports import Clock, Fence, SetAside


class SqliteJournal:
    """The Journal port on SQLite. One process writes (the daemon); others may read."""

    def __init__(self, connection: sqlite3.Connection, path: Path, clock: Clock) -> None:
        self._db = connection
        self._path = path
        self._clock = clock
        self._aside: dict[str, SetAside] = {}
        self._waiting: set[asyncio.Future[int]] = set()
        self._position = int(self._one("SELECT coalesce(max(position), 0) FROM events"))

    @classmethod
    def open(cls, path: Path, clock: Clock, *, keep_aside: bool = False) -> "SqliteJournal":
        """Open or make the journal at `path`. With `keep_aside` an unreadable file is moved to kept-aside/ first.

        Raises SetupError: journal-newer (made by a newer Heddle), journal-unreadable; the file stays untouched.
        Raises OutsideError: journal-busy, disk-full, journal-failed.
        """
        try:
            return cls(open_database(path), path, clock)
        except SetupError as error:
            if not keep_aside or error.slug != "journal-unreadable":
                raise
            kept = keep_file_aside(path, clock, error.message)
        fresh = cls(open_database(path), path, clock)
        fresh._aside[kept.where] = kept
        return fresh

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
        return tuple(self._decoded(self._events("WHERE stream = ? AND seq > ? ORDER BY seq", (stream, after))))

    async def read_all(self, after: int = 0, limit: int = 10_000) -> tuple[Recorded, ...]:
        """See the port. A page is only empty when no readable fact follows, however many were set aside."""
        found: list[Recorded] = []
        while len(found) < limit:
            wanted = limit - len(found)
            rows = self._events("WHERE position > ? ORDER BY position LIMIT ?", (after, wanted))
            found += self._decoded(rows)
            if len(rows) < wanted:
                break
            after = int(rows[-1][0])
        return tuple(found)

    async def streams(self, prefix: str = "") -> tuple[str, ...]:
        """See the port."""
        rows = self._rows(
            "SELECT stream FROM streams WHERE substr(stream, 1, ?) = ? ORDER BY first", (len(prefix), prefix)
        )
        return tuple(str(row[0]) for row in rows)

    async def head(self, stream: str) -> int:
        """See the port."""
        rows = self._rows("SELECT coalesce(max(seq), 0) FROM events WHERE stream = ?", (stream,))
        return int(rows[0][0])

    def position(self) -> int:
        """See the port."""
        return self._position

    async def wait(self, after: int) -> int:
        """See the port."""
        while self._position <= after:
            future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            self._waiting.add(future)
            try:
                await future
            finally:
                self._waiting.discard(future)
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
        """See the port. The row stays, with a token that nobody has: none repeats, and the old one counts no more."""
        with self._transaction():
            self._db.execute(
                "UPDATE leases SET expires_at = 0, owner = '', token = token + 1 WHERE name = ? AND token = ?",
                (fence.name, fence.token),
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

    def _events(self, where: str, args: tuple[object, ...]) -> list[tuple[Any, ...]]:
        return self._rows(f"SELECT position, stream, seq, at, by, cause, kind, version, data FROM events {where}", args)

    def _decoded(self, rows: list[tuple[Any, ...]]) -> Iterator[Recorded]:
        for position, stream, seq, at, by, cause, kind, version, data in rows:
            try:
                event = decode(kind, version, data)
                require_text(stream, by, cause)
            except Unreadable as error:
                self._set_aside(int(position), str(stream), str(error))
                continue
            yield Recorded(stream, seq, position, at, by, cause, version, event)

    def _set_aside(self, position: int, stream: str, why: str) -> None:
        """The record stays where it is; whoever asks is told of it."""
        what, why = (_printable(text) for text in (f"record {position} of '{stream}'", why))
        self._aside[f"{position}"] = SetAside(what, str(self._path), why)

    def _rows(self, sql: str, args: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        try:
            return self._db.execute(sql, args).fetchall()
        except sqlite3.DatabaseError as error:
            raise failure(error, self._path) from error

    def _one(self, sql: str) -> int:
        return int(str(self._rows(sql)[0][0]))

    def _announce(self, position: int) -> None:
        self._position = position
        for future in self._waiting:
            if not future.done():
                future.set_result(position)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.DatabaseError as error:
            raise failure(error, self._path) from error
        try:
            yield
            self._db.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            self._rollback()
            raise failure(error, self._path) from error
        except BaseException:
            self._rollback()
            raise

    def _rollback(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")


def _printable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()
