"""X3: what the daemon holds in memory does not grow with what sessions do."""

import tracemalloc
from pathlib import Path

from heddle.adapters.journal.sqlite import SqliteJournal
from heddle.core import events as e
from heddle.engine.runs import Runs

MANY = 100_000
AT_ONCE = 1_000


class Clock:
    def now(self) -> float:
        return 1_700_000_000.0


async def test_x3_a_hundred_thousand_facts_leave_memory_flat(tmp_path: Path) -> None:
    journal = SqliteJournal.open(tmp_path / "journal.db", Clock())
    runs = Runs(journal)
    await runs.load()

    async def play(facts: int) -> int:
        """Memory in use after so many more facts of ten sessions, in bytes."""
        for number in range(facts // AT_ONCE):
            used = [e.ToolUsed(number, "edit", f"Edit file {step}.py", (f"src/{step}.py",)) for step in range(AT_ONCE)]
            await runs.record_other(f"session:T1-1-execute-1.{number % 10}", *used)
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = await play(10 * AT_ONCE)
        after = await play(MANY)
        again = Runs(journal)
        await again.load()
        loaded = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
        journal.close()
    assert again.tally("session:T1-1-execute-1.3").seq == (MANY + 10 * AT_ONCE) // 10
    assert after - before < 1_000_000, (before, after)
    assert loaded - before < 1_000_000, (before, loaded)
