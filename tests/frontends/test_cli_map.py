"""`heddle map` as a process: with answers that a test names, and on real repositories."""

import json
from pathlib import Path
from typing import Any

import pytest

from support.command_line import heddle
from support.fleet import git, make_repository
from support.stand_in import StandIn


def drawn(**told: Any) -> dict[str, Any]:
    plain = {
        "schema": "heddle.map/1",
        "commits": 900,
        "files": 70,
        "shallow": False,
        "unread": 0,
        "why_unread": "",
        "modular": "yes",
        "why": "61% of the commits with several files stay within one part",
        "at_once": 4,
        "parts": [{"name": "src/\x1b[31ma", "share": 0.253, "count": 12, "files": ["src/a/x.py"]}] * 16,
        "hot": [{"path": "CHANGES.md", "share": 0.15, "policy": "fragments"}],
        "hidden": [{"one": "a.py", "other": "b.py", "commits": 7, "degree": 0.4}],
        "advice": [{"kind": "hot", "text": "CHANGES.md: 15%", "files": ["CHANGES.md"]}],
        "svg": "<svg/>",
    }
    return plain | told


def test_the_map_is_a_table_with_its_verdict_and_a_picture_on_request(daemon: StandIn, tmp_path: Path) -> None:
    daemon.answers["map"] = drawn(shallow=True, unread=3, why_unread="they are elsewhere")
    ended = heddle("map", "--svg", "m.svg", cwd=tmp_path)
    assert (ended.status, (tmp_path / "m.svg").read_text()) == (0, "<svg/>")
    assert daemon.calls("map") == [{"root": str(tmp_path), "svg": True}]
    first, *_, part, more, hot, hidden, verdict = ended.out.splitlines()
    assert [first, part, more, hot, hidden, verdict] == [
        "PART                                               WORK  FILES  MOST CHANGED",
        "src/\\x1b[31ma                                       25%     12  x.py",
        "and 1 smaller parts",
        "hot      15%  CHANGES.md  (fragments)",
        "hidden  a.py with b.py: 7 common commits, no import",
        "modular, about 4 tasks at once: 61% of the commits with several files stay within one part",
    ]
    assert "shallow" in ended.err and "imports of 3 files were not read: they are elsewhere" in ended.err


def test_advice_is_a_line_each_and_json_is_the_whole_answer(daemon: StandIn, tmp_path: Path) -> None:
    daemon.answers["map"] = drawn()
    assert heddle("map", "--advise").out == "CHANGES.md: 15%\n"
    assert json.loads(heddle("map", "--json").out)["at_once"] == 4
    daemon.answers["map"] = drawn(advice=[], parts=[], modular="no", why="all hangs together")
    assert heddle("map", "--advise").out == "nothing stands in the way of more tasks at once\n"
    assert heddle("map").out.splitlines()[-1] == "not modular: all hangs together"
    nowhere = heddle("map", "--svg", str(tmp_path / "no" / "m.svg"))
    assert nowhere.status == 7 and "was not written" in nowhere.err


@pytest.mark.usefixtures("real_daemon")
def test_a_repository_without_a_past_is_answered_clearly(tmp_path: Path) -> None:
    path = make_repository(tmp_path / "r", {"a.py": "import b\n", "b.py": ""})
    told = json.loads(heddle("map", "--json", cwd=path).out)
    assert (told["modular"], told["at_once"], told["commits"]) == ("unknown", 1, 1)
    assert told["why"] == "not enough history: 1 of 200 commits that tell something"
    (tmp_path / "empty").mkdir()
    git(tmp_path / "empty", "init", "-q")
    empty = heddle("map", cwd=tmp_path / "empty")
    assert empty.status == 2 and "has no commit yet" in empty.err


def test_why_names_the_neighbours_that_are_predicted(daemon: StandIn) -> None:
    told = {"task": "T9", "status": "running", "reason": "execute", "who": "heddle", "act": [], "timeline": []}
    near = [{"task": "T4", "path": "a\x1b.py", "chance": 0.312, "commits": 9, "band": "neighbours"}]
    daemon.answers["task.why"] = told | {"evidence": "", "near": near}
    assert "may meet T4 in a\\x1b.py (0.31, 9 past commits)\n" in heddle("why", "T9").out
