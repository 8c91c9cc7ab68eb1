"""Drift is seen while sessions work, told once to the one who has to know, and costs nobody else a turn."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from heddle.engine import scopewatch
from support.fleet import Heddle, git, heddle, make_repository, scene

BARE = '[sandbox]\ntier = "0"\n'
LINES = "".join(f"line {number}\n" for number in range(1, 61))


def changed(number: int, who: str) -> str:
    return LINES.replace(f"line {number}\n", f"{who} {number}\n")


def waits(flag: Path) -> dict[str, Any]:
    return {"do": "run", "command": f"until [ -e {flag} ]; do sleep 0.02; done"}


def flags(flag: Path) -> dict[str, Any]:
    return {"do": "run", "command": f"touch {flag}"}


def writes(path: str, text: str) -> dict[str, Any]:
    return {"do": "write", "path": path, "text": text}


DONE = {"do": "document", "text": "done\n"}


async def drifts(fleet: Heddle) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What the radar put on record, and what sessions were told."""
    events = (await fleet.call("events", limit=5000))["events"]
    found = [
        {**event["data"]["drift"], "position": event["position"]} for event in events if event["kind"] == "radar-found"
    ]
    return found, [event["data"]["told"] for event in events if event["kind"] == "radar-told"]


def ended(events: list[dict[str, Any]]) -> int:
    return min(event["position"] for event in events if event["kind"] == "session-ended")


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks at a workspace come sooner after each other."""
    monkeypatch.setattr(scopewatch, "PAUSE_S", 0.3)


async def until_seen(fleet: Heddle, task: str, paths: int) -> None:
    """Wait until the radar has seen so many changed paths of a task that is at work."""
    async with asyncio.timeout(30):
        while True:
            told = await fleet.call("radar", root=str(fleet.repository))
            if any(one["id"] == task and one["changed"] == paths for one in told["tasks"]):
                return
            await asyncio.sleep(0)


@pytest.mark.parametrize(("number", "level"), [(5, 3), (50, 1)], ids=["the-same-lines", "far-apart"])
async def test_the_same_lines_in_two_sessions_are_seen_and_told_once_and_far_ones_to_nobody(
    tmp_path: Path, number: int, level: int
) -> None:
    """T2 strays out of its scope into what T1 changes; when it hears of it, it puts the file back."""
    repository = make_repository(tmp_path / "repo", {"shared.txt": LINES, "b.txt": "b\n"})
    edited, over = tmp_path / "edited", tmp_path / "over"
    stray = {"do": "run", "command": f"sed -i 's/^line {number}$/T2 {number}/' shared.txt"}
    back = {"do": "run", "command": "git checkout -q -- shared.txt"}
    scenes = [
        scene("execute", back, writes("b.txt", "mended\n"), DONE, task="T1 changed the same lines"),
        scene("execute", writes("shared.txt", changed(5, "T1")), writes("a.txt", "a\n"), waits(over), DONE, task="Task: T1\n"),
        scene("execute", waits(edited), stray, DONE, task="Task: T2\n", attempt=1),
        scene("execute", back, writes("b.txt", "again\n"), DONE, task="Task: T2\n"),
    ]  # fmt: skip
    async with heddle(tmp_path, repository, scenes, BARE) as fleet:
        await fleet.start("change line 5", lane="quick", scope=["shared.txt", "a.txt"], checks=["test -s a.txt"])
        await fleet.start("change b", lane="quick", scope=["b.txt"], checks=["test -s b.txt"])
        await until_seen(fleet, "T1", 2)
        edited.touch()
        await fleet.until_kind("T2", "result-delivered")
        first = (await fleet.call("radar", root=str(repository)))["drifts"]
        over.touch()
        rows = await fleet.until("T1", "T2")
        found, told = await drifts(fleet)
        events = (await fleet.call("events", limit=5000))["events"]
        after = (await fleet.call("radar", root=str(repository)))["drifts"]
    assert [row["status"] for row in rows] == ["landed", "landed"], rows
    assert git(repository, "show", "main:shared.txt") == changed(5, "T1").strip()
    assert git(repository, "show", "main:b.txt") == ("mended" if level == 3 else "again")
    pair = [drift for drift in found if (drift["one"], drift["other"]) == ("T1", "T2")]
    assert (pair[0]["level"], pair[0]["paths"]) == (level, ["shared.txt"])
    assert pair[0]["position"] < ended(events)  # both were at work
    assert [one["session"] for one in told] == (["T2-1-execute-1.1"] if level == 3 else [])
    for one in told:
        assert "+T1 5" in one["text"] and "change line 5" in one["text"] and one["about"] == [["T1", "T2", 3]]
    assert {drift["other"] for drift in first} <= {"T2"} and after == []


@pytest.mark.needs("boxes")
async def test_files_in_boxes_are_compared_through_them(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo", {"shared.txt": LINES, "b.txt": "b\n"})
    ask = {"do": "ask", "text": "now?", "options": ["yes", "no"]}
    stray = {"do": "run", "command": "sed -i 's/^line 5$/T2 5/' shared.txt"}
    back = {"do": "run", "command": "git checkout -q -- shared.txt"}
    scenes = [
        scene("execute", back, writes("b.txt", "mended\n"), DONE, task="T1 changed the same lines"),
        scene("execute", writes("shared.txt", changed(5, "T1")), writes("a.txt", "a\n"), ask, DONE, task="Task: T1\n"),
        scene("execute", ask, stray, DONE),
    ]
    async with heddle(tmp_path, repository, scenes, '[sandbox]\ntier = "2"\n') as fleet:
        await fleet.start("change line 5", lane="quick", scope=["shared.txt", "a.txt"], checks=["test -s a.txt"])
        await fleet.start("change b", lane="quick", scope=["b.txt"], checks=["test -s b.txt"])
        await until_seen(fleet, "T1", 2)
        await fleet.until_kind("T2", "question-asked")
        await fleet.call("inbox.answer", task="T2")
        await fleet.until_kind("T2", "result-delivered")
        rows = await fleet.until("T1", "T2")
        _, told = await drifts(fleet)
    assert [row["status"] for row in rows] == ["landed", "landed"], rows
    assert [(one["session"], one["about"]) for one in told] == [("T2-1-execute-1.1", [["T1", "T2", 3]])]
    assert git(repository, "show", "main:b.txt") == "mended"


MODULE = "def mean(values):\n    return sum(values) / len(values)\n"
USER = "from stats import mean\n\n\ndef report(rows):\n    return 0\n"


@pytest.mark.parametrize("name", ["average", "mean"], ids=["renamed", "control"])
async def test_a_new_use_of_what_a_neighbour_renames_is_told_before_both_are_merged(tmp_path: Path, name: str) -> None:
    """The scopes are apart, and so are the files: without the radar the second would be red on the merged tree."""
    repository = make_repository(tmp_path / "repo", {"stats.py": MODULE, "report.py": USER})
    edited, over = tmp_path / "edited", tmp_path / "over"
    renamed = MODULE.replace("mean", name) + "\nLIMIT = 1\n"
    mended = USER.replace("mean", "average").replace("return 0", "return average(rows)")
    scenes = [
        scene("execute", writes("report.py", mended), DONE, task="newly uses mean of stats.py"),
        scene("execute", writes("stats.py", renamed), writes("more.py", "x = 1\n"), waits(over), DONE, task="Task: T1\n"),
        scene("execute", waits(edited), writes("report.py", USER.replace("return 0", "return mean(rows)")), DONE),
    ]  # fmt: skip
    async with heddle(tmp_path, repository, scenes, BARE) as fleet:
        await fleet.start("rename mean", lane="quick", scope=["stats.py", "more.py"], checks=["test -s stats.py"])
        await fleet.start("report the mean", lane="quick", scope=["report.py"], checks=["test -s report.py"])
        await until_seen(fleet, "T1", 2)
        edited.touch()
        await fleet.until_kind("T2", "result-delivered")
        over.touch()
        rows = await fleet.until("T1", "T2")
        found, told = await drifts(fleet)
    assert [row["status"] for row in rows] == ["landed", "landed"], rows
    broken = [drift for drift in found if drift["level"] == 4]
    assert [drift["paths"] for drift in broken[:1]] == ([["report.py", "stats.py"]] if name != "mean" else [])
    assert [one["session"] for one in told] == (["T2-1-execute-1.1"] if name != "mean" else [])
    source = git(repository, "show", "main:report.py")
    assert ("average(rows)" in source) is (name != "mean")


@pytest.mark.parametrize("path", ["shared.txt", "other.txt"], ids=["the-same-lines", "control"])
async def test_a_session_hears_that_main_moved_under_it_where_a_merge_would_fail(tmp_path: Path, path: str) -> None:
    repository = make_repository(tmp_path / "repo", {"shared.txt": LINES, "other.txt": LINES})
    edited, moved = tmp_path / "edited", tmp_path / "moved"
    taken = writes("shared.txt", changed(30, "T1"))
    scenes = [
        scene("execute", taken, DONE, task="the branch 'main' changed the same lines"),
        scene("execute", writes("shared.txt", changed(5, "T1")), flags(edited), waits(moved), DONE),
    ]
    async with heddle(tmp_path, repository, scenes, BARE) as fleet:
        await fleet.start("change a line", lane="quick", scope=["shared.txt"], checks=["test -s shared.txt"])
        await fleet.until_kind("T1", "session-started")
        while not edited.exists():
            await fleet.house.journal.wait(fleet.house.journal.position())
        (repository / path).write_text(changed(5, "person"))
        git(repository, "commit", "-qam", "the person's own")
        moved.touch()
        rows = await fleet.until("T1")
        found, told = await drifts(fleet)
    assert rows[0]["status"] == "landed", rows
    stale = [(drift["one"], drift["other"], drift["level"]) for drift in found if drift["level"] == 3]
    assert stale == ([("T1", "", 3)] if path == "shared.txt" else [])
    assert len(told) == (1 if path == "shared.txt" else 0)
    text = git(repository, "show", "main:shared.txt")
    assert ("T1 30" in text and "person 5" in text) if path == "shared.txt" else "T1 5" in text
