"""Several attempts at one task compete: one plan for all, every rival is validated, one lands, the others are kept."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from heddle.core.errors import HeddleError
from support.fleet import Heddle, git, heddle, make_repository, scene, write_agent, writes

RIVALS = ("T1", "T2", "T3")


def attempt(task: str, *lines: str) -> dict[str, Any]:
    """What the rival of that id does in execute; without lines it leaves nothing that would pass."""
    steps = [{"do": "write", "path": "b.txt", "text": "".join(f"{line}\n" for line in lines)}]
    used = {"do": "usage", "input": 900, "output": 100, "usd": 0.25}
    return scene("execute", *steps, used, {"do": "document", "text": "done\n"}, task=f"Task: {task}\n")


def scenes(**texts: tuple[str, ...]) -> list[dict[str, Any]]:
    """One research and one plan, and an execute for each."""
    return [*(attempt(task, *lines) for task, lines in texts.items()), *writes("b.txt")[:2]]


async def compete(fleet: Heddle, **params: Any) -> None:
    """Start a contest of three and approve its one plan."""
    assert await fleet.start("write b", **{"best_of": 3, **params}) == "T1"
    await fleet.until_kind("T1", "plan-delivered")
    assert [row["id"] for row in (await fleet.call("board"))["tasks"]] == ["T1"]
    await fleet.call("inbox.approve", task="T1")


async def until_validated(fleet: Heddle, *tasks: str) -> None:
    async with asyncio.timeout(60):
        while not set(tasks) <= {row["id"] for row in (await fleet.call("board", all=True))["tasks"]}:
            await asyncio.sleep(0.02)
        for task in tasks:
            await fleet.until_kind(task, "verdict-reached")


async def asked(fleet: Heddle) -> list[tuple[str, str, str]]:
    """What the person is asked, once they are asked something."""
    async with asyncio.timeout(30):
        while not (items := (await fleet.call("inbox"))["items"]):
            await asyncio.sleep(0.02)
    return [(item["task"], item["kind"], item["text"]) for item in items]


async def test_one_plan_is_approved_and_the_person_chooses_among_what_was_validated(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    texts = {"T1": ("a", "b", "c"), "T2": ("short",), "T3": ("x", "y")}
    async with heddle(tmp_path, repository, scenes(**texts)) as fleet:
        await compete(fleet)
        await until_validated(fleet, *RIVALS)
        assert await asked(fleet) == [("T1", "rivals", "one of T1, T2, T3 is to be chosen: approve it")]
        told = await fleet.call("task.compare", task="T3")
        assert [(one["id"], one["insertions"], one["verdict"], one["green"]) for one in told["rivals"]] == [
            ("T1", 3, "green", True),
            ("T2", 1, "green", True),
            ("T3", 2, "green", True),
        ]
        assert {one["tokens"] for one in told["rivals"]} == {1000}
        await fleet.call("inbox.approve", task="T2")
        rows = {row["id"]: row for row in await fleet.until(*RIVALS)}
        assert (rows["T2"]["status"], rows["T1"]["status"], rows["T3"]["why"]) == ("landed", "stopped", "T2 was chosen")
        await fleet.until_tidy("T1")
        kept = (await fleet.call("task.diff", task="T1"))["diff"]
        sessions = [event for event in (await fleet.call("events"))["events"] if event["kind"] == "session-started"]
    assert "+a\n+b\n+c\n" in kept
    assert git(repository, "show", "main:b.txt") == "short"
    assert [event["data"]["stage"] for event in sessions] == ["research", "plan", "execute", "execute", "execute"]


@pytest.mark.parametrize(("pick", "winner"), [("smallest", "T3"), ("first", "")])
async def test_a_rule_chooses(tmp_path: Path, pick: str, winner: str) -> None:
    repository = make_repository(tmp_path / "repo")
    texts = {"T1": ("a", "b", "c"), "T2": ("x", "y"), "T3": ("short",)}
    async with heddle(tmp_path, repository, scenes(**texts)) as fleet:
        await compete(fleet, pick=pick)
        await until_validated(fleet, *(RIVALS if winner else ()))
        await fleet.until_kind("T1", "rivals-started")
        rows = await fleet.until(*RIVALS)
        await fleet.start("after it", run=False, links=[{"kind": "blocks", "task": "T1"}])
        assert [row["id"] for row in (await fleet.call("task.list", which="ready"))["tasks"]] == ["T4"]
        assert (await fleet.call("task.why", task="T4"))["reason"] == "not started"
    landed = [row["id"] for row in rows if row["status"] == "landed"]
    assert len(landed) == 1 and landed[0] in (winner or landed[0])
    assert {row["status"] for row in rows} == {"landed", "stopped"}
    assert git(repository, "rev-list", "--count", "main") == "2"


async def test_a_rival_that_fails_leaves_the_choice_to_the_others(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    texts: dict[str, tuple[str, ...]] = {"T1": (), "T2": ("two",), "T3": ()}
    async with heddle(tmp_path, repository, scenes(**texts), "[limits]\nattempts = 1\n") as fleet:
        await compete(fleet)
        await until_validated(fleet, "T2")
        assert (await fleet.until("T2"))[0]["status"] == "landed"  # alone it needs no choice
        rows = {row["id"]: row for row in await fleet.until(*RIVALS)}
        assert rows["T1"]["why"] == rows["T3"]["why"] == "T2 was chosen"
    assert git(repository, "show", "main:b.txt") == "two"


async def test_each_agent_plays_in_turn_and_without_a_plan_rivals_begin_at_once(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    write_agent(tmp_path, "other", "")
    async with heddle(tmp_path, repository, scenes(T1=("one",), T2=("two",))) as fleet:
        await fleet.start("write b", lane="quick", agents=["rehearsal", "other:large"], checks=["test -s b.txt"])
        await fleet.until_kind("T1", "rivals-started")
        await until_validated(fleet, "T1", "T2")
        told = (await fleet.call("task.compare", task="t1"))["rivals"]
    assert [(one["agent"], one["model"]) for one in told] == [("rehearsal", ""), ("other", "large")]


async def test_w6_rivals_that_were_begun_before_a_crash_are_not_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = make_repository(tmp_path / "repo")
    texts = {task: (task,) for task in RIVALS}
    async with heddle(tmp_path, repository, scenes(**texts)) as fleet:
        runs, record = fleet.house.desk.runs, fleet.house.desk.runs.record

        async def dies(task: str, *events: Any, by: str = "heddle", cause: str = "") -> Any:
            if any(type(event).__name__ == "RivalsStarted" for event in events):
                raise asyncio.CancelledError
            return await record(task, *events, by=by, cause=cause)

        monkeypatch.setattr(runs, "record", dies)
        await compete(fleet)
        async with asyncio.timeout(30):
            while len((await fleet.call("board", all=True))["tasks"]) < 3:
                await asyncio.sleep(0.02)
    async with heddle(tmp_path, repository, scenes(**texts)) as fleet:
        await until_validated(fleet, *RIVALS)
        assert [row["id"] for row in (await fleet.call("board", all=True))["tasks"]] == list(RIVALS)
        await fleet.call("inbox.approve", task="T3")
        assert {row["status"] for row in await fleet.until(*RIVALS)} == {"landed", "stopped"}


async def test_m1_two_rivals_that_are_approved_at_once_do_not_both_land(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, scenes(T1=("one",), T2=("two",), T3=("three",))) as fleet:
        await compete(fleet)
        await until_validated(fleet, *RIVALS)
        await asked(fleet)
        answers = await asyncio.gather(
            *(fleet.call("inbox.approve", task=task) for task in RIVALS), return_exceptions=True
        )
        refused = [answer.slug for answer in answers if isinstance(answer, HeddleError)]
        assert refused == ["rival-chosen"] * 2
        rows = await fleet.until(*RIVALS)
    assert sorted(row["status"] for row in rows) == ["landed", "stopped", "stopped"]
    assert git(repository, "rev-list", "--count", "main") == "2"


async def test_m1_a_first_rival_that_begins_anew_leaves_the_others_what_they_are(tmp_path: Path) -> None:
    """Each of the others waits for the choice, also while the first one does not list them."""
    repository = make_repository(tmp_path / "repo")
    texts: dict[str, tuple[str, ...]] = {"T1": (), "T2": ("two",), "T3": ("three",)}
    async with heddle(tmp_path, repository, scenes(**texts), "[limits]\nattempts = 1\n") as fleet:
        await compete(fleet)
        await until_validated(fleet, "T2", "T3")
        await fleet.call("task.stop", task="T1")
        await fleet.until_kind("T1", "run-stopped")
        await fleet.call("task.start", root=str(repository), task="T1")
        await asyncio.sleep(0)
        await fleet.until("T1", approve=False)
        await fleet.call("inbox.approve", task="T2")
        rows = await fleet.until("T2", "T3")
        assert [row["status"] for row in rows] == ["landed", "stopped"]
    assert git(repository, "rev-list", "--count", "main") == "2"


async def test_a_winner_that_is_stopped_has_not_won(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, scenes(T1=("one",), T2=("two",))) as fleet:
        await fleet.start("write b", lane="quick", best_of=2, checks=["test -s b.txt"])
        await until_validated(fleet, "T1", "T2")
        await asked(fleet)
        await asyncio.gather(fleet.call("inbox.approve", task="T1"), fleet.call("task.stop", task="T1"))
        await fleet.until("T1")
        if (await fleet.until("T2"))[0]["status"] == "stopped":  # it ended while T1 had won
            await fleet.call("task.start", root=str(repository), task="T2")
        assert (await fleet.until("T2"))[0]["status"] == "landed"


async def test_what_is_no_contest_is_refused_and_becomes_no_task(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, writes("b.txt")) as fleet:
        for params, slug in (
            ({"best_of": 10}, "too-many-rivals"),
            ({"best_of": -1}, "too-many-rivals"),
            ({"best_of": 2, "agents": ["rehearsal", "rehearsal", "rehearsal"]}, "too-many-agents"),
            ({"best_of": 2, "pick": "fairest"}, "no-such-rule"),
            ({"agents": ["rehearsal", "nobody"]}, "unknown-agent"),
            ({"agents": ["rehearsal"], "agent": "rehearsal"}, "usage"),
        ):
            with pytest.raises(HeddleError) as caught:
                await fleet.start("write b", **params)
            assert caught.value.slug == slug and caught.value.hint
        assert (await fleet.call("board", all=True))["tasks"] == []
        await fleet.start("write b")
        with pytest.raises(HeddleError, match="no rivals"):
            await fleet.call("task.compare", task="T1")
