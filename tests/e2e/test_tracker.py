"""The tracker: what waits for what, who goes first, and who may write to a task that somebody took."""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from heddle.core.errors import HeddleError
from support.fleet import Heddle, git, heddle, make_repository, writes

ONE_AT_A_TIME = "[limits]\nsessions = 1\n"


async def slug_of(call: Any) -> str:
    """The slug of the error that a call ends in."""
    with pytest.raises(HeddleError) as caught:
        await call
    assert caught.value.hint
    return caught.value.slug


async def add(fleet: Heddle, text: str, **params: Any) -> str:
    return await fleet.start(text, run=False, **params)


def blocked_by(*tasks: str) -> list[dict[str, str]]:
    return [{"kind": "blocks", "task": task} for task in tasks]


async def statuses(fleet: Heddle, which: str = "all") -> dict[str, str]:
    return {row["id"]: row["status"] for row in (await fleet.call("task.list", which=which))["tasks"]}


async def test_a_task_begins_on_what_it_waited_for(tmp_path: Path) -> None:
    """Its base is the commit that the other one made, not where main was when it was asked for."""
    repository = make_repository(tmp_path / "repo")
    scenes = [*writes("a.txt", task="write a"), *writes("b.txt", task="write b")]
    async with heddle(tmp_path, repository, scenes) as fleet:
        await fleet.start("write a")
        await fleet.start("write b", links=blocked_by("T1"))
        board = {row["id"]: row for row in (await fleet.call("board"))["tasks"]}
        assert (board["T2"]["status"], board["T2"]["why"]) == ("blocked", "waits for T1")
        assert await statuses(fleet, "blocked") == {"T2": "blocked"}
        rows = await fleet.until("T1", "T2")
        kinds = await fleet.kinds("T2")
    assert [row["status"] for row in rows] == ["landed", "landed"]
    assert kinds[:4] == ["task-added", "run-started", "run-rebased", "stage-started"]
    log = git(repository, "log", "--format=%s", "main").splitlines()
    assert log == ["write b", "write a", "first"]


async def test_a_task_that_waits_for_one_that_was_stopped_asks(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, writes("b.txt")) as fleet:
        await add(fleet, "write a")
        await fleet.start("write b", lane="quick", checks=["test -s b.txt"], links=blocked_by("t1"))
        await fleet.call("task.stop", task="T1")
        async with asyncio.timeout(30):
            while not (items := (await fleet.call("inbox"))["items"]):
                await fleet.house.journal.wait(fleet.house.journal.position() - 1)
                await asyncio.sleep(0)
        assert (items[0]["task"], items[0]["text"]) == ("T2", "waits for T1, which was stopped")
        await fleet.call("task.close", task="T1", why="done by hand")
        assert (await fleet.until("T2"))[0]["status"] == "landed"
        assert (await statuses(fleet))["T1"] == "closed"


async def test_a_run_that_has_not_begun_leaves_broken_settings_behind_when_main_mends_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No fact of Heddle's tells that main moved: it looks again by itself."""
    monkeypatch.setattr("heddle.engine.fleet.RETRY_S", 0.2)
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, writes("b.txt")) as fleet:
        await add(fleet, "write a")
        await fleet.start("write b", lane="quick", checks=["test -s b.txt"], links=blocked_by("T1"))
        (repository / "heddle.toml").write_text("[nonsense\n")
        git(repository, "add", "-A")
        git(repository, "commit", "-q", "-m", "break it")
        await fleet.call("task.close", task="T1")
        assert (await fleet.until("T2"))[0]["status"] == "waiting"
        assert (await fleet.call("task.why", task="T2"))["slug"] == "problem"
        (repository / "heddle.toml").write_text("")
        git(repository, "commit", "-q", "-a", "-m", "mend it")
        await fleet.until_kind("T2", "landed")
        assert (await fleet.kinds("T2")).count("run-rebased") == 2


async def test_a_known_task_does_not_start_otherwise_than_was_said(tmp_path: Path) -> None:
    """`heddle start T2 --blocked-by T1` would begin at once what was to wait."""
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository) as fleet:
        await add(fleet, "write a")
        await add(fleet, "write b")
        said: tuple[dict[str, Any], ...] = (
            {"links": blocked_by("T1")},
            {"scope": ["a"]},
            {"run": False},
            {"priority": 0},
        )
        for more in said:
            assert await slug_of(fleet.call("task.start", root=str(repository), task="T2", **more)) == "usage"
        assert await statuses(fleet) == {"T1": "open", "T2": "open"}


async def test_the_most_urgent_goes_first(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    scenes = [one for name in "abc" for one in writes(f"{name}.txt", task=f"write {name}")]
    async with heddle(tmp_path, repository, scenes, ONE_AT_A_TIME) as fleet:
        await fleet.start("write a", lane="quick", checks=["true"])
        await fleet.until_kind("T1", "stage-started")
        await fleet.start("write b", lane="quick", checks=["true"], priority=3)
        await fleet.start("write c", lane="quick", checks=["true"])
        await fleet.call("task.edit", task="T3", priority=0)
        assert list(await statuses(fleet)) == ["T3", "T1", "T2"]
        await fleet.until("T1", "T2", "T3")
        events = (await fleet.call("events"))["events"]
    begun = [event["stream"] for event in events if event["kind"] == "stage-started"]
    assert list(dict.fromkeys(begun)) == ["task:T1", "task:T3", "task:T2"]


async def test_a_link_that_comes_while_a_task_is_validated_holds_it_before_it_lands(tmp_path: Path) -> None:
    """And it holds nobody else: not the queue behind it, nor what it waits for, which writes the same file."""
    repository = make_repository(tmp_path / "repo")
    scenes = [*writes("b.txt", "one\n", task="write one"), *writes("c.txt", task="write two")]
    how: dict[str, Any] = {"lane": "quick", "checks": ["true"], "scope": ["b.txt", "c.txt"]}
    async with heddle(tmp_path, repository, scenes, "[gates]\nvalidate = 'person'\n") as fleet:
        await fleet.start("write one", **how)
        await fleet.until("T1", approve=False)
        await add(fleet, "write two", **how)
        await fleet.call("task.dep", task="T1", add=blocked_by("T2"))
        await fleet.call("inbox.approve", task="T1")
        assert (await statuses(fleet))["T1"] == "blocked"
        await fleet.call("task.start", root=str(repository), task="T2")
        assert [row["status"] for row in await fleet.until("T1", "T2")] == ["landed", "landed"]
    assert git(repository, "log", "--format=%s", "main").splitlines() == ["write one", "write two", "first"]


async def test_links_that_go_round_are_refused_and_named(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository) as fleet:
        await add(fleet, "one")
        await add(fleet, "two", links=blocked_by("T1"))
        await add(fleet, "three", links=[{"kind": "parent", "task": "T2"}])
        with pytest.raises(HeddleError) as caught:
            await fleet.call("task.dep", task="T1", add=blocked_by("T3"))
        assert (caught.value.slug, caught.value.message) == (
            "dependency-cycle",
            "they would wait for each other: T1 -> T3 -> T2 -> T1",
        )
        assert await slug_of(fleet.call("task.dep", task="T1", add=blocked_by("T1"))) == "dependency-cycle"
        assert await slug_of(fleet.call("task.dep", task="T1", add=blocked_by("T9"))) == "no-such-task"
        assert await slug_of(add(fleet, "four", links=blocked_by("T9"))) == "no-such-task"
        assert await slug_of(add(fleet, "four", priority=5)) == "bad-priority"
        answers = await asyncio.gather(
            fleet.call("task.dep", task="T2", remove=["T1"]),
            fleet.call("task.dep", task="T1", add=blocked_by("T2")),
        )
        assert [answer["links"] for answer in answers] == [[], blocked_by("T2")]
        assert await statuses(fleet, "ready") == {"T2": "open", "T3": "open"}


async def test_c1_a_late_writer_is_refused_also_under_the_same_name(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, writes("b.txt")) as fleet:
        await add(fleet, "write b", lane="quick", checks=["test -s b.txt"])
        first = await fleet.call("task.claim", task="T1", name="ada", seconds=1e-6)
        assert first["token"] == 1
        second = await fleet.call("task.claim", task="T1", name="ada")
        assert second["token"] == 2
        assert await statuses(fleet) == {"T1": "claimed"}
        assert await statuses(fleet, "ready") == {}
        assert await slug_of(fleet.call("task.claim", task="T1", name="ada")) == "task-claimed"
        late: dict[str, dict[str, Any]] = {
            "task.edit": {"priority": 0},
            "task.dep": {"remove": []},
            "task.claim": {"name": "ada"},
            "task.release": {},
            "task.close": {},
            "task.start": {"root": str(repository)},
        }
        for method, params in late.items():
            assert await slug_of(fleet.call(method, task="T1", token=1, **params)) == "stale-token", method
            if method != "task.release":  # a person may end whichever claim there is
                assert await slug_of(fleet.call(method, task="T1", **params)) == "task-claimed", method
        longer = await fleet.call("task.claim", task="T1", name="ada", token=2, seconds=7200)
        assert (longer["token"], longer["until"] > second["until"]) == (2, True)
        await fleet.call("task.start", root=str(repository), task="T1", token=2)
        assert await slug_of(fleet.call("task.claim", task="T1", name="eve")) == "task-not-open"
        assert (await fleet.until("T1"))[0]["status"] == "landed"
        assert await slug_of(fleet.call("task.claim", task="T1", name="eve")) == "task-not-open"


async def test_c1_what_a_claimant_made_lands_under_the_newest_token_alone(tmp_path: Path) -> None:
    """Two people took the task, one after the other; the first one's work comes late."""
    repository = make_repository(tmp_path / "repo")
    for name in ("early", "late"):
        git(repository, "checkout", "-q", "-b", name, "main")
        (repository / "b.txt").write_text(f"{name}\n")
        git(repository, "add", "-A")
        git(repository, "commit", "-q", "-m", f"the {name} one")
    git(repository, "checkout", "-q", "main")
    async with heddle(tmp_path, repository, []) as fleet:
        await add(fleet, "write b", checks=["test -s b.txt"])
        await fleet.call("task.claim", task="T1", name="ada", seconds=1e-6)
        await fleet.call("task.claim", task="T1", name="eve")
        adopt: dict[str, Any] = {"root": str(repository), "task": "T1"}
        await add(fleet, "first this")
        await fleet.call("task.dep", task="T1", add=blocked_by("T2"), token=2)
        assert await slug_of(fleet.call("task.adopt", what="early", token=2, **adopt)) == "task-blocked"
        await fleet.call("task.dep", task="T1", remove=["T2"], token=2)
        assert await slug_of(fleet.call("task.adopt", what="late", token=1, **adopt)) == "stale-token"
        assert await slug_of(fleet.call("task.adopt", what="late", **adopt)) == "task-claimed"
        told = await fleet.call("task.adopt", what="early", token=2, **adopt)
        assert (told["id"], told["title"]) == ("T1", "write b")
        assert await slug_of(fleet.call("task.adopt", what="late", token=2, **adopt)) == "stale-token"
        assert (await fleet.until("T1"))[0]["status"] == "landed"
        assert await slug_of(fleet.call("task.adopt", what="late", **adopt)) == "task-not-open"
    assert git(repository, "show", "main:b.txt") == "early"


async def test_a_task_whose_claimant_never_came_back_is_offered_again(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository) as fleet:
        await add(fleet, "write b")
        await fleet.call("task.claim", task="T1", name="ada", seconds=1e-6)
        assert await statuses(fleet, "ready") == {"T1": "claimed"}


async def test_c4_a_task_waits_for_one_that_cannot_be_read_and_a_person_may_undo_that(tmp_path: Path) -> None:
    """Whether the other one is settled is unknown; so it is not begun, not ready, and not to be claimed."""
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository) as fleet:
        await add(fleet, "write a")
        await add(fleet, "write c", links=blocked_by("T1"))
        home = fleet.house.desk.home
    with closing(sqlite3.connect(home / "journal.db")) as journal, journal:
        changed = journal.execute("UPDATE events SET data = '{' WHERE stream = 'task:T1'").rowcount
    assert changed == 1
    async with heddle(tmp_path, repository, writes("b.txt")) as fleet:
        await fleet.start("write b", lane="quick", checks=["test -s b.txt"], links=[{"kind": "parent", "task": "T2"}])
        assert await statuses(fleet, "blocked") == {"T2": "blocked", "T3": "waiting"}
        assert await statuses(fleet, "ready") == {}
        assert await slug_of(fleet.call("task.claim", task="T2", name="ada")) == "task-blocked"
        item = (await fleet.call("inbox"))["items"][0]
        assert (item["text"], item["act"][0]) == ("waits for T1, which cannot be read", "heddle doctor")
        await fleet.call("task.dep", task="T2", remove=["t1"])
        assert (await fleet.until("T3"))[0]["status"] == "landed"


async def test_c7_a_task_closes_once(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, writes("b.txt")) as fleet:
        await fleet.start("write b", lane="quick", checks=["test -s b.txt"])
        assert await slug_of(fleet.call("task.close", task="T1")) == "task-running"
        assert await slug_of(fleet.call("task.edit", task="T1", text="x")) == "task-running"
        await fleet.until("T1")
        assert await slug_of(fleet.call("task.close", task="T1")) == "task-over"
        assert await slug_of(fleet.call("task.edit", task="T1", text="x")) == "task-landed"
        await add(fleet, "later")
        closed = await asyncio.gather(*(fleet.call("task.close", task="T2") for _ in range(5)), return_exceptions=True)
        assert sum(isinstance(one, HeddleError) for one in closed) == 4
        assert (await fleet.kinds("T2")).count("task-closed") == 1
        await fleet.call("task.start", root=str(repository), task="T2")  # not settled after all
        await fleet.call("task.stop", task="T2")
        await fleet.until("T2")


CLAIMANT = """
import json, sys
from heddle.client import call
from heddle.core.errors import HeddleError
won = []
for n in range(1, int(sys.argv[1]) + 1):
    try:
        won.append([f"T{n}", call("task.claim", task=f"T{n}", name="worker")["token"]])
    except HeddleError as error:
        assert error.slug == "task-claimed", error.slug
print(json.dumps(won))
"""


def test_c1_many_processes_claim_many_tasks_under_one_name_and_each_has_one_winner(tmp_path: Path) -> None:
    """Against the real daemon, over its socket, as a crowd of scripts would."""
    repository = make_repository(tmp_path / "repo")
    command = [sys.executable, "-m", "heddle.frontends.cli"]
    tasks, workers = 200, 50
    adds = f"from heddle.client import call\nfor n in range({tasks}): call('task.start', root={str(repository)!r}, text=f'task {{n}}', run=False)"
    try:
        subprocess.run(
            [sys.executable, "-c", adds], check=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        )
        env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        crowd = [
            subprocess.Popen([sys.executable, "-c", CLAIMANT, str(tasks)], stdout=subprocess.PIPE, env=env)
            for _ in range(workers)
        ]
        won = [pair for one in crowd for pair in json.loads(one.communicate(timeout=300)[0])]
        assert [one.returncode for one in crowd] == [0] * workers
        assert sorted(won) == sorted([f"T{n}", 1] for n in range(1, tasks + 1))
    finally:
        subprocess.run([*command, "daemon", "stop"], check=False, capture_output=True)
