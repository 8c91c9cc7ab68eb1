"""A session that waits for a person costs no process, and its conversation survives everything."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path

import pytest

from heddle.adapters.workspaces.trash import delete_tree
from heddle.core.events import AgentAnswered, SessionParked, SessionStarted
from heddle.engine.stages import AgentStage
from support.fleet import Heddle, heddle, make_repository, scene, write_agent, writes

ASKS = scene(
    "execute",
    {"do": "write", "path": "b.txt", "text": "half\n"},
    {"do": "ask", "text": "Which?", "options": ["x", "y"], "default": "x"},
    {"do": "write", "path": "b.txt", "text": "{answer}\n"},
    {"do": "document", "text": "d\n"},
)
SOON = "[limits]\npark_s = 1\n"


async def until_parked(fleet: Heddle) -> str:
    """A task whose session asked and is parked; returns when nothing of it lives."""
    id = await fleet.start("write b")
    await fleet.until_kind(id, "plan-delivered")
    await fleet.call("inbox.approve", task=id)
    await fleet.until_kind(id, "session-parked")
    async with asyncio.timeout(30):
        while await left_alive(fleet):
            await asyncio.sleep(0.02)
    return id


async def left_alive(fleet: Heddle) -> list[str]:
    """What lives of the executing session: its holder by the session's name, and every process that sees its folders:
    agents, and what keeps a box."""
    house = fleet.house.enclosures.none
    found = [key for boxes in (False, True) for key in await house.live(boxes=boxes) if "execute" in key]
    outs = [folder.stat() for folder in Path(os.environ["HEDDLE_HOME"]).glob("*/*/t1-1-execute-1/out")]
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            seen = (folder / "root" / "heddle" / "out").stat()
            if any(os.path.samestat(seen, out) for out in outs):
                found.append(folder.name)
    return found


def mounts() -> str:
    """What this process sees mounted below the state."""
    state = os.environ["HEDDLE_HOME"]
    return "\n".join(line for line in Path("/proc/self/mounts").read_text().splitlines() if state in line)


async def test_a_session_that_waits_is_parked_and_goes_on_with_the_answer(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, [ASKS, *writes("b.txt")], SOON) as fleet:
        id = await until_parked(fleet)
        assert mounts() == ""
        shown = await fleet.call("task.show", task=id)
        assert (shown["status"], shown["why"]) == ("waiting", "asks: Which?")
        items = (await fleet.call("inbox"))["items"]
        assert [(item["kind"], item["text"]) for item in items] == [("question", "Which?")]
        await fleet.call("inbox.answer", task=id, text="y")
        rows = await fleet.until(id)
        assert rows[0]["status"] == "landed"
        kinds = await fleet.kinds(id)
    assert kinds.count("question-asked") == kinds.count("session-parked") == kinds.count("session-unparked") == 1
    assert (repository / "b.txt").read_text() == "y\n"


async def test_what_is_parked_survives_the_daemon_and_all_processes(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, [ASKS, *writes("b.txt")], SOON) as fleet:
        id = await until_parked(fleet)
    async with heddle(tmp_path, repository, [ASKS, *writes("b.txt")], SOON) as fleet:
        shown = await fleet.call("task.show", task=id)
        assert shown["status"] == "waiting"
        assert not await left_alive(fleet)
        await fleet.call("inbox.answer", task=id, text="y")
        assert (await fleet.until(id))[0]["status"] == "landed"
        events = (await fleet.call("events", task=id))["events"]
    started = [event["data"]["session"] for event in events if event["kind"] == "session-started"]
    assert started[-2:] == [f"{id}-1-execute-1.1", f"{id}-1-execute-1.2"]
    assert (repository / "b.txt").read_text() == "y\n"


async def test_d3_what_a_crash_left_of_a_parked_session_is_ended_before_it_goes_on(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, [ASKS, *writes("b.txt")], leave=True) as fleet:
        id = await fleet.start("write b")
        await fleet.until_kind(id, "plan-delivered")
        await fleet.call("inbox.approve", task=id)
        await fleet.until_kind(id, "question-asked")
        await fleet.house.dispatcher.close()  # the crash: the parking is on record, the process lives
        session = f"{id}-1-execute-1.1"
        answered = (await fleet.house.journal.read(f"session:{session}"))[0].event
        assert isinstance(answered, AgentAnswered)
        await fleet.house.desk.runs.record(id, SessionParked(session, answered.agent_session))
        assert len(await left_alive(fleet)) > 1
    async with heddle(tmp_path, repository, [ASKS, *writes("b.txt")]) as fleet:
        async with asyncio.timeout(30):
            while await left_alive(fleet):
                await asyncio.sleep(0.02)
        assert (await fleet.call("task.show", task=id))["status"] == "waiting"
        assert (await fleet.until(id))[0]["status"] == "landed"
        assert (await fleet.kinds(id)).count("question-asked") == 1


async def test_d6_a_workspace_that_was_deleted_meanwhile_fails_the_attempt_and_is_no_empty_one(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    again = {**ASKS, "attempt": 1}
    async with heddle(tmp_path, repository, [again, *writes("b.txt", "anew\n")], SOON) as fleet:
        id = await until_parked(fleet)
        (folder,) = Path(os.environ["HEDDLE_HOME"]).glob("*/*/t1-1-execute-1")
        while folder.exists():  # the last of the parking may still let go of something in there
            with suppress(FileNotFoundError):
                delete_tree(folder)
        await fleet.call("inbox.answer", task=id, text="y")
        failed = (await fleet.until_kind(id, "stage-failed"))["data"]
        assert failed["reason"] == "workspace-lost"
        assert (await fleet.until(id))[0]["status"] == "landed"
    assert (repository / "b.txt").read_text() == "anew\n"


async def test_an_answer_is_told_with_its_question_and_older_ones_are_not_told_again(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    first = {"do": "ask", "text": "Delete the table?", "options": ["yes", "no"], "default": "no"}
    asks = {**ASKS, "steps": [first, *ASKS["steps"]]}
    async with heddle(tmp_path, repository, [asks, *writes("b.txt")], SOON) as fleet:
        id = await fleet.start("write b", lane="quick", checks=["test -s b.txt"])
        await fleet.until_kind(id, "question-asked")
        await fleet.call("inbox.answer", task=id, text="no")
        await fleet.until_kind(id, "session-parked")
        await fleet.call("inbox.answer", task=id, text="y")
        await fleet.until(id)
        order = Path(os.environ["HEDDLE_HOME"]) / "holders"
        (said,) = order.glob(f"{id}-1-execute-1.2*/input*")
        told = said.read_text()
    assert "Which?" in told and "Delete the table?" not in told


async def test_d3_a_person_who_is_faster_than_the_next_session_has_the_conversation_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They take it over after it was unparked and before the next session is on record."""
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, [ASKS, *writes("b.txt")], SOON) as fleet:
        id = await fleet.start("write b", lane="quick", checks=["test -s b.txt"])
        await fleet.until_kind(id, "session-parked")
        begin, told = AgentStage._begin, dict[str, str]()

        async def slowly(self: AgentStage, started: SessionStarted) -> bool:
            if not told:
                told.update(await fleet.call("session.attach", task=id))
            return await begin(self, started)

        monkeypatch.setattr(AgentStage, "_begin", slowly)
        await fleet.call("inbox.answer", task=id, text="y")
        async with asyncio.timeout(60):
            while not told or "visit" not in str(live := await fleet.house.enclosures.none.live()) or len(live) != 1:
                await asyncio.sleep(0.02)
        assert (await fleet.call("task.show", task=id))["why"].startswith("a person talks to the agent")
        events = (await fleet.call("events", task=id))["events"]
        assert [e["data"]["session"][-2:] for e in events if e["kind"] == "session-parked"] == [".1", ".1", ".2"]
        held = await fleet.house.enclosures.none.find(live[0])
        assert held is not None
        await held.stop(0)  # they leave
        assert (await fleet.until(id))[0]["status"] == "landed"


async def test_a_parked_session_takes_no_place(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    scenes = [{**ASKS, "task": "write b"}, *writes("b.txt", task="write b"), *writes("c.txt", task="write c")]
    async with heddle(tmp_path, repository, scenes, SOON + "sessions = 1\n") as fleet:
        id = await until_parked(fleet)
        other = await fleet.start("write c")
        assert (await fleet.until(other, approve=True))[0]["status"] == "landed"
        await fleet.until(id)


async def test_an_answer_that_comes_soon_finds_the_agent_where_it_was(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, [ASKS, *writes("b.txt")], "[limits]\npark_s = 600\n") as fleet:
        id = await fleet.start("write b")
        assert (await fleet.until(id))[0]["status"] == "landed"
        kinds = await fleet.kinds(id)
    assert "session-parked" not in kinds
    assert kinds.count("session-started") == 3


async def test_an_agent_that_cannot_resume_keeps_its_process(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    write_agent(tmp_path, "forgetful", "")
    brand = tmp_path / "agents" / "forgetful.toml"
    brand.write_text(brand.read_text().replace("resume = true", "resume = false"))
    async with heddle(tmp_path, repository, [ASKS, *writes("b.txt")], SOON) as fleet:
        id = await fleet.start("write b", agent="forgetful")
        await fleet.until_kind(id, "plan-delivered")
        await fleet.call("inbox.approve", task=id)
        await fleet.until_kind(id, "question-asked")
        with pytest.raises(TimeoutError):
            await fleet.until_kind(id, "session-parked", limit_s=3)
        assert len(await left_alive(fleet)) > 1
        assert (await fleet.until(id))[0]["status"] == "landed"
