"""The matrix of the radar: every pair once, unknown told apart from clear, outside text harmless."""

from typing import Any

from inline_snapshot import snapshot

from support.command_line import heddle
from support.stand_in import StandIn


def task(id: str, **more: Any) -> dict[str, Any]:
    return {"id": id, "title": f"do {id}\x1b[2J", "session": "s", "changed": 2, **more}


def drift(one: str, other: str, level: int | None, **more: Any) -> dict[str, Any]:
    told = {"one": one, "other": other, "level": level, "means": "conflict", "paths": [], "detail": "", "told": []}
    return {**told, **more}


def test_the_matrix_and_a_line_for_each_pair(daemon: StandIn) -> None:
    daemon.answers["radar"] = {
        "tasks": [task("T1"), task("T2", session="", changed=None), task("T10")],
        "drifts": [
            drift("T1", "T2", 3, paths=["a\x1b.py"] * 7, told=["T2-1-execute-1.1"]),
            drift("T2", "T10", None, means="nobody can say", detail="git failed\x1b[1m\nbadly"),
            drift("T1", "", 1, means="same file, other places"),
        ],
    }
    ended = heddle("radar")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out == snapshot("""\
      T1    T2    T10   main
T1    -     3     ·     1     2 changed  at work  do T1\\x1b[2J
T2    3     -     ?     ·     ? changed  waits to land  do T2\\x1b[2J
T10   ·     ?     -     ·     2 changed  at work  do T10\\x1b[2J
· clear  1 same file, other places  2 next to each other  3 conflict  4 broken together  5 red together  ? unknown
T1 and T2: conflict: a\\x1b.py, a\\x1b.py, a\\x1b.py, a\\x1b.py, a\\x1b.py, a\\x1b.py ...; told to T2-1-execute-1.1
T2 and T10: nobody can say
    git failed\\x1b[1m
    badly
T1 and main: same file, other places
""")


def test_columns_that_do_not_fit_are_counted_and_nothing_at_work_is_said(daemon: StandIn) -> None:
    daemon.answers["radar"] = {"tasks": [task(f"T{n}") for n in range(1, 60)], "drifts": [drift("T1", "T9", 3)]}
    lines = heddle("radar").out.splitlines()
    assert lines[0].split() == ["T1", "T9", "main"]
    assert all(len(line) <= 100 for line in lines[:60])
    assert "57 columns are left out; all pairs: heddle radar --json" in lines
    daemon.answers["radar"] = {"tasks": [], "drifts": []}
    assert heddle("radar").out == "nothing is at work, and nothing waits to land\n"
