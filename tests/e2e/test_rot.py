"""What a session knows comes apart from what is: it is seen, named, and acted upon."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from support.fleet import Heddle, git, heddle, make_repository, scene, writes

TIER = '[sandbox]\ntier = "0"\n'


def commit(fleet: Heddle, path: str, text: str) -> None:
    """The person changes a file on main."""
    (fleet.repository / path).write_text(text)
    git(fleet.repository, "add", path)
    git(fleet.repository, "commit", "-qm", f"{path} is another")


@pytest.mark.parametrize("path", ["a.py", "c.py"])
async def test_research_is_made_anew_when_main_changed_what_it_cites(tmp_path: Path, path: str) -> None:
    """With another file, which is the control, what was found still holds."""
    anew = scene("research", {"do": "document", "text": "# Anew\n- a.py:1\n"}, task="research of an older commit")
    async with heddle(tmp_path, make_repository(tmp_path / "repo"), [anew, *writes("b.txt")], TIER) as fleet:
        await fleet.start("write b")
        await fleet.until("T1", approve=False)
        commit(fleet, path, "x = 2\n")
        (row,) = await fleet.until("T1")
        assert row["status"] == "landed", row["why"]
        events = (await fleet.call("events", task="T1"))["events"]
    stages = [event["data"]["stage"] for event in events if event["kind"] == "stage-started"]
    outdated = [event["data"] for event in events if event["kind"] == "plan-outdated"]
    usual = ["research", "plan", "execute", "validate", "land"]
    assert stages == (["research", "plan", *usual] if path == "a.py" else usual)
    assert [(data["research"], data["why"]) for data in outdated] == [
        (True, "'a.py', which the research cites, changed on main since")
    ] * (path == "a.py")
    assert next(event["data"]["text"] for event in reversed(events) if event["kind"] == "research-delivered") == (
        "# Anew\n- a.py:1\n" if path == "a.py" else "# Research\n- a.py:1\n"
    )


async def seen(fleet: Heddle, score: int, *signs: tuple[str, str]) -> dict[str, Any]:
    """The rot of T1's session as board and `why` tell it alike: its score, and reasons with their reactions."""
    board = (await fleet.call("board"))["tasks"][0]
    rot: dict[str, Any] = (await fleet.call("task.why", task="T1"))["rot"]
    sessions = (await fleet.call("session.list", task="T1"))["sessions"]
    assert board["rot"] == rot == sessions[-1]["rot"] and all(one["rot"] is None for one in sessions[:-1])
    assert (rot["score"], [(sign["reason"], sign["reaction"]) for sign in rot["signs"]]) == (score, list(signs))
    assert any(flag.startswith("rot ") for flag in board["flags"]) == (score >= 10)
    return rot


async def test_each_reason_alone_is_seen_with_its_score_and_its_reaction(tmp_path: Path) -> None:
    """After each the fact is taken back, and it is gone."""
    steps = [
        {"do": "ask", "text": "first?"},
        {"do": "tool", "tool": "read_notes", "arguments": "{}"},
        {"do": "usage", "input": 170_000},
        {"do": "ask", "text": "second?"},
    ]
    scenes = writes("b.txt")
    scenes[2]["steps"] = [*steps, *scenes[2]["steps"]]
    repository = make_repository(tmp_path / "repo", {"a.py": "x = 1\n", "AGENTS.md": "Use tabs.\n"})
    async with heddle(tmp_path, repository, scenes, TIER) as fleet:
        await fleet.start("write b")
        await fleet.until("T1", approve=False)
        assert (await fleet.call("board"))["tasks"][0]["rot"] is None, "no session is at work"
        digest = (await fleet.call("inbox"))["items"][0]["digest"]
        await fleet.call("inbox.approve", task="T1", digest=digest)
        await fleet.until_kind("T1", "question-asked")
        fresh = await seen(fleet, 0)
        assert fresh["unknown"] == ["its agent does not say how full its context is"]
        for path, score, sign in (
            ("AGENTS.md", 20, ("rules", "note")),
            ("b.txt", 10, ("drift", "refresh")),
            ("a.py", 10, ("research", "refresh")),
        ):
            commit(fleet, path, "another\n")
            rot = await seen(fleet, score, sign)
            assert path in rot["signs"][0]["text"]
            git(repository, "reset", "-q", "--hard", "HEAD~1")
            await seen(fleet, 0)
        await fleet.call("note.add", root=str(repository), text="elsewhere", paths=["docs/**"])
        await seen(fleet, 0)
        await fleet.call("note.add", root=str(repository), text="mind b", paths=["b.*"])
        await seen(fleet, 5, ("notes", "note"))
        await fleet.call("inbox.answer", task="T1", text="go")
        while len(fleet.house.desk.require("T1").answers) < 1 or not fleet.house.desk.require("T1").questions:
            await fleet.house.journal.wait(fleet.house.journal.position())
        rot = await seen(fleet, 21, ("context", "refresh"))  # it has read the note
        assert (rot["signs"][0]["text"], rot["unknown"]) == ("its context is 85 % full", [])
        assert (await fleet.until("T1"))[0]["status"] == "landed"
        assert (await fleet.call("task.why", task="T1"))["rot"] is None


async def test_c4_what_cannot_be_looked_at_is_unknown_and_no_board_fails_for_it(tmp_path: Path) -> None:
    scenes = [scene("execute", {"do": "ask", "text": "which?"}, {"do": "write", "path": "b.txt", "text": "x\n"})]
    async with heddle(tmp_path, make_repository(tmp_path / "repo"), scenes, TIER) as fleet:
        await fleet.start("write b", lane="quick", checks=["true"])
        await fleet.until_kind("T1", "question-asked")
        (tmp_path / "repo" / ".git" / "refs" / "heads" / "main").write_text("none\n")
        rot = await seen(fleet, 0)
        assert rot["unknown"][0].startswith("main cannot be looked at: ") and rot["signs"] == []


@pytest.mark.parametrize("path", ["b2.txt", "c.txt"])
async def test_d1_a_session_hears_once_how_main_changed_its_files_before_it_is_done(tmp_path: Path, path: str) -> None:
    """And where its task stands, for its context is nearly full. With a file that is not its own, the control, it is done."""
    waits = f"touch {tmp_path}/works; until [ -e {tmp_path}/changed ]; do sleep 0.02; done"
    mended = [{"do": "write", "path": "b.txt", "text": "mended\n"}, {"do": "ask", "text": "sure?"}]
    scenes = [
        scene("execute", *mended, {"do": "document", "text": "mended\n"}, task=r"(?s)\+another.*once more, as data"),
        scene(
            "execute",
            {"do": "write", "path": "b.txt", "text": "as planned\n"},
            {"do": "usage", "input": 170_000},
            {"do": "run", "command": waits},
            {"do": "document", "text": "done\n"},
        ),
    ]
    async with heddle(tmp_path, make_repository(tmp_path / "repo"), scenes, TIER) as fleet:
        await fleet.start("write b", lane="quick", scope=["b.txt", "b2.txt"], checks=["test -s b.txt"])
        async with asyncio.timeout(30):
            while not (tmp_path / "works").exists():
                await asyncio.sleep(0.02)
        commit(fleet, path, "another\n")
        (tmp_path / "changed").touch()
        if path == "b2.txt":
            await fleet.until_kind("T1", "question-asked")
            await seen(fleet, 21, ("context", "refresh"))  # of the file it knows
        (row,) = await fleet.until("T1")
        assert row["status"] == "landed", row["why"]
        given = [
            event["data"]
            for event in (await fleet.call("events", task="T1"))["events"]
            if event["kind"] == "drift-given"
        ]
    assert [(one["turn"], one["paths"]) for one in given] == ([(1, ["b2.txt"])] if path == "b2.txt" else [])
    assert git(tmp_path / "repo", "show", "main:b.txt") == ("mended" if path == "b2.txt" else "as planned")
