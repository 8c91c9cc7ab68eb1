"""What every Journal keeps: SQLite on disk and the fake in memory give the same answers to the same questions."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heddle.adapters.journal.memory import MemoryJournal
from heddle.adapters.journal.sqlite import SqliteJournal
from heddle.core.errors import Fenced, HeddleError, StaleSequence
from heddle.core.events import Event, RunPaused, RunResumed
from heddle.ports import Clock, Fence, Journal


class SetClock:
    """Time stands still until a test moves it."""

    def __init__(self) -> None:
        self.seconds = 1_700_000_000.0

    def now(self) -> float:
        """Unix seconds."""
        return self.seconds


JOURNALS: dict[str, Callable[[Path, Clock], Journal]] = {
    "sqlite": lambda folder, clock: SqliteJournal.open(folder / "journal.db", clock),
    "memory": lambda folder, clock: MemoryJournal(clock),
}


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture(params=sorted(JOURNALS))
def journal(request: pytest.FixtureRequest, tmp_path: Path, clock: SetClock) -> Iterator[Journal]:
    made = JOURNALS[request.param](tmp_path, clock)
    yield made
    made.close()


def paused(*names: str) -> list[Event]:
    return [RunPaused(name) for name in names]


# ------------------------------------------------------------------------------------------------- facts


async def test_facts_are_numbered_in_their_stream_and_in_all(journal: Journal, clock: SetClock) -> None:
    first = await journal.append("task:T1", 0, paused("a", "b"), by="person:ada", cause="why")
    clock.seconds += 5
    second = await journal.append("task:T2", 0, paused("c"), by="heddle")
    assert [(r.stream, r.seq, r.position, r.event) for r in first + second] == [
        ("task:T1", 1, 1, RunPaused("a")),
        ("task:T1", 2, 2, RunPaused("b")),
        ("task:T2", 1, 3, RunPaused("c")),
    ]
    assert {(r.by, r.cause, r.version) for r in first} == {("person:ada", "why", 1)}
    assert (first[0].at, second[0].at) == (1_700_000_000.0, 1_700_000_005.0)
    assert await journal.read_all() == first + second
    assert await journal.read("task:T1") == first
    assert journal.position() == 3


async def test_reading_goes_on_from_where_it_stopped(journal: Journal) -> None:
    written = await journal.append("s", 0, paused(*"abcde"), by="")
    assert await journal.read("s", after=3) == written[3:]
    assert await journal.read_all(after=1, limit=2) == written[1:3]
    assert await journal.read_all(after=5) == ()
    assert await journal.read("none") == ()


async def test_a_writer_that_did_not_see_the_last_fact_is_refused_and_nothing_is_written(journal: Journal) -> None:
    await journal.append("s", 0, paused("a"), by="")
    for expected in (0, 2, -1):
        with pytest.raises(StaleSequence) as caught:
            await journal.append("s", expected, paused("b", "c"), by="")
        assert caught.value.slug == "stale-sequence" and caught.value.hint
    assert len(await journal.read_all()) == journal.position() == 1


async def test_appending_nothing_writes_nothing(journal: Journal) -> None:
    assert await journal.append("s", 0, [], by="") == ()
    assert (await journal.streams(), journal.position()) == ((), 0)
    with pytest.raises(StaleSequence):
        await journal.append("s", 1, [], by="")


async def test_streams_are_listed_oldest_first_and_prefixes_are_literal(journal: Journal) -> None:
    for name in ("task:T10", "task:T2", "session:x", "task:T%", "Task:T3"):
        await journal.append(name, 0, paused("a"), by="")
    await journal.append("task:T10", 1, paused("b"), by="")
    assert await journal.streams("task:") == ("task:T10", "task:T2", "task:T%")
    assert await journal.streams("task:T%") == ("task:T%",)
    assert len(await journal.streams()) == 5


# ----------------------------------------------------------------------------------------------- waiting


async def test_all_who_wait_wake_with_the_append(journal: Journal) -> None:
    waiting = [asyncio.create_task(journal.wait(after)) for after in (0, 0, 1)]
    await asyncio.sleep(0)
    await journal.append("s", 0, paused("a"), by="")
    assert await asyncio.wait_for(asyncio.gather(*waiting[:2]), 5) == [1, 1]
    assert not waiting[2].done()
    await journal.append("s", 1, paused("b"), by="")
    assert await asyncio.wait_for(waiting[2], 5) == 2
    assert await journal.wait(0) == 2


async def test_who_gives_up_waiting_disturbs_nobody(journal: Journal) -> None:
    given_up, patient = (asyncio.create_task(journal.wait(0)) for _ in range(2))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.wait({given_up})
    await journal.append("s", 0, paused("a"), by="")
    assert await asyncio.wait_for(patient, 5) == 1


async def test_closing_ends_every_wait(journal: Journal) -> None:
    waiting = asyncio.create_task(journal.wait(0))
    await asyncio.sleep(0)
    journal.close()
    await asyncio.wait({waiting}, timeout=5)
    assert waiting.cancelled()


# ------------------------------------------------------------------------------------------------ leases


async def test_a_lease_has_one_owner_until_it_expires(journal: Journal, clock: SetClock) -> None:
    assert await journal.claim("daemon", "one", 10) == Fence("daemon", 1)
    assert await journal.claim("daemon", "two", 10) is None
    assert await journal.claim("other", "two", 10) == Fence("other", 1)
    clock.seconds += 10
    assert await journal.claim("daemon", "two", 10) == Fence("daemon", 2)


async def test_a_late_writer_with_an_old_fence_is_refused(journal: Journal, clock: SetClock) -> None:
    old = await journal.claim("daemon", "one", 10)
    assert old is not None
    await journal.append("s", 0, paused("a"), by="", fence=old)
    clock.seconds += 11
    new = await journal.claim("daemon", "two", 10)
    for late in (journal.append("s", 1, paused("late"), by="", fence=old), journal.renew(old, 10)):
        with pytest.raises(Fenced) as caught:
            await late
        assert caught.value.slug == "fenced" and "'daemon'" in caught.value.message
    await journal.append("s", 1, paused("b"), by="", fence=new)
    assert [record.event for record in await journal.read("s")] == paused("a", "b")


async def test_the_owner_may_claim_again_and_its_former_self_is_fenced_off(journal: Journal) -> None:
    before = await journal.claim("daemon", "one", 10)
    after = await journal.claim("daemon", "one", 10)
    assert (before, after) == (Fence("daemon", 1), Fence("daemon", 2))
    with pytest.raises(Fenced):
        await journal.append("s", 0, paused("a"), by="", fence=before)


async def test_a_renewed_lease_lasts_longer(journal: Journal, clock: SetClock) -> None:
    fence = await journal.claim("daemon", "one", 10)
    assert fence is not None
    clock.seconds += 9
    await journal.renew(fence, 10)
    clock.seconds += 9
    assert await journal.claim("daemon", "two", 10) is None


async def test_a_released_lease_is_free_at_once_and_its_fence_worth_nothing(journal: Journal) -> None:
    fence = await journal.claim("daemon", "one", 10)
    assert fence is not None
    await journal.release(fence)
    for late in (journal.append("s", 0, paused("late"), by="", fence=fence), journal.renew(fence, 10)):
        with pytest.raises(Fenced):
            await late
    taken = await journal.claim("daemon", "two", 10)
    assert taken is not None and taken.token > fence.token
    await journal.release(fence)
    await journal.renew(taken, 10)


async def test_a_fence_that_nobody_ever_had_is_refused(journal: Journal) -> None:
    with pytest.raises(Fenced):
        await journal.append("s", 0, paused("a"), by="", fence=Fence("daemon", 1))


# ---------------------------------------------------------------------------------- the fake is no other

NAMES = st.sampled_from(["x", "y"])
OPERATIONS = st.one_of(
    st.tuples(st.just("append"), NAMES, st.integers(-1, 2), st.integers(0, 3), st.integers(0, 9)),
    st.tuples(st.just("claim"), NAMES, st.sampled_from(["one", "two"]), st.floats(0, 20)),
    st.tuples(st.sampled_from(["renew", "release"]), st.integers(0, 9)),
    st.tuples(st.just("read"), NAMES, st.integers(-1, 5)),
    st.tuples(st.just("read_all"), st.integers(-0, 9), st.integers(1, 4)),
    st.tuples(st.just("pass"), st.floats(0, 15)),
)


async def outcome(journal: Journal, fences: list[Fence], operation: tuple[Any, ...]) -> object:
    match operation:
        case ("append", stream, lag, count, chosen):
            fence = fences[chosen] if chosen < len(fences) else None
            expected = len(await journal.read(stream)) - lag
            return await journal.append(stream, expected, [RunResumed(stream)] * count, by="", fence=fence)
        case ("claim", name, owner, ttl_s):
            fence = await journal.claim(name, owner, ttl_s)
            fences += [fence] if fence else []
            return fence
        case ("renew", chosen) if chosen < len(fences):
            return await journal.renew(fences[chosen], 10)
        case ("release", chosen) if chosen < len(fences):
            return await journal.release(fences[chosen])
        case ("read", stream, after):
            return await journal.read(stream, after)
        case ("read_all", after, limit):
            return await journal.read_all(after, limit)
    return None


async def answers(journal: Journal, clock: SetClock, operations: list[tuple[Any, ...]]) -> list[object]:
    told: list[object] = []
    fences: list[Fence] = []
    for operation in operations:
        if operation[0] == "pass":
            clock.seconds += operation[1]
        try:
            told.append(await outcome(journal, fences, operation))
        except HeddleError as error:
            told.append((type(error), error.slug, error.message))
    return [*told, await journal.streams(), journal.position(), await journal.read_all()]


@settings(max_examples=60, deadline=None)
@given(operations=st.lists(OPERATIONS, max_size=25))
def test_whatever_is_asked_in_whatever_order_all_journals_answer_the_same(
    operations: list[tuple[Any, ...]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    told = []
    for make in JOURNALS.values():
        clock = SetClock()
        journal = make(tmp_path_factory.mktemp("journal"), clock)
        told.append(asyncio.run(answers(journal, clock, operations)))
        journal.close()
    assert told[0] == told[1]
