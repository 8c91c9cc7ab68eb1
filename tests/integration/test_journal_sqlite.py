"""The journal's file: what becomes of it under damage, contention, a full disk, newer versions and many processes."""

import asyncio
import json
import os
import sqlite3
import stat
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heddle import __version__
from heddle.adapters.journal import codec, opening
from heddle.adapters.journal.codec import Unreadable, decode, encode
from heddle.adapters.journal.sqlite import SqliteJournal
from heddle.core.errors import HeddleError, OutsideError, SetupError
from heddle.core.events import EVENTS, Event, Recorded, RunHeld, RunPaused, RunStopped, ScopeViolated
from support.fleet import heddle, make_repository, writes

FIXTURES = Path(__file__).parents[1] / "fixtures"
GOLDEN = sorted(FIXTURES.glob("journal-*.jsonl"))


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
    for number in (1, 2):
        path.unlink(missing_ok=True)
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
    path.chmod(0)
    path.parent.chmod(0o500)
    with _unprivileged(), pytest.raises(OutsideError) as caught:
        SqliteJournal.open(path, Clock(), keep_aside=True)
    path.parent.chmod(0o700)
    path.chmod(0o600)
    assert caught.value.slug == "journal-failed"
    with opened(path) as journal:
        assert await journal.read_all() == written


@contextmanager
def _unprivileged() -> Iterator[None]:
    """Root may read everything; nobody may not. For other users nothing changes."""
    privileged = os.geteuid() == 0
    if privileged:
        os.seteuid(65534)
    try:
        yield
    finally:
        if privileged:
            os.seteuid(0)


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


async def test_a_short_contention_is_only_a_wait(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "BUSY_S", 30.0)
    await filled(path, "a")
    with opened(path) as journal, held(path, "BEGIN IMMEDIATE") as _:
        waiting = asyncio.create_task(asyncio.to_thread(asyncio.run, journal.claim("free", "one", 10)))
        await asyncio.sleep(0)
        execute_later = sqlite3.connect(path, timeout=0)
        with closing(execute_later), pytest.raises(sqlite3.OperationalError, match="locked"):
            execute_later.execute("BEGIN IMMEDIATE")
        assert not waiting.done()
    assert await asyncio.wait_for(waiting, 30) is not None


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


# ------------------------------------------------------------------------------------- W10: a full disk


def set_room(journal: SqliteJournal, pages: int) -> None:
    """How many more pages the file may grow by; what is past them is SQLite's own 'disk is full'."""
    count = journal._db.execute("PRAGMA page_count").fetchone()[0]
    journal._db.execute(f"PRAGMA max_page_count={count + pages}")


async def test_a_full_disk_stops_an_append_whole_and_work_resumes_with_room(path: Path) -> None:
    batch = [RunHeld("slug", "x" * 3000)] * 6
    with opened(path) as journal:
        written = await journal.append("s", 0, batch[:1], by="")
        set_room(journal, 2)
        waiting = asyncio.create_task(journal.wait(1))
        for _ in range(3):
            with pytest.raises(OutsideError) as caught:
                await journal.append("s", 1, batch, by="")
            assert (caught.value.slug, caught.value.exit_status) == ("disk-full", 7)
            assert "no room" in caught.value.message and "room" in caught.value.hint
        assert await journal.read_all() == written and not waiting.done()
        with opened(path) as other:
            assert (await other.read_all(), await other.streams()) == (written, ("s",))
        set_room(journal, 1000)
        written += await journal.append("s", 1, batch, by="")
        assert await asyncio.wait_for(waiting, 5) == 7
        assert (await journal.read_all(), written[-1].seq) == (written, 7)
    assert execute(path, "PRAGMA integrity_check") == [("ok",)]


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


# ------------------------------------------------------------------------------------- schema and codec


async def test_the_schema_is_lifted_by_whoever_comes_first(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = await filled(path, "a")
    scripts = (*opening.migrations(), "-- a comment; with a semicolon\nCREATE TABLE later (x) STRICT;\n\n")
    monkeypatch.setattr(opening, "migrations", lambda: scripts)
    for _ in range(2):
        with opened(path) as journal:
            assert await journal.read_all() == written
    assert execute(path, "PRAGMA user_version") == [(2,)]
    assert execute(path, "SELECT count(*) FROM later") == [(0,)]


async def test_a_migration_that_fails_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await filled(path, "a")
    scripts = (*opening.migrations(), "CREATE TABLE later (x) STRICT;\nCREATE TABLE events (x) STRICT;\n")
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


def test_every_step_from_an_old_version_has_its_upcast() -> None:
    for kind, version in codec.VERSIONS.items():
        assert kind in EVENTS
        assert {(kind, step) for step in range(1, version)} <= set(codec.UPCASTS)


def test_a_file_name_that_is_no_text_survives() -> None:
    event = ScopeViolated((b"lat\xe9in".decode("utf-8", "surrogateescape"), "größe"))
    kind, version, data = encode(event)
    assert data.isascii() and decode(kind, version, data) == event


def something(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a type that events are made of."""
    match get_origin(kind):
        case origin if origin is Union or origin is types.UnionType:
            return st.one_of(*map(something, get_args(kind)))
        case origin if origin is tuple and get_args(kind)[-1] is Ellipsis:
            return st.lists(something(get_args(kind)[0]), max_size=3).map(tuple)
        case origin if origin is tuple:
            return st.tuples(*map(something, get_args(kind)))
        case origin if origin is Literal:
            return st.sampled_from(get_args(kind))
    if hasattr(kind, "__dataclass_fields__"):
        return st.builds(kind, **{name: something(of) for name, of in get_type_hints(kind).items()})
    if kind is float:
        return st.floats(allow_nan=False, allow_infinity=False)
    return st.integers(-(2**63), 2**63 - 1) if kind is int else st.from_type(kind)


@pytest.mark.parametrize("kind", EVENTS)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_every_event_comes_back_as_it_was_stored(kind: str, data: st.DataObject) -> None:
    event: Event = data.draw(something(EVENTS[kind]))
    assert decode(*encode(event)) == event
    assert type(decode(*encode(event))) is EVENTS[kind]


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.stem)
def test_what_a_release_recorded_can_be_read(golden: Path) -> None:
    for line in golden.read_text().splitlines():
        stored = json.loads(line)
        event = decode(stored["kind"], stored["version"], stored["data"])
        assert decode(*encode(event)) == event


def test_what_this_release_records_is_in_its_golden_file_to_the_letter() -> None:
    lines = (FIXTURES / f"journal-{__version__}.jsonl").read_text().splitlines()
    recorded = [tuple(json.loads(line).values()) for line in lines]
    assert [encode(decode(*stored)) for stored in recorded] == recorded
    assert [kind for kind, _, _ in recorded] == list(EVENTS), "an event has no recorded example"


def test_an_event_of_tomorrow_is_unreadable_and_not_guessed() -> None:
    kind, version, data = encode(RunStopped("enough"))
    for stored in ((kind, version + 1, data), ("run-dreamt", 1, data)):
        with pytest.raises(Unreadable):
            decode(*stored)
