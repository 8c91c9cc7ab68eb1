"""Tasks that will change the same file go one after the other before any plan says so; others do not wait."""

import asyncio
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from heddle.adapters.maps import ChildMaps
from heddle.core.errors import OutsideError
from support.fleet import PATIENCE, Heddle, heddle, make_repository, scene

TIER = '[sandbox]\ntier = "0"\n'
AREAS = ("parser", "socket", "ledger", "window", "cipher", "router")
WORDS = {area: [f"{area}{word}" for word in ("alpha", "beta", "gamma", "delta", "omega")] for area in AREAS}
THINKS = scene("research", {"do": "think", "seconds": 600}, {"do": "document", "text": "# Research\n- a.py:1\n"})


def with_past(path: Path, commits: int) -> Path:
    """A repository in which each commit changes two files of one area, and its message has words of that area."""
    make_repository(path)
    chance = random.Random(5)
    stream = []
    for number in range(commits):
        area = chance.choice(AREAS)
        message = f"mend {' '.join(chance.sample(WORDS[area], 2))}"
        stream.append(f"commit refs/heads/main\ncommitter Ada <ada@example.com> {1_700_000_001 + number} +0000\n")
        stream.append(f"data {len(message)}\n{message}\n" + ("from refs/heads/main^0\n" if not number else ""))
        for name in ("one", chance.choice("xyz")):
            text = f"{name} {number}\n"
            stream.append(f"M 644 inline src/{area}/{name}.py\ndata {len(text)}\n{text}")
    subprocess.run(["git", "fast-import", "--quiet"], cwd=path, input="".join(stream).encode(), check=True)
    subprocess.run(["git", "reset", "-q", "--hard"], cwd=path, check=True)
    return path


async def until_why(fleet: Heddle, task: str, *slugs: str) -> dict[str, Any]:
    """Why a task waits, once that is for one of these reasons."""
    async with asyncio.timeout(60 * PATIENCE):
        while True:
            told = await fleet.call("task.why", task=task)
            if told["slug"] in slugs:
                return told
            await fleet.house.desk.fleet._looked.wait()
            await asyncio.sleep(0)


async def test_a_task_waits_for_one_that_will_change_the_same_until_a_person_lets_it(tmp_path: Path) -> None:
    repository = with_past(tmp_path / "repo", 260)
    async with heddle(tmp_path, repository, [THINKS], TIER) as fleet:
        await fleet.start("mend parseralpha parserbeta")
        await fleet.until_kind("T1", "stage-started")
        await fleet.start("make parsergamma and parseralpha faster")
        told = await until_why(fleet, "T2", "foreseen")
        assert told["who"] == "task" and "waits for T1: both will change src/parser/one.py" in told["reason"]
        assert "AUC" in told["predictions"]
        assert [(one["task"], one["band"]) for one in told["near"]] == [("T1", "serial")]
        await fleet.start("mend windowdelta windowomega")
        await fleet.until_kind("T3", "stage-started")
        await fleet.start("parserbeta parserdelta, with its scope", scope=["docs/**"])
        await fleet.until_kind("T4", "stage-started")
        assert "stage-started" not in await fleet.kinds("T2")
        for _ in range(2):  # once more changes nothing
            await fleet.call("task.start", root=str(repository), task="T2", anyway=True)
        await fleet.until_kind("T2", "stage-started")
        assert (await fleet.kinds("T2")).count("overlap-accepted") == 1


async def test_whoever_waits_goes_on_when_the_other_stops_or_waits_for_a_person(tmp_path: Path) -> None:
    repository = with_past(tmp_path / "repo", 260)
    async with heddle(tmp_path, repository, [THINKS], TIER) as fleet:
        await fleet.start("mend parseralpha parserbeta")
        await fleet.until_kind("T1", "stage-started")
        for number in (2, 3):
            await fleet.start("make parsergamma and parseralpha faster")
            await until_why(fleet, f"T{number}", "foreseen")
        await fleet.call("task.stop", task="T1")
        await fleet.until_kind("T2", "stage-started")
        await until_why(fleet, "T3", "foreseen")
        await fleet.call("task.pause", task="T2")
        await fleet.until_kind("T3", "stage-started")


async def test_where_nothing_can_be_predicted_nobody_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    async def fails(*told: Any) -> Any:
        asked.append(told)
        raise OutsideError("no", slug="map-failed")

    monkeypatch.setattr(ChildMaps, "foresee", fails)
    repository = with_past(tmp_path / "repo", 260)
    async with heddle(tmp_path, repository, [THINKS], TIER) as fleet:
        for number in (1, 2, 3):
            await fleet.start("mend parseralpha parserbeta")
            await fleet.until_kind(f"T{number}", "stage-started")
        assert len(asked) == 1
