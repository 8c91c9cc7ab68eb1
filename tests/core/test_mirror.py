"""What the issue of a task is to show."""

import pytest

from heddle.core import events as e
from heddle.core.evolve import fold
from heddle.core.mirror import Reflection, mirrored, reflection
from heddle.core.task import Task

TASK = Task("T1", "r", "/r", "main", "do it", source="github:acme/loom#1")
BEGUN = e.RunStarted(1, "m0")


@pytest.mark.parametrize(
    ("facts", "shown"),
    [
        ((), Reflection("T1/0/waiting")),
        ((e.TaskClaimed(1, "ada", 9.0),), Reflection("T1/0/working", working=True)),
        ((BEGUN,), Reflection("T1/1/working", working=True)),
        ((BEGUN, e.RunStopped("enough")), Reflection("T1/1/stopped")),
        ((e.TaskClosed("ada", "a secret reason"),), Reflection("T1/0/closed", closed=True)),
        ((BEGUN, e.Landed("c0", "main", "updated")), Reflection("T1/1/landed", "Landed on `main` as c0.", closed=True)),
    ],
)
def test_an_issue_shows_who_works_and_what_landed_and_no_word_of_anybodys(
    facts: tuple[e.Event, ...], shown: Reflection
) -> None:
    records = [
        e.Recorded("task:T1", n, n, 0.0, "p", "", 1, event) for n, event in enumerate((e.TaskAdded(TASK), *facts), 1)
    ]
    run = fold(records)
    assert run is not None
    assert reflection(run) == shown
    assert mirrored(run)
