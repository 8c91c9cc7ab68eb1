"""A look at the fleet costs what changed, and misses nothing: compared with a fleet that sees everything for the first time."""

import asyncio
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from heddle.adapters.journal.memory import MemoryJournal
from heddle.core import events as e
from heddle.core.links import Link, LinkKind
from heddle.core.task import Task
from heddle.engine.fleet import Fleet
from heddle.engine.runs import Runs

MOST = 6
CLOCK: Any = SimpleNamespace(now=time.time)
OUTSIDE: Any = SimpleNamespace(clock=CLOCK)
IDS = st.integers(1, MOST).map(lambda number: f"T{number}")
LINKS = st.lists(st.builds(Link, st.sampled_from(LinkKind), IDS), max_size=3).map(tuple)
TASKS = st.builds(
    lambda id, links, contest: Task(id, "r", "/r", "main", "do it", links=links, contest=contest),
    IDS,
    LINKS,
    st.sampled_from(("", "", "T1")),
)


def fact(runs: Runs, task: Task, kind: str) -> e.Event:
    known = {run.task.id for run in runs.all()}
    if task.id not in known:
        return e.TaskAdded(task)
    before = runs.require(task.id).task
    if kind == "edit":
        return e.TaskEdited(replace(before, links=task.links))
    return e.TaskClosed("person", "done") if kind == "close" else e.TaskClaimed(1, "x", 0.0)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(TASKS, st.sampled_from(("edit", "close", "claim"))), min_size=1, max_size=25))
def test_a_look_misses_no_task_that_a_fact_bears_on(told: list[tuple[Task, str]]) -> None:
    async def play() -> None:
        runs = Runs(MemoryJournal(CLOCK))
        fleet = Fleet(runs, OUTSIDE, SimpleNamespace())  # type: ignore[arg-type]
        for task, kind in told:
            await runs.record(task.id, fact(runs, task, kind))
            await fleet.tick()
            anew = Fleet(runs, OUTSIDE, SimpleNamespace())  # type: ignore[arg-type]
            runs.bearing.due.update(run.task.id for run in runs.all())
            await anew.tick()
            for run in runs.all():
                assert fleet.decision(run) == anew.decision(run)

    asyncio.run(play())


async def test_a_fact_among_many_tasks_has_few_looked_at() -> None:
    runs = Runs(MemoryJournal(CLOCK))
    for number in range(1, 301):
        links = (Link(LinkKind.BLOCKS, f"T{number - 1}"),) if number % 3 == 0 else ()
        await runs.record(f"T{number}", e.TaskAdded(Task(f"T{number}", "r", "/r", "main", "do it", links=links)))
    fleet = Fleet(runs, OUTSIDE, SimpleNamespace())  # type: ignore[arg-type]
    await fleet.tick()
    assert not fleet.stale()
    await runs.record("T8", e.TaskClosed("person", "done"))
    assert runs.bearing.due == {"T8", "T9"} and fleet.stale()
    await fleet.tick()
    assert not fleet.stale() and fleet.decision(runs.require("T9")).reason == "not-started"  # type: ignore[union-attr]
