"""Lists that live elsewhere come in as often as one likes, and ours goes out."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from heddle.api import keeping
from heddle.core.errors import HeddleError, OutsideError
from heddle.core.events import Event
from heddle.core.run import Run
from support.fleet import Heddle, git, heddle, make_repository

ROADMAP = "# Plan\n\n- [ ] write a\n  with care\n  - [ ] test a\n- [x] think\n- [ ] write b\n"


async def bring(fleet: Heddle, path: Path, **params: Any) -> dict[str, Any]:
    return await fleet.call("task.import", root=str(fleet.repository), where=str(path), **params)


async def titles(fleet: Heddle) -> dict[str, tuple[str, str]]:
    rows = (await fleet.call("task.list", which="all"))["tasks"]
    return {row["id"]: (row["title"], row["status"]) for row in rows}


async def test_a_list_comes_in_once_however_often_it_is_brought(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    (path := repository / "ROADMAP.md").write_text(ROADMAP)
    async with heddle(tmp_path, repository) as fleet:
        told = await bring(fleet, path, dry=True)
        assert (len(told["added"]), await titles(fleet)) == (3, {})
        told = await bring(fleet, path)
        assert [one["title"] for one in told["added"]] == ["write a with care", "test a", "write b"]
        assert (told["passed_over"], told["unchanged"]) == (1, 0)
        text = (await fleet.call("task.show", task="T1"))["text"]
        assert text == 'write a with care\n\nFrom ROADMAP.md, under "Plan".'
        assert (await fleet.call("task.show", task="T2"))["links"] == [{"kind": "parent", "task": "T1"}]
        told = await bring(fleet, path)
        assert (told["added"], told["changed"], told["unchanged"]) == ([], [], 3)


async def test_others_are_answered_while_a_list_comes_in_and_what_they_changed_stays(tmp_path: Path) -> None:
    repository, path = make_repository(tmp_path / "repo"), tmp_path / "issues.jsonl"
    async with heddle(tmp_path, repository) as fleet:
        await bring(fleet, issues(path, {"title": "one"}, {"title": "two"}), format="beads")
        issues(path, {"title": "one, better"}, {"title": "two, better"}, *({"title": f"{n}"} for n in range(120)))
        coming = asyncio.create_task(bring(fleet, path, format="beads"))
        async with asyncio.timeout(30):
            while fleet.house.desk.runs.next_number() == 3:
                await asyncio.sleep(0)
        await fleet.call("task.edit", task="T1", text="one, mine")
        told = await coming
        assert (len(told["added"]), told["changed"], told["left"]) == (120, ["T2"], [["T1", "it changed meanwhile"]])
        assert [title for title, _ in list((await titles(fleet)).values())[:2]] == ["one, mine", "two, better"]
        assert (await bring(fleet, path, format="beads"))["changed"] == ["T1"]


def issues(path: Path, *rows: dict[str, Any]) -> Path:
    """A list as beads keeps it."""
    plain = {"status": "open", "issue_type": "task", "priority": 2}
    path.write_text("".join(json.dumps(plain | {"id": f"bd-{n}"} | row) + "\n" for n, row in enumerate(rows)))
    return path


async def test_what_changed_in_the_list_changes_here_and_what_changed_here_alone_stays(tmp_path: Path) -> None:
    repository, path = make_repository(tmp_path / "repo"), tmp_path / "issues.jsonl"
    a, b, c = {"title": "write a"}, {"title": "test a"}, {"title": "write b"}
    async with heddle(tmp_path, repository) as fleet:
        await bring(fleet, issues(path, a, b, c), format="beads")
        await fleet.call("task.edit", task="T1", role="docs")
        await fleet.call("task.edit", task="T3", text="write b, well")
        assert (await bring(fleet, path, format="beads"))["changed"] == []
        await fleet.call("task.claim", task="T2", name="ada")
        issues(path, {"title": "write a, better", "priority": 0}, {**b, "status": "closed"}, c)
        told = await bring(fleet, path, format="beads")
        assert (told["changed"], told["closed"], told["left"]) == (["T1"], [], [["T2", "somebody works on it"]])
        await fleet.call("task.release", task="T2")
        assert (await bring(fleet, path, format="beads"))["closed"] == ["T2"]
        shown = await fleet.call("task.show", task="T1")
        assert (shown["title"], shown["priority"]) == ("write a, better", 0)
        assert await titles(fleet) == {
            "T1": ("write a, better", "open"),
            "T2": ("test a", "closed"),
            "T3": ("write b, well", "open"),
        }


async def test_tasks_that_would_wait_for_each_other_are_refused_and_none_comes_in(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    around = [{"title": f"task {n}", "dependencies": [waits(n, (n + 1) % 3)]} for n in range(3)]
    path = issues(tmp_path / "issues.jsonl", *around)
    async with heddle(tmp_path, repository) as fleet:
        with pytest.raises(HeddleError) as caught:
            await bring(fleet, path, format="beads")
        assert caught.value.slug == "dependency-cycle"
        assert caught.value.message.count("beads:bd-") == 4
        assert await titles(fleet) == {}
        issues(path, *around[:2], {"title": "task 2"})
        assert [one["id"] for one in (await bring(fleet, path, format="beads"))["added"]] == ["T1", "T2", "T3"]
        blocked = (await fleet.call("task.list", which="blocked"))["tasks"]
        assert [(row["id"], row["why"]) for row in blocked] == [("T1", "waits for T2"), ("T2", "waits for T3")]


def waits(one: int, other: int, kind: str = "blocks") -> dict[str, str]:
    return {"issue_id": f"bd-{one}", "depends_on_id": f"bd-{other}", "type": kind}


async def test_an_import_that_ends_in_the_middle_leaves_no_link_to_nothing_and_the_next_one_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = make_repository(tmp_path / "repo")
    rows = ({"title": f"task {n}", "dependencies": [waits(n, 1 - n, "discovered-from")]} for n in range(2))
    path = issues(tmp_path / "issues.jsonl", *rows)
    async with heddle(tmp_path, repository) as fleet:
        runs = fleet.house.desk.runs
        record = runs.record

        async def ends(task: str, *events: Event, by: str = "", cause: str = "") -> Run:
            if task == "T2":
                raise OutsideError("the disk is full", slug="disk-full", hint="make room")
            return await record(task, *events, by=by, cause=cause)

        with monkeypatch.context() as patch, pytest.raises(OutsideError):
            patch.setattr(runs, "record", ends)
            await bring(fleet, path, format="beads")
        assert (await fleet.call("task.show", task="T1"))["links"] == []
        told = await bring(fleet, path, format="beads")
        assert ([one["id"] for one in told["added"]], told["changed"]) == (["T2"], ["T1"])
        links = [(await fleet.call("task.show", task=id))["links"][0]["task"] for id in ("T1", "T2")]
        assert links == ["T2", "T1"]
        assert (await bring(fleet, path, format="beads"))["unchanged"] == 2


async def test_our_own_export_comes_back_as_what_is_there_and_into_another_repository_whole(tmp_path: Path) -> None:
    repository, other = make_repository(tmp_path / "repo"), make_repository(tmp_path / "other")
    (path := repository / "ROADMAP.md").write_text(ROADMAP)
    exported = tmp_path / "tasks.jsonl"
    async with heddle(tmp_path, repository) as fleet:
        await bring(fleet, path)
        await fleet.start("by hand", run=False, priority=1, links=[{"kind": "blocks", "task": "T2"}])
        told = await fleet.call("task.export", root=str(repository), where=str(exported))
        assert (told["tasks"], told["changed"]) == (4, True)
        told = await bring(fleet, exported)
        assert (told["added"], told["changed"], told["unchanged"]) == ([], [], 4)
        told = await fleet.call("task.import", root=str(other), where=str(exported))
        assert [one["id"] for one in told["added"]] == ["T5", "T6", "T7", "T8"]
        shown = await fleet.call("task.show", task="T8")
        assert (shown["priority"], shown["links"]) == (1, [{"kind": "blocks", "task": "T6"}])
        assert (await fleet.call("task.export", root=str(repository), where=str(exported)))["changed"] is False
        await fleet.call("task.export", root=str(repository), where=str(path), format="roadmap")
    assert path.read_text().startswith(ROADMAP) and "<!-- heddle:tasks begin -->" in path.read_text()


async def test_a_roadmap_is_kept_in_step_and_nothing_that_others_wrote_is_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "PAUSE_S", 0.0)
    monkeypatch.setattr(keeping, "RETRY_S", 0.1)
    repository = make_repository(tmp_path / "repo")
    (path := repository / "ROADMAP.md").write_text(ROADMAP)
    asked: dict[str, Any] = {"root": str(repository), "where": str(path)}

    async def until(text: str) -> None:
        async with asyncio.timeout(30):
            while text not in path.read_text():
                await asyncio.sleep(0)

    async with heddle(tmp_path, repository) as fleet:
        with pytest.raises(HeddleError, match="not kept"):
            await fleet.call("task.keep", **asked, end=True)
        with pytest.raises(HeddleError, match="no Markdown file"):
            await fleet.call("task.keep", root=str(repository), where=str(tmp_path / "x.md"))
        assert (await fleet.call("task.keep", **asked))["changed"] is True
        await fleet.start("write c", run=False)
        await until("- [ ] T1 write c (open)")
        path.write_text("# Mine\n" + path.read_text() + "\nand after\n")
    async with heddle(tmp_path, repository) as fleet:  # also a daemon that comes later
        await fleet.call("task.close", task="T1")
        await until("- [x] T1 write c (closed)")
        assert path.read_text().startswith("# Mine\n" + ROADMAP) and path.read_text().endswith("and after\n")
        path.write_text(theirs := path.read_text().replace("write c", "write c, says Eve"))
        await fleet.start("write d", run=False)
        async with asyncio.timeout(30):
            while "somebody changed Heddle's block" not in (await fleet.call("board"))["trouble"]:
                await asyncio.sleep(0)
        assert path.read_text() == theirs
        findings = (await fleet.call("doctor"))["findings"]
        assert [one["ok"] for one in findings if one["what"] == "list ROADMAP.md"] == [False]
        await fleet.call("task.keep", **asked)
        assert "- [ ] T2 write d (open)" in path.read_text() and "Eve" not in path.read_text()
        assert (await fleet.call("board"))["trouble"] == ""
        assert (await fleet.call("task.keep", **asked, end=True))["kept"] is False
        last = path.read_text()
        await fleet.start("write e", run=False)
        await fleet.house.desk.fleet.up_to_date(5)
        assert path.read_text() == last


async def test_a_crash_before_a_kept_list_is_written_leaves_it_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "PAUSE_S", 0.0)
    monkeypatch.setattr(keeping, "RETRY_S", 0.1)
    repository = make_repository(tmp_path / "repo")
    path = repository / "ROADMAP.md"
    asked: dict[str, Any] = {"root": str(repository), "where": str(path)}
    async with heddle(tmp_path, repository) as fleet:
        await fleet.call("task.keep", **asked)
        write = fleet.house.desk.lists.write
        failures = []

        async def fails(*args: Any) -> bool:
            if not failures:
                failures.append(args)
                raise OutsideError("the disk is full", slug="list-unwritable", hint="make room")
            return await write(*args)

        monkeypatch.setattr(fleet.house.desk.lists, "write", fails)
        await fleet.start("write a", run=False)
        async with asyncio.timeout(30):
            while "write a" not in path.read_text():
                await asyncio.sleep(0)
        assert len(failures) == 1


def test_a_list_comes_in_and_goes_out_by_the_command_line(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    (repository / "ROADMAP.md").write_text(ROADMAP)

    def heddle(*words: str) -> tuple[int, str, str]:
        command = [sys.executable, "-m", "heddle.frontends.cli", *words]
        env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "100"}
        done = subprocess.run(command, cwd=repository, env=env, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    try:
        status, out, err = heddle("task", "import", "ROADMAP.md")
        assert (status, out) == (0, "T1  write a with care\nT2  test a\nT3  write b\n"), err
        assert err == "3 added, 0 changed, 0 closed, 0 unchanged\n1 were closed there already\n"
        status, out, err = heddle("task", "import", "NOWHERE.md")
        assert (status, out) == (2, "") and "hint: " in err
        status, out, _ = heddle("task", "export")
        assert [json.loads(line)["id"] for line in out.splitlines()] == ["T1", "T2", "T3"]
        status, out, _ = heddle("task", "list")
        assert out.splitlines()[1].split() == ["T1", "2", "·", "open", "write", "a", "with", "care", "not", "started"]
        assert git(repository, "status", "--porcelain") == "?? ROADMAP.md"
    finally:
        heddle("daemon", "stop")
