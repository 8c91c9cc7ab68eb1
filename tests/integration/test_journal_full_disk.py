"""A disk without room: SQLite's own 'disk is full', then room again (W10)."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from heddle.adapters.journal.sqlite import SqliteJournal
from heddle.core.errors import OutsideError
from heddle.core.events import RunHeld
from support.fleet import heddle, make_repository, writes


class Clock:
    """Time stands still."""

    def now(self) -> float:
        """Unix seconds."""
        return 1_700_000_000.0


def set_room(journal: SqliteJournal, pages: int) -> None:
    """How many more pages the file may grow by; what is past them is SQLite's own 'disk is full'."""
    count = journal._db.execute("PRAGMA page_count").fetchone()[0]
    journal._db.execute(f"PRAGMA max_page_count={count + pages}")


async def test_a_full_disk_stops_an_append_whole_and_work_resumes_with_room(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    batch = [RunHeld("slug", "x" * 3000)] * 6
    with closing(SqliteJournal.open(path, Clock())) as journal:
        written = await journal.append("s", 0, batch[:1], by="")
        set_room(journal, 2)
        waiting = asyncio.create_task(journal.wait(1))
        for _ in range(3):
            with pytest.raises(OutsideError) as caught:
                await journal.append("s", 1, batch, by="")
            assert (caught.value.slug, caught.value.exit_status) == ("disk-full", 7)
            assert "no room" in caught.value.message and "room" in caught.value.hint
        assert await journal.read_all() == written and not waiting.done()
        with closing(SqliteJournal.open(path, Clock())) as other:
            assert (await other.read_all(), await other.streams()) == (written, ("s",))
        set_room(journal, 1000)
        written += await journal.append("s", 1, batch, by="")
        assert await asyncio.wait_for(waiting, 5) == 7
        assert (await journal.read_all(), written[-1].seq) == (written, 7)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_a_full_disk_stops_new_work_in_clear_words_and_the_work_goes_on_when_there_is_room(
    tmp_path: Path,
) -> None:
    repository = make_repository(tmp_path / "repository")
    async with heddle(tmp_path, repository, writes("new.txt")) as running:
        journal = running.house.journal
        set_room(journal, 0)
        with pytest.raises(OutsideError) as caught:
            for _ in range(50):
                await running.start("Write new.txt " + "x" * 3000, lane="standard")
        assert caught.value.slug == "disk-full"
        assert "no room for the journal" in caught.value.message
        before = await journal.read_all()
        set_room(journal, 100_000)
        last = await running.start("Write new.txt")
        assert [row["status"] for row in await running.until(last)] == ["landed"]
        assert (await journal.read_all())[: len(before)] == before
        assert journal.set_aside() == ()
