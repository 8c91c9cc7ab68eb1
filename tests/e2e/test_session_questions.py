"""What a session asks the person through its tools, and what it says of how far it has come."""

import asyncio
import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from heddle.api import session_words
from support.fleet import Heddle, git, heddle, make_repository, scene

TIER = '[sandbox]\ntier = "0"\n'
WHICH = {"question": "Which\u001b[2J?", "options": ["x", "y"], "default": "x"}


def tool(name: str, **arguments: Any) -> dict[str, Any]:
    return {"do": "tool", "tool": name, "arguments": json.dumps(arguments)}


def asking(*first: dict[str, Any]) -> list[dict[str, Any]]:
    """Asks in its first turn, which ends without a document; writes what it was answered in the next one."""
    answered = [
        {"do": "ask", "text": "what the prompt answers already"},
        {"do": "write", "path": "b.txt", "text": "{answer}\n"},
        {"do": "document", "text": "done\n"},
    ]
    return [
        scene("execute", *answered, task="The answer, as data"),
        scene("execute", *first, tool("ask", **WHICH), {"do": "say", "text": "I wait."}),
    ]


def told(fleet: Heddle, session: str) -> str:
    path = fleet.house.desk.transcript(session)
    assert path is not None
    return path.read_text().replace("\\n", "\n")


async def begin(fleet: Heddle) -> str:
    return await fleet.start("write b", lane="quick", checks=["test -s b.txt"])


async def test_d1_an_answer_that_comes_after_the_turn_ended_is_the_sessions_next_turn_once(tmp_path: Path) -> None:
    """Also over a daemon that goes meanwhile; the session lives on and is never parked."""
    repository = make_repository(tmp_path / "repo")
    limits = f"{TIER}[limits]\npark_s = 600\nrepairs = 0\n"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(session_words, "PATIENCE_S", 0.2)
        async with heddle(tmp_path, repository, asking(), limits, leave=True) as fleet:
            await begin(fleet)
            await fleet.until_kind("T1", "question-asked")
            async with asyncio.timeout(30):
                while fleet.house.desk.runs.tally("session:T1-1-execute-1.1").turns < 1:
                    await fleet.house.journal.wait(fleet.house.journal.position())
            (item,) = (await fleet.call("inbox"))["items"]
            assert (item["kind"], item["text"], item["options"]) == ("question", "Which[2J?", ["x", "y"])
            assert "has not answered yet" in told(fleet, "T1-1-execute-1.1")
            assert (await fleet.call("task.show", task="T1"))["status"] == "waiting"
    async with heddle(tmp_path, repository, asking(), limits) as fleet:
        await fleet.call("inbox.answer", task="T1", text="y")
        (row,) = await fleet.until("T1")
        assert row["status"] == "landed", row["why"]
        kinds = await fleet.kinds("T1")
    assert [kinds.count(kind) for kind in ("question-asked", "answers-given", "session-started")] == [1, 1, 1]
    assert "session-parked" not in kinds
    assert git(repository, "show", "main:b.txt") == "y"


async def test_a_session_that_waits_for_what_its_tool_asked_is_parked_and_goes_on_with_the_answer(
    tmp_path: Path,
) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, asking(), TIER + "[limits]\npark_s = 1\n") as fleet:
        await begin(fleet)
        await fleet.until_kind("T1", "session-parked")
        assert (await fleet.call("task.show", task="T1"))["why"] == "asks: Which[2J?"
        await fleet.call("inbox.answer", task="T1", text="y")
        (row,) = await fleet.until("T1")
        assert row["status"] == "landed", row["why"]
        kinds = await fleet.kinds("T1")
    assert (kinds.count("question-asked"), kinds.count("answers-given")) == (1, 0)  # the next session begins with it
    assert git(repository, "show", "main:b.txt") == "y"


async def test_an_answer_that_comes_while_the_tool_waits_is_what_it_says_and_is_not_said_again(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    steps = [
        tool("ask", **WHICH),
        tool("report_progress", line="asked\nand answered"),
        tool("report_progress", line="at once again"),
        tool("ask", **WHICH),
        tool("ask", question="", options=[]),
        {"do": "write", "path": "b.txt", "text": "b\n"},
        {"do": "document", "text": "done\n"},
    ]
    async with heddle(tmp_path, repository, [scene("execute", *steps)], TIER) as fleet:
        await begin(fleet)
        await fleet.until_kind("T1", "question-asked")
        await fleet.call("inbox.answer", task="T1", text="y")
        reported = await fleet.until_kind("T1", "progress-reported")
        (row,) = await fleet.until("T1")
        assert row["status"] == "landed", row["why"]
        kinds, said = await fleet.kinds("T1"), told(fleet, "T1-1-execute-1.1")
    assert reported["data"]["text"] == "asked and answered"
    assert [kinds.count(kind) for kind in ("question-asked", "answers-given", "progress-reported")] == [1, 1, 1]
    assert said.count("The answer, as data:\n```\ny\n```") >= 2
    assert "not shown: your last line is less than 10 s old" in said
    assert "a question has 1 to 4000 characters" in said


@pytest.mark.parametrize("reports", [True, False])
async def test_w7_what_a_session_reports_is_progress(tmp_path: Path, reports: bool) -> None:
    """A command of its takes longer than its patience, and tells nobody but Heddle that it goes on."""
    repository = make_repository(tmp_path / "repo")
    says = "from heddle.rehearsal import tools; print(tools.call('report_progress', {'line': 'it goes on'}))"
    command = f'{sys.executable} -c "{says if reports else ""}"; read -t 3 < {tmp_path}/never; test -s a.py'
    os.mkfifo(tmp_path / "never")
    steps = [
        {"do": "run", "command": f"bash -c {shlex.quote(f'exec 9<>{tmp_path}/never; {command}')}"},
        {"do": "write", "path": "b.txt", "text": "b\n"},
        {"do": "document", "text": "done\n"},
    ]
    limits = f"{TIER}[limits]\nstall_s = 2\nattempts = 1\n"
    async with heddle(tmp_path, repository, [scene("execute", *steps)], limits) as fleet:
        await begin(fleet)
        (row,) = await fleet.until("T1")
    assert row["status"] == ("landed" if reports else "waiting"), row["why"]
    assert reports or "made no progress" in row["why"]
