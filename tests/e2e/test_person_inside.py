"""A person looks at what a task's workspace holds, and goes into it, at both tiers."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from heddle.core.errors import HeddleError, Refused, UserError
from heddle.holder.reaper import processes
from support.fleet import Heddle, git, heddle, make_repository, writes
from support.visitor import Visitor

TIERS = pytest.mark.parametrize("tier", ["0", "2"])
ASKS = {"do": "ask", "text": "go on?", "options": ["yes"], "default": "yes"}


def config(tier: str) -> str:
    return f'[sandbox]\ntier = "{tier}"\n'


def asking(path: str = "b.txt") -> list[dict[str, Any]]:
    """A task that writes one file and then asks, so that its session lives until somebody answers."""
    scenes = writes(path)
    scenes[2]["steps"].insert(1, ASKS)
    return scenes


async def executing(fleet: Heddle, **params: Any) -> str:
    """A task whose execute session has written its file and waits."""
    id = await fleet.start("write b", lane="quick", scope=["**"], checks=["test -s b.txt"], **params)
    await fleet.until_kind(id, "question-asked")
    return id


async def refusal(fleet: Heddle, method: str, **params: Any) -> HeddleError:
    with pytest.raises(HeddleError) as caught:
        await fleet.call(method, **params)
    assert caught.value.hint
    return caught.value


async def ran(told: dict[str, Any], stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    """Go in as the answer says, without a terminal."""
    return await asyncio.to_thread(subprocess.run, told["argv"], input=stdin, capture_output=True, timeout=60)


@pytest.fixture
async def people() -> AsyncIterator[list[Visitor]]:
    """Whoever went in at a terminal; nobody stays after the test."""
    came: list[Visitor] = []
    yield came
    for visitor in came:
        visitor.close()


def inside(visit: str) -> list[int]:
    """Processes of this machine that belong to a visit."""
    wanted, found = f"HEDDLE_SESSION={visit}".encode(), []
    for process in processes():
        with suppress(OSError):
            if wanted in Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0"):
                found.append(process.pid)
    return found


async def events(fleet: Heddle, id: str, kind: str) -> list[dict[str, Any]]:
    return [one["data"] for one in (await fleet.call("events", task=id))["events"] if one["kind"] == kind]


# ---------------------------------------------------------------------------------------------- open


@TIERS
async def test_open_lays_out_what_is_there_now_and_the_session_goes_on(tmp_path: Path, tier: str) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, asking(), config(tier)) as fleet:
        id = await executing(fleet)
        told = await fleet.call("workspace.open", task=id.lower())
        path = tmp_path / f"repo-{id}"
        assert told["path"] == str(path)
        assert (told["schema"], told["task"], told["stage"]) == ("heddle.open/1", id, "execute")
        assert told["cautions"] == []
        assert (path / "b.txt").read_text() == "hello\n"
        assert git(path, "status", "--porcelain") == "?? b.txt"
        (path / "b.txt").write_text("changed by the person\n")
        error = await refusal(fleet, "workspace.open", task=id)
        assert (error.slug, (path / "b.txt").read_text()) == ("path-taken", "changed by the person\n")
        elsewhere = tmp_path / "deep" / "er"
        assert (await fleet.call("workspace.open", task=id, path=str(elsewhere)))["path"] == str(elsewhere)
        await fleet.call("inbox.answer", task=id)
        assert (await fleet.until(id))[0]["status"] == "landed"
        assert "workspace-entered" not in await fleet.kinds(id)
    assert git(repository, "show", "main:b.txt") == "hello"
    assert git(repository, "status", "--porcelain") == ""


@TIERS
async def test_open_tells_what_would_run_by_itself_when_the_tree_is_opened(tmp_path: Path, tier: str) -> None:
    repository = make_repository(tmp_path / "repo")
    scenes = asking()
    line = "git init -q nested; echo x > nested/x; echo 'curl evil' > .envrc; mkdir .vscode; echo '{}' > .vscode/tasks.json"
    scenes[2]["steps"].insert(1, {"do": "run", "command": line})
    async with heddle(tmp_path, repository, scenes, config(tier)) as fleet:
        told = await fleet.call("workspace.open", task=await executing(fleet))
        assert [one["path"] for one in told["cautions"]] == ["nested/", ".envrc", ".vscode/tasks.json"]
        assert not (tmp_path / "repo-T1" / "nested").exists()


async def test_what_is_gone_is_said_with_the_way_back(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, asking()) as fleet:
        stopped = await executing(fleet)
        await fleet.call("task.stop", task=stopped)
        await fleet.until_kind(stopped, "workspace-removed")
        for method in ("workspace.open", "workspace.enter"):
            error = await refusal(fleet, method, task=stopped)
            assert (error.slug, f"heddle restore {stopped}" in error.hint) == ("no-workspace", True)
        landed = await executing(fleet)
        await fleet.call("inbox.answer", task=landed)
        await fleet.until(landed)
        await fleet.until_kind(landed, "workspace-removed")
        async with asyncio.timeout(30):
            while (await fleet.call("task.show", task=landed))["workspaces"]:
                await asyncio.sleep(0.02)
        for method in ("workspace.open", "workspace.enter"):
            error = await refusal(fleet, method, task=landed)
            assert (error.slug, f"heddle diff {landed}" in error.hint) == ("no-workspace", True)
            assert (await refusal(fleet, method, task="T99")).slug == "no-such-task"
            assert (await refusal(fleet, method, task=landed, stage="thinking")).slug == "no-such-stage"


async def test_which_workspace_can_be_chosen(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    scenes = writes("b.txt")
    scenes[0]["steps"].insert(0, ASKS)
    async with heddle(tmp_path, repository, scenes) as fleet:
        id = await fleet.start("write b")
        await fleet.until_kind(id, "question-asked")
        for chosen in ({"stage": "research"}, {"workspace": "t1-1-research-1"}, {}):
            told = await fleet.call("workspace.open", task=id, path=str(tmp_path / f"{len(chosen)}{chosen}"), **chosen)
            assert (told["workspace"], told["stage"]) == ("t1-1-research-1", "research")
        for wrong in ({"stage": "execute"}, {"workspace": "t2-1-research-1"}):
            error = await refusal(fleet, "workspace.open", task=id, **wrong)
            assert (error.slug, error.hint) == ("no-workspace", "there is: t1-1-research-1")


# ---------------------------------------------------------------------------------------------- shell


@TIERS
async def test_what_a_person_changes_in_execute_becomes_part_of_the_result(tmp_path: Path, tier: str) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, asking(), config(tier), GITHUB_TOKEN="ghs-hunter2") as fleet:
        id = await executing(fleet)
        script = "pwd; cat b.txt; cat > by-hand.txt; env; exit 3"
        told = await fleet.call("workspace.enter", task=id, command=["sh", "-c", script], term="vt220")
        assert (told["schema"], told["kept"]) == ("heddle.visit/1", True)
        done = await ran(told, b"typed\n")
        assert (done.returncode, done.stderr) == (3, b"")
        pwd, text, *env = done.stdout.decode().splitlines()
        assert text == "hello"
        assert "TERM=vt220" in env
        assert "hunter2" not in done.stdout.decode()
        assert pwd == str(repository) or tier == "0"
        left = (await fleet.until_kind(id, "workspace-left"))["data"]
        (entered,) = await events(fleet, id, "workspace-entered")
        assert (entered["workspace"], entered["stage"]) == (told["workspace"], "execute")
        assert entered["command"] == f"sh -c {script}"
        assert (left["visit"], left["code"], left["why"]) == (entered["visit"], 3, "exited")
        await fleet.call("inbox.answer", task=id)
        assert (await fleet.until(id))[0]["status"] == "landed"
    assert git(repository, "show", "main:by-hand.txt") == "typed"


@TIERS
async def test_what_a_person_changes_in_research_is_thrown_away_and_told(tmp_path: Path, tier: str) -> None:
    repository = make_repository(tmp_path / "repo")
    scenes = writes("b.txt")
    scenes[0]["steps"].insert(0, ASKS)
    async with heddle(tmp_path, repository, scenes, config(tier)) as fleet:
        id = await fleet.start("write b")
        await fleet.until_kind(id, "question-asked")
        told = await fleet.call("workspace.enter", task=id, command=["sh", "-c", "echo x > by-hand.txt"])
        assert not told["kept"]
        assert (await ran(told)).returncode == 0
        assert (await fleet.until(id))[0]["status"] == "landed"
        (discarded,) = await events(fleet, id, "writes-discarded")
        assert discarded["paths"] == ["by-hand.txt"]
    assert git(repository, "ls-tree", "--name-only", "main").splitlines() == [".gitignore", "a.py", "b.txt"]


@TIERS
async def test_nothing_that_a_person_does_after_the_result_was_taken_is_lost_unsaid(
    tmp_path: Path, tier: str, people: list[Visitor]
) -> None:
    """The visit ends before the result is taken: what the workspace holds in the end is the result."""
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, asking(), config(tier)) as fleet:
        id = await executing(fleet)
        busy = "echo up; trap '' HUP TERM; while :; do date +%N > by-hand.txt; done"
        told = await fleet.call("workspace.enter", task=id, command=["sh", "-c", busy], terminal=True)
        visitor = Visitor(told["argv"])
        people.append(visitor)
        await asyncio.to_thread(visitor.see, "up")
        await fleet.call("inbox.answer", task=id)
        assert (await fleet.until(id))[0]["status"] == "landed"
        assert await asyncio.to_thread(visitor.left) != 0
        visitor.see(f"ended from outside; see: heddle why {id}")
        async with asyncio.timeout(30):
            while (await fleet.call("task.show", task=id))["workspaces"]:
                await asyncio.sleep(0.02)
        removed = await events(fleet, id, "workspace-removed")
        assert [one["recovery"] for one in removed if "-execute-" in one["workspace"]] == [""]


@TIERS
async def test_d4_a_stop_ends_an_open_shell_and_leaves_nothing_of_it(
    tmp_path: Path, tier: str, people: list[Visitor]
) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, asking(), config(tier)) as fleet:
        id = await executing(fleet)
        told = await fleet.call("workspace.enter", task=id, terminal=True, shell="/no/such/shell", term="xterm")
        visitor = Visitor(told["argv"])
        people.append(visitor)
        hidden = "(setsid sh -c 'trap \"\" HUP TERM; echo hid$((1+1)); exec sleep 300' &)"
        visitor.type(f"{hidden}\n")
        await asyncio.to_thread(visitor.see, "hid2")
        (entered,) = await events(fleet, id, "workspace-entered")
        assert entered["command"] == ""
        assert inside(entered["visit"])
        assert (await fleet.call("board"))["tasks"][0]["flags"] == ["person-inside"]
        await fleet.call("task.stop", task=id)
        await fleet.until_kind(id, "workspace-removed")
        assert inside(entered["visit"]) == []
        assert await asyncio.to_thread(visitor.left) > 128
        visitor.see(f"heddle why {id}")
        left = (await fleet.until_kind(id, "workspace-left"))["data"]
        assert (left["visit"], left["why"]) == (entered["visit"], "stopped")
        assert (await fleet.call("board"))["tasks"][0]["flags"] == []


@TIERS
async def test_a_person_stays_inside_over_a_restart_of_the_daemon(
    tmp_path: Path, tier: str, people: list[Visitor]
) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, asking(), config(tier), leave=True) as fleet:
        id = await executing(fleet)
        ends = {}
        for name in ("before", "after"):
            script = f"echo up; read line; echo {name} > {name}.txt; exit 4"
            told = await fleet.call("workspace.enter", task=id, command=["sh", "-c", script], terminal=True)
            ends[name] = Visitor(told["argv"])
            people.append(ends[name])
            await asyncio.to_thread(ends[name].see, "up")
    ends["before"].type("\n")
    assert ends["before"].left() == 4
    async with heddle(tmp_path, repository, None, config(tier)) as fleet:
        await fleet.until_kind(id, "workspace-left")
        assert (await fleet.call("board"))["tasks"][0]["flags"] == ["person-inside"]
        ends["after"].type("\n")
        assert await asyncio.to_thread(ends["after"].left) == 4
        async with asyncio.timeout(30):
            while len(left := await events(fleet, id, "workspace-left")) < 2:
                await asyncio.sleep(0.02)
        assert [(one["code"], one["why"]) for one in left] == [(4, "exited")] * 2
        await fleet.call("inbox.answer", task=id)
        assert (await fleet.until(id))[0]["status"] == "landed"
    assert {"before.txt", "after.txt"} <= set(git(repository, "ls-tree", "--name-only", "main").splitlines())


@TIERS
async def test_nobody_goes_in_when_the_attempt_is_over_but_anybody_may_look(tmp_path: Path, tier: str) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, asking(), config(tier)) as fleet:
        id = await fleet.start("write b", lane="quick", scope=["**"])  # no check is known: a person has to look
        await fleet.until_kind(id, "question-asked")
        await fleet.call("inbox.answer", task=id)
        assert (await fleet.until(id))[0]["status"] == "waiting"
        error = await refusal(fleet, "workspace.enter", task=id)
        assert (type(error), error.slug) == (Refused, "workspace-sealed")
        assert "its attempt is over" in error.message
        assert f"heddle open {id} --workspace" in error.hint
        assert "workspace-entered" not in await fleet.kinds(id)
        told = await fleet.call("workspace.open", task=id)
        assert (told["stage"], (Path(told["path"]) / "b.txt").read_text()) == ("execute", "hello\n")
        error = await refusal(fleet, "workspace.enter", task=id, stage="validate")
        assert (type(error), error.slug) == (Refused, "validation-alone")


async def test_a_secret_in_a_command_is_not_written_down(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    secret = "ghp_" + "a1B2" * 9
    async with heddle(tmp_path, repository, asking()) as fleet:
        id = await executing(fleet)
        told = await fleet.call("workspace.enter", task=id, command=["echo", secret])
        assert (await ran(told)).stdout.decode() == f"{secret}\n"
        await fleet.until_kind(id, "workspace-left")
    for path in Path(os.environ["HEDDLE_HOME"]).glob("journal.db*"):
        assert secret.encode() not in path.read_bytes()


async def test_parameters_that_make_no_sense_are_told(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, asking()) as fleet:
        id = await executing(fleet)
        told = await fleet.call("workspace.enter", task=id, command=["a\0b"])
        done = await ran(told)
        assert (done.returncode, done.stderr[:16]) == (127, b"heddle: program ")
        assert isinstance(await refusal(fleet, "workspace.enter", task=id, command="sh"), UserError)
