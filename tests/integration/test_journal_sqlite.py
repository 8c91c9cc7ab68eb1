"""The journal's file: what becomes of it under damage, contention, newer versions and many processes."""

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from heddle.adapters.journal import codec, opening
from heddle.adapters.journal.sqlite import SqliteJournal
from heddle.core.errors import HeddleError, OutsideError, SetupError
from heddle.core.events import Recorded, RunHeld, RunPaused


class Clock:
    """Time stands still."""

    def now(self) -> float:
        """Unix seconds."""
        return 1_700_000_000.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.db"


@contextmanager
def opened(path: Path, **options: bool) -> Iterator[SqliteJournal]:
    journal = SqliteJournal.open(path, Clock(), **options)
    try:
        yield journal
    finally:
        journal.close()


async def filled(path: Path, *texts: str) -> tuple[Recorded, ...]:
    """A journal with one stream, closed again."""
    with opened(path) as journal:
        return await journal.append("task:T1", 0, [RunPaused(text) for text in texts], by="")


def execute(path: Path, sql: str, *args: object) -> list[Any]:
    """Straight to the file, past all guards."""
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(sql, args).fetchall()


def refused(path: Path) -> SetupError:
    with pytest.raises(SetupError) as caught:
        SqliteJournal.open(path, Clock())
    assert caught.value.hint and "\n" not in caught.value.message and f"'{path}'" in caught.value.message
    return caught.value


async def test_what_was_appended_is_there_when_the_file_is_opened_again(path: Path) -> None:
    written = await filled(path, "a", "b", "ü\U0001f9f5")
    with opened(path) as journal:
        assert (await journal.read_all(), journal.position(), journal.set_aside()) == (written, 3, ())


async def test_nobody_else_may_read_the_journal(path: Path) -> None:
    mask = os.umask(0)
    try:
        with opened(path) as journal:
            await journal.append("s", 0, [RunPaused("a")], by="")
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
            assert {file.name for file in path.parent.iterdir()} == {"journal.db", "journal.db-wal", "journal.db-shm"}
            assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    finally:
        os.umask(mask)


async def test_an_append_is_on_the_disk_when_it_returns(path: Path) -> None:
    with opened(path) as journal:
        pragmas = [journal._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    assert pragmas == ["wal", 2]  # 2 is FULL: each commit is synchronised


async def test_projections_made_anew_from_the_events_are_the_same(path: Path) -> None:
    with opened(path) as journal:
        for stream, seq in (("b", 0), ("a", 0), ("b", 1), ("c", 0), ("a", 1)):
            await journal.append(stream, seq, [RunPaused("x")], by="")
        before, listed = execute(path, "SELECT * FROM streams ORDER BY stream"), await journal.streams()
        execute(path, "DELETE FROM streams")
        journal.rebuild()
        assert execute(path, "SELECT * FROM streams ORDER BY stream") == before
        assert await journal.streams() == listed == ("b", "a", "c")
        await journal.append("b", 2, [RunPaused("x")], by="")


# ---------------------------------------------------------------------------------------- W9: unreadable

DAMAGE: dict[str, tuple[str, object]] = {
    "of a newer version": ("version", 99),
    "of a newer kind": ("kind", "task-dreamt"),
    "half a JSON": ("data", '{"by": "b'),
    "no JSON": ("data", ""),
    "JSON of another shape": ("data", '["b"]'),
    "JSON without a field": ("data", "{}"),
    "JSON too deep": ("data", "[" * 100_000),
    "bytes that are no text": ("data", '{"by": "\udcff"}'),
    "a cause that is no text": ("cause", "\udcff"),
    "a kind that is no text": ("kind", "\udcff"),
}


@pytest.mark.parametrize("damage", DAMAGE)
async def test_one_unreadable_record_is_told_and_hides_no_other(path: Path, damage: str) -> None:
    await filled(path, "a", "b", "c")
    with opened(path) as journal:
        await journal.append("task:T2", 0, [RunPaused("d")], by="")
    column, value = DAMAGE[damage]
    stored = value.encode(errors="surrogateescape") if isinstance(value, str) else value
    cast = "CAST(? AS TEXT)" if isinstance(value, str) else "?"
    execute(path, f"UPDATE events SET {column} = {cast} WHERE position = 2", stored)
    kept = execute(path, "SELECT CAST(data AS BLOB), version FROM events")
    with opened(path) as journal:
        assert [record.event for record in await journal.read("task:T1")] == [RunPaused("a"), RunPaused("c")]
        assert [record.position for record in await journal.read_all()] == [1, 3, 4]
        assert [record.position for record in await journal.read_all(after=1, limit=1)] == [3]
        (told,) = journal.set_aside()
        assert told.what == "record 2 of 'task:T1'" and told.where == str(path) and told.why.isprintable()
        await journal.append("task:T1", 3, [RunPaused("e")], by="")
    assert execute(path, "SELECT CAST(data AS BLOB), version FROM events WHERE position < 5") == kept


async def test_an_upcast_that_fails_costs_its_record_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await filled(path, "a")
    monkeypatch.setitem(codec.VERSIONS, "run-paused", 2)
    monkeypatch.setitem(codec.UPCASTS, ("run-paused", 1), lambda data: data["by"].nonsense)
    with opened(path) as journal:
        await journal.append("task:T2", 0, [RunHeld("slug", "line")], by="")
        assert [record.event for record in await journal.read_all()] == [RunHeld("slug", "line")]
        assert len(journal.set_aside()) == 1


async def test_a_journal_of_a_newer_heddle_is_refused_and_left_as_it_is(path: Path) -> None:
    await filled(path, "a")
    for mode in ("wal", "delete"):
        execute(path, f"PRAGMA journal_mode={mode}")
        execute(path, "PRAGMA user_version=99")
        before = path.read_bytes()
        assert refused(path).slug == "journal-newer"
        with pytest.raises(SetupError, match="99"):
            SqliteJournal.open(path, Clock(), keep_aside=True)
        assert path.read_bytes() == before


def smash(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


RUIN: dict[str, Callable[[Path], object]] = {
    "no database": lambda path: path.write_bytes(b"dear diary, " * 999),
    "emptied": lambda path: path.write_bytes(b""),
    "cut off": lambda path: os.truncate(path, 4096 * 3),
    "a broken page": lambda path: smash(path, 4096, b"\xee" * 4096),
    "another program's": lambda path: (path.unlink(), execute(path, "CREATE TABLE notes (x)")),
    "another program's with versions": lambda path: (path.unlink(), execute(path, "PRAGMA user_version=1")),
    "only its log is left": lambda path: path.rename(f"{path}-wal"),
}


@pytest.mark.parametrize("ruin", RUIN)
async def test_a_damaged_file_is_refused_and_never_replaced_by_an_empty_one(path: Path, ruin: str) -> None:
    await filled(path, *("x" * 500 for _ in range(50)))
    RUIN[ruin](path)
    before = {file.name: file.read_bytes() for file in path.parent.iterdir() if not file.name.endswith("-shm")}
    for _ in range(2):
        assert refused(path).slug == "journal-unreadable"
    after = {file.name: file.read_bytes() for file in path.parent.iterdir() if not file.name.endswith("-shm")}
    assert {name: data for name, data in after.items() if data or name in before} == before


async def test_a_damaged_file_is_kept_aside_when_a_person_says_so_and_that_is_told(path: Path) -> None:
    path.parent.mkdir()
    for number in (1, 2):
        path.write_bytes(b"precious %d " % number * 999)
        with opened(path, keep_aside=True) as journal:
            (told,) = journal.set_aside()
            assert Path(told.where).read_bytes() == b"precious %d " % number * 999
            assert "could not be read" in told.why
            await journal.append("s", 0, [RunPaused("a")], by="")
    assert len(list((path.parent / "kept-aside").glob("*.db"))) == 2


async def test_a_journal_that_is_well_is_never_kept_aside(path: Path) -> None:
    written = await filled(path, "a")
    with opened(path, keep_aside=True) as journal:
        assert await journal.read_all() == written
    obstacle = path.with_name("journal.db-shm")
    obstacle.symlink_to(obstacle)
    with pytest.raises(OutsideError) as caught:
        SqliteJournal.open(path, Clock(), keep_aside=True)
    assert (caught.value.slug, caught.value.hint) == ("journal-failed", "see: heddle doctor")
    obstacle.unlink()
    with opened(path) as journal:
        assert await journal.read_all() == written
    assert not (path.parent / "kept-aside").exists()


async def test_a_folder_that_cannot_be_made_is_named(path: Path) -> None:
    path.parent.write_text("a file is in the way")
    with pytest.raises(OutsideError) as caught:
        SqliteJournal.open(path, Clock(), keep_aside=True)
    assert caught.value.slug == "journal-failed" and f"'{path}'" in caught.value.message


async def test_damage_that_comes_while_the_journal_is_open_is_an_error_and_no_answer(path: Path) -> None:
    await filled(path, *("x" * 500 for _ in range(50)))
    with opened(path) as journal:
        journal._db.execute("PRAGMA cache_size=0")
        for page in range(1, path.stat().st_size // 4096):
            smash(path, page * 4096, b"\xee" * 4096)
        with pytest.raises(HeddleError) as caught:
            await journal.read_all()
    assert caught.value.slug == "journal-unreadable"


# ---------------------------------------------------------------------------------- C2: many processes

HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
for statement in sys.argv[2:]: connection.execute(statement)
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(path: Path, *statements: str) -> Iterator[None]:
    """Another process sits on the database."""
    command = [sys.executable, "-c", HOLD, str(path), *statements]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        try:
            yield
        finally:
            other.communicate()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "BUSY_S", 0.05)


def busy(error: HeddleError) -> bool:
    return isinstance(error, OutsideError) and error.slug == "journal-busy" and bool(error.hint)


async def test_contention_is_an_error_and_never_an_empty_answer(path: Path, impatient: None) -> None:
    written = await filled(path, "a")
    with opened(path) as journal:
        fence = await journal.claim("daemon", "one", 10)
        assert fence is not None
        asked: list[Callable[[], Any]] = [
            lambda: journal.append("task:T1", 1, [RunPaused("b")], by=""),
            lambda: journal.claim("free", "one", 10),
            lambda: journal.renew(fence, 10),
            lambda: journal.release(fence),
        ]
        with held(path, "BEGIN IMMEDIATE"):
            for ask in asked:
                with pytest.raises(OutsideError) as caught:
                    await ask()
                assert busy(caught.value)
            assert await journal.read_all() == written
        await journal.append("task:T1", 1, [RunPaused("b")], by="", fence=fence)


async def test_a_locked_file_is_not_an_empty_journal(path: Path, impatient: None) -> None:
    written = await filled(path, "a")
    with held(path, "PRAGMA locking_mode=EXCLUSIVE", "BEGIN EXCLUSIVE"):
        for keep_aside in (False, True):
            with pytest.raises(OutsideError) as caught, opened(path, keep_aside=keep_aside) as journal:
                await journal.read_all()
            assert busy(caught.value)
    with opened(path) as journal:
        assert await journal.read_all() == written
    assert not (path.parent / "kept-aside").exists()


WRITE = """
import asyncio, sys
from pathlib import Path
from heddle.adapters.journal.sqlite import SqliteJournal
from heddle.core.errors import StaleSequence
from heddle.core.events import RunPaused

class Clock:
    def now(self): return 1_700_000_000.0

async def main(name, path):
    print("ready", flush=True)
    sys.stdin.readline()
    journal = SqliteJournal.open(path, Clock())
    won = await journal.claim("prize", name, 60) is not None
    left = [f"{name}{number}" for number in range(20)]
    seq = 0
    while left:
        try:
            await journal.append("shared", seq, [RunPaused(left[0])], by=name)
            left.pop(0)
            seq += 1
        except StaleSequence:
            seq = (await journal.read("shared"))[-1].seq
    journal.close()
    print("won" if won else "lost", flush=True)

asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
"""


async def test_processes_that_begin_together_make_one_journal_and_lose_nothing(path: Path) -> None:
    pipe = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    names = ("ada", "bob", "cy")
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITE, name, str(path)], text=True, env=env, **pipe)  # type: ignore[call-overload]
        for name in names
    ]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    told = [writer.communicate(timeout=60)[0].strip() for writer in writers]
    assert sorted(told) == ["lost", "lost", "won"]
    with opened(path) as journal:
        records = await journal.read("shared")
    assert [record.seq for record in records] == list(range(1, 61))
    for name in names:
        assert [r.event for r in records if r.by == name] == [RunPaused(f"{name}{n}") for n in range(20)]
    assert [file.name for file in path.parent.iterdir()] == ["journal.db"]


# ------------------------------------------------------------------------------------- schema and upcasts


async def test_the_schema_is_lifted_by_whoever_comes_first(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = await filled(path, "a")
    scripts = (*opening.migrations(), "-- a comment; with a semicolon\nCREATE TABLE later (x TEXT) STRICT;\n\n")
    monkeypatch.setattr(opening, "migrations", lambda: scripts)
    for _ in range(2):
        with opened(path) as journal:
            assert await journal.read_all() == written
    assert execute(path, "PRAGMA user_version") == [(2,)]
    assert execute(path, "SELECT count(*) FROM later") == [(0,)]


async def test_a_migration_that_fails_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await filled(path, "a")
    scripts = (*opening.migrations(), "CREATE TABLE later (x TEXT) STRICT;\nCREATE TABLE events (x TEXT) STRICT;\n")
    with monkeypatch.context() as patched:
        patched.setattr(opening, "migrations", lambda: scripts)
        with pytest.raises(OutsideError):
            SqliteJournal.open(path, Clock(), keep_aside=True)
    with opened(path) as journal:
        assert len(await journal.read_all()) == 1
    assert execute(path, "SELECT count(*) FROM sqlite_master WHERE name = 'later'") == [(0,)]


def test_migrations_are_numbered_without_a_gap() -> None:
    names = sorted(file.name for file in Path(opening.__file__).parents[2].glob("data/migrations/*.sql"))
    assert [int(name.split("_")[0]) for name in names] == list(range(1, len(names) + 1))


async def test_old_versions_are_lifted_on_the_way_out_and_stay_as_they_are_in_the_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(path, "ada")
    monkeypatch.setitem(codec.VERSIONS, "run-paused", 3)
    monkeypatch.setitem(codec.UPCASTS, ("run-paused", 1), lambda data: {"who": data["by"]})
    monkeypatch.setitem(codec.UPCASTS, ("run-paused", 2), lambda data: {"by": "person:" + data["who"]})
    with opened(path) as journal:
        (record,) = await journal.read("task:T1")
        assert (record.event, record.version) == (RunPaused("person:ada"), 1)
        (new,) = await journal.append("task:T1", 1, [RunPaused("person:bob")], by="")
        assert new.version == 3
        assert (await journal.read("task:T1"))[1] == new
    assert execute(path, "SELECT data FROM events WHERE position = 1") == [('{"by":"ada"}',)]
