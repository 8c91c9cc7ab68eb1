"""The landing queue in whole fleets: what is good lands in trains, what is not is named, and main is green all the way."""

import asyncio
import subprocess
from pathlib import Path

import pytest

from heddle.core.queue_events import MainFoundRed, TrainJudged, TrainLanded
from support.fleet import Heddle, git, heddle, make_repository, scene

HELD = "[gates]\nvalidate = 'person'\n"


def edits(task: str, path: str, text: str = "hello\n") -> dict[str, object]:
    """The one scene of a quick task."""
    return scene("execute", {"do": "write", "path": path, "text": text}, {"do": "document", "text": "d\n"}, task=task)


async def quick(fleet: Heddle, path: str, **more: object) -> str:
    """A task of the quick lane that writes one file."""
    return await fleet.start(f"write {path}", lane="quick", scope=[path], **more)


async def until_cleared(fleet: Heddle, *tasks: str) -> None:
    """Wait until every task is validated, then let all of them into the queue."""
    for task in tasks:
        await fleet.until_kind(task, "verdict-reached")
    for task in tasks:
        await fleet.call("task.land", task=task)


async def queue_events(fleet: Heddle, *kinds: type) -> list[object]:
    """The facts of those kinds about the landing queue."""
    records = await fleet.house.journal.read_all(0)
    return [record.event for record in records if isinstance(record.event, kinds)]


def green_all_along(repository: Path, check: str) -> bool:
    """Whether the check passes on every commit that main ever was at or that landed."""
    for commit in git(repository, "rev-list", "--first-parent", "main").splitlines():
        place = repository.parent / f"at-{commit}"
        git(repository, "worktree", "add", "-q", "--detach", str(place), commit)
        if subprocess.run(["/bin/sh", "-c", check], cwd=place, check=False).returncode:
            return False
    return True


@pytest.mark.parametrize("tier", ["auto", "0"])
async def test_m2_a_queue_lands_in_trains_what_is_good_and_names_what_breaks(tmp_path: Path, tier: str) -> None:
    check = "! test -e x.txt || ! test -e y.txt"
    repository = make_repository(tmp_path / "repo", {"a.py": "x = 1\n"})
    paths = ["a.txt", "b.txt", "x.txt", "c.txt", "y.txt", "d.txt"]
    config = f'{HELD}[sandbox]\ntier = "{tier}"\n[limits]\nsessions = 6\n'
    async with heddle(tmp_path, repository, [edits(f"write {path}", path) for path in paths], config) as fleet:
        ids = {path: await quick(fleet, path, checks=[check]) for path in paths}
        await until_cleared(fleet, *ids.values())
        rows = await fleet.until(*(id for path, id in ids.items() if path not in ("x.txt", "y.txt")))
        assert {row["status"] for row in rows} == {"landed"}, [(row["id"], row["why"]) for row in rows]
        one, other = await fleet.until(ids["x.txt"]), await fleet.until(ids["y.txt"])
        (landed_one,), (held,) = sorted((one, other), key=lambda rows: str(rows[0]["status"]))
        assert (landed_one["status"], held["status"]) == ("landed", "waiting")
        assert landed_one["title"] in held["why"]
        landed = await queue_events(fleet, TrainLanded)
        assert max(len(train.tasks) for train in landed) > 1  # type: ignore[attr-defined]
        kept = git(repository, "rev-parse", f"refs/heddle/ejected/{held['id'].lower()}-1")
        assert git(repository, "ls-tree", "--name-only", kept, "x.txt", "y.txt").split() == ["x.txt", "y.txt"]
        async with asyncio.timeout(30):
            while git(repository, "for-each-ref", "refs/heddle/trains"):
                await asyncio.sleep(0.02)
    assert green_all_along(repository, check)
    assert len(git(repository, "rev-list", "--first-parent", "main").splitlines()) == 6


async def test_m7_a_red_main_produces_one_repair_task_and_the_others_wait(tmp_path: Path) -> None:
    repository = make_repository(
        tmp_path / "repo", {"a.py": "x = 1\n", "heddle.toml": '[checks]\ncommands = ["test -e fixed.txt"]\n'}
    )
    scenes = [edits("write a.txt", "a.txt"), edits("write b.txt", "b.txt"), edits("Repair", "fixed.txt")]
    async with heddle(tmp_path, repository, scenes, "") as fleet:
        ids = [await quick(fleet, "a.txt"), await quick(fleet, "b.txt")]
        await fleet.until(ids[0], approve=False)
        await fleet.call("inbox.approve", task=ids[0])  # the repository's check, for both
        for id in ids:
            failed = await fleet.until_kind(id, "stage-failed")
            assert failed["data"]["reason"] == "main-red"
        (red,) = {event.task for event in await queue_events(fleet, MainFoundRed)}  # type: ignore[attr-defined]
        for id in ids:
            why = await fleet.call("task.why", task=id)
            assert f"{red} is to repair it" in str(why)
            assert fleet.house.desk.runs.require(id).failures == ()
        (item,) = [item for item in (await fleet.call("inbox"))["items"] if item["task"] == red]
        assert (item["kind"], item["act"][0]) == ("main-red", f"heddle start {red}")
        await fleet.call("task.edit", task=red, lane="quick", scope=["fixed.txt"])
        await fleet.call("task.start", root=str(repository), task=red)
        rows = await fleet.until(*ids, red)
        assert [row["status"] for row in rows] == ["landed"] * 3


async def test_a_check_that_fails_once_is_a_flake_and_costs_no_attempt(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    marker = tmp_path / "marker"
    check = f"test -e {marker} || {{ touch {marker}; exit 1; }}"
    async with heddle(tmp_path, repository, [edits("", "a.txt")], '[sandbox]\ntier = "0"\n') as fleet:
        id = await quick(fleet, "a.txt", checks=[check])
        assert (await fleet.until(id))[0]["status"] == "landed"
        verdict = (await fleet.until_kind(id, "verdict-reached"))["data"]["verdict"]
        assert verdict["flakes"] == [check]
        assert fleet.house.desk.runs.require(id).attempt("execute") == 1  # type: ignore[arg-type]


async def test_a_commit_of_the_persons_under_a_train_means_another_validation(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    gate = tmp_path / "gate"
    check = f"! test -e b.txt || test -e other.txt || test -e {gate} || {{ while ! test -e {gate}; do :; done; }}"
    config = f'{HELD}[sandbox]\ntier = "0"\n'
    async with heddle(tmp_path, repository, [edits("", "a.txt")], config) as fleet:
        id = await quick(fleet, "a.txt", checks=[check])
        await fleet.until_kind(id, "verdict-reached")
        (repository / "b.txt").write_text("mine\n")
        git(repository, "add", "b.txt")
        git(repository, "commit", "-q", "-m", "mine")
        await fleet.call("task.land", task=id)
        async with asyncio.timeout(30):
            while not fleet.house.desk.fleet.trains.judging():
                await asyncio.sleep(0.01)
        (repository / "other.txt").write_text("mine too\n")
        git(repository, "add", "other.txt")
        git(repository, "commit", "-q", "-m", "mine too")
        gate.touch()
        assert (await fleet.until(id))[0]["status"] == "landed"
        judged = await queue_events(fleet, TrainJudged)
        assert len(judged) == 2
    assert git(repository, "log", "--format=%s").splitlines() == ["write a.txt", "mine too", "mine", "first"]
