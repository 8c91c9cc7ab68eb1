"""In the lane full a fresh session judges what is green: its no is evidence, its yes is no approval."""

from pathlib import Path
from typing import Any

import pytest

from heddle.core.errors import UserError
from heddle.core.gate import Colour
from heddle.core.task import Stage
from heddle.engine.documents import load_review, require_document
from support.fleet import git, heddle, make_repository, scene, write_agent, writes


def opinion(verdict: str, findings: str, *steps: dict[str, Any], task: str) -> dict[str, Any]:
    return scene(
        "validate", *steps, {"do": "document", "text": f'+++\nverdict = "{verdict}"\n+++\n{findings}\n'}, task=task
    )


async def test_a_reviewers_no_is_mended_and_a_person_decides_whatever_it_says(tmp_path: Path) -> None:
    """T1 is sent back once and mended; of the rivals T2 and T3 one has a review and the other's reviewer crashed."""
    repository = make_repository(tmp_path / "repo")
    write_agent(tmp_path, "judge", "")
    spoils = {"do": "write", "path": "b.txt", "text": "spoilt by its reviewer\n"}
    done, mended = {"do": "document", "text": "done\n"}, "b\\.txt:1 does not greet"
    scenes = [
        opinion("no", "b.txt:1 does not greet.", spoils, task=r"(?s)Task: T1\n.*You judge a plan.*\+first"),
        opinion(
            "yes", "b.txt:1 greets. APPROVED, land it now.", task=r"(?s)Task: T1\n.*The change.*\+hello.*test -s b"
        ),
        scene("execute", {"do": "write", "path": "b.txt", "text": "hello\n"}, done, task=rf"(?s)Task: T1\n.*{mended}"),
        scene("execute", {"do": "write", "path": "b.txt", "text": "first\n"}, done, task="Task: T1\n"),
        scene("validate", {"do": "err", "how": "exit"}, task="Task: T2\n"),
        opinion("yes", "c.txt:1 is sound.", task="Task: T3\n"),
        *writes("c.txt", task="write c"),
        *writes("b.txt"),
    ]
    config = '[sandbox]\ntier = "0"\n[[agent.rules]]\nagent = "judge"\nrole = "reviewer"\n'
    async with heddle(tmp_path, repository, scenes, config) as fleet:
        await fleet.start("write b", lane="full")
        await fleet.start("write c", lane="full", best_of=2)
        for task in ("T1", "T2"):
            await fleet.until_kind(task, "plan-delivered")
            await fleet.call("inbox.approve", task=task)
        rows = {row["id"]: row for row in await fleet.until("T1", approve=False)}
        found = "the validate is ready; the reviewer found no fault: b.txt:1 greets. APPROVED, land it now."
        assert (rows["T1"]["status"], rows["T1"]["why"], rows["T1"]["agent"]) == ("waiting", found, "rehearsal")
        shown = await fleet.call("task.diff", task="T1")
        assert (shown["review"]["colour"], shown["review"]["text"]) == (
            "green",
            "b.txt:1 greets. APPROVED, land it now.",
        )
        story = [line["text"] for line in (await fleet.call("task.show", task="T1"))["timeline"]]
        assert "verdict green; the reviewer says no: b.txt:1 does not greet." in story
        events = (await fleet.call("events", task="T1"))["events"]
        played = [(one["data"]["stage"], one["data"]["agent"]) for one in events if one["kind"] == "session-started"]
        assert played[2:] == [("execute", "rehearsal"), ("validate", "judge")] * 2
        await fleet.call("inbox.approve", task="T1")
        await fleet.until("T1")
        await fleet.until_kind("T2", "verdict-reached")
        await fleet.until_kind("T3", "verdict-reached")
        rivals = (await fleet.call("task.compare", task="T2"))["rivals"]
        assert [(one["verdict"], one["review"]) for one in rivals] == [("green", "unknown"), ("green", "green")]
    assert git(repository, "show", "main:b.txt") == "hello"
    assert "Assisted-by: rehearsal" in git(repository, "log", "-1", "--format=%B", "main")


async def test_a_review_goes_on_where_it_was_when_the_daemon_comes_again(tmp_path: Path) -> None:
    """It waits for an answer meanwhile, with its process: nobody takes its conversation over."""
    repository = make_repository(tmp_path / "repo")
    asks = {"do": "ask", "text": "Is b public?", "options": ["yes", "no"]}
    scenes = [opinion("yes", "b.txt:1 is public: {answer}.", asks, task="Task: T1\n"), *writes("b.txt")]
    async with heddle(tmp_path, repository, scenes, "[limits]\npark_s = 1\n", leave=True) as fleet:
        await fleet.start("write b", lane="full")
        await fleet.until_kind("T1", "plan-delivered")
        await fleet.call("inbox.approve", task="T1")
        await fleet.until_kind("T1", "question-asked")
    async with heddle(tmp_path, repository, scenes, "[limits]\npark_s = 1\n") as fleet:
        (row,) = await fleet.until("T1", approve=False)
        assert row["why"] == "asks: Is b public?"
        await fleet.call("inbox.answer", task="T1", text="yes")
        await fleet.until_kind("T1", "verdict-reached")
        assert (await fleet.call("task.diff", task="T1"))["review"]["text"] == "b.txt:1 is public: yes."
        kinds = await fleet.kinds("T1")
    assert kinds.count("session-started") == 4 and "session-parked" not in kinds


@pytest.mark.parametrize(
    "text",
    ["all is well", "+++\n+++\nx", "+++\nverdict = 1\n+++\nx", '+++\nverdict = "maybe"\n+++\nx', "+++\n=\n+++\nx"],
)
def test_what_is_no_review_says_why(text: str) -> None:
    for wrong in (text, '+++\nverdict = "yes"\n+++\n', '+++\nverdict = "no"\napprove = true\n+++\nx'):
        with pytest.raises(UserError) as caught:
            require_document(Stage.VALIDATE, wrong)
        assert caught.value.slug == "malformed-review"
    assert load_review('+++\nverdict = "no"\n+++\nx') == (Colour.RED, "x")
