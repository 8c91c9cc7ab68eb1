"""What a session writes is watched: past its limit it is frozen and asked about, and nothing of it is lost."""

import asyncio
import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest

from heddle.adapters.sandbox import headroom
from heddle.adapters.sandbox.held import HeldProcess
from heddle.adapters.workspaces.instant.workspace import InstantWorkspace
from heddle.core.errors import OutsideError, UserError
from heddle.core.events import Event, SessionFrozen
from heddle.core.extent import Extent
from heddle.core.run import Run
from heddle.engine import sizewatch
from heddle.engine.runs import Runs
from heddle.holder.reaper import marked
from support.evaders import evader
from support.fleet import Heddle, git, heddle, make_repository, scene, writes

LIMITS = "[limits]\nworkspace_files = 200\n"
FILL = "mkdir junk; i=0; while [ $i -lt 400 ]; do : > junk/$i; i=$((i+1)); done"
WAIT = 'until [ -e "$HEDDLE_OUT/go" ]; do sleep 0.02; done'


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizewatch, "PAUSE_S", 0.05)


def fills(*steps: dict[str, Any]) -> list[dict[str, Any]]:
    """A task whose agent writes many small files, half of its work beside them, and waits for a sign."""
    plain = writes("b.txt")
    run = {"do": "run", "command": f"echo half > b.txt; {FILL}; {WAIT}; rm -r junk"}
    return [*plain[:2], scene("execute", run, *steps, *plain[2]["steps"])]


def state_folder() -> Path:
    return Path(os.environ["HEDDLE_HOME"])


def give_sign(id: str) -> None:
    """What the agent waits for."""
    (out,) = state_folder().glob(f"instant/*/{id.lower()}-1-execute-1/out")
    (out / "go").touch()


def states(session: str) -> set[str]:
    """The states of all processes of a session; one that waits in the kernel for its stopped child of vfork is stopped."""
    specs = [json.loads(path.read_bytes()) for path in (state_folder() / "holders").glob("*/spec.json")]
    pids = [pid for spec in specs if spec["key"] == session for pid in marked(spec["marker"])]
    found = {Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] for pid in pids}
    return {"T"} if found == {"T", "D"} else found


async def until_frozen(fleet: Heddle, text: str = "write b") -> tuple[str, dict[str, Any]]:
    """A task that is frozen in execute, with its item."""
    id = await fleet.start(text)
    await fleet.until_kind(id, "plan-delivered")
    await fleet.call("inbox.approve", task=id)
    frozen = await fleet.until_kind(id, "session-frozen")
    assert frozen["data"]["session"] == f"{id}-1-execute-1.1", await fleet.kinds(id)
    (item,) = [item for item in (await fleet.call("inbox"))["items"] if item["kind"] == "frozen"]
    return id, item


async def test_attack_41_many_small_files_freeze_the_session_and_the_person_lets_it_go_on(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, fills(), LIMITS) as fleet:
        id, item = await until_frozen(fleet)
        assert states(f"{id}-1-execute-1.1") == {"T"}, await fleet.kinds(id)
        assert item["options"] == ["go on", "stop"]
        assert "files (" in item["text"]
        assert item["text"].endswith("the limit is 200 files")
        why = await fleet.call("task.why", task=id)
        assert (why["status"], why["reason"]) == ("waiting", f"frozen: {item['text']}")
        assert why["act"] == [f'heddle answer {id} "go on"', f'heddle answer {id} "stop"']
        assert any(line["text"] == f"frozen: {item['text']}" for line in why["timeline"])
        for text in ("", "perhaps"):
            with pytest.raises(UserError):
                await fleet.call("inbox.answer", task=id, text=text)
        give_sign(id)
        assert states(f"{id}-1-execute-1.1") == {"T"}
        await fleet.call("inbox.answer", task=id, text="go on")
        assert (await fleet.until(id))[0]["status"] == "landed"
        assert (await fleet.kinds(id)).count("session-frozen") == 1
    assert git(repository, "show", "main:b.txt") == "hello"


async def test_bytes_count_as_well_as_files(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    run = {"do": "run", "command": f"for n in 1 2 3 4; do head -c 1000000 /dev/urandom > $n; done; {WAIT}; rm ?"}
    scenes = [*writes("b.txt")[:2], scene("execute", run, *writes("b.txt")[2]["steps"])]
    async with heddle(tmp_path, repository, scenes, "[limits]\nworkspace_gb = 0.0025\n") as fleet:
        id, item = await until_frozen(fleet)
        assert item["text"].endswith("the limit is 2.5 MB")
        give_sign(id)
        await fleet.call("inbox.answer", task=id, text="go on")
        assert (await fleet.until(id))[0]["status"] == "landed"


async def test_w7_a_frozen_session_that_is_stopped_fails_its_attempt_and_its_work_comes_back(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, fills(), f"{LIMITS}attempts = 1\n") as fleet:
        id, item = await until_frozen(fleet)
        await fleet.call("inbox.answer", task=id, text="stop")
        failed = (await fleet.until_kind(id, "stage-failed"))["data"]
        assert (failed["reason"], failed["detail"]) == ("too-large", item["text"])
        assert (await fleet.until(id))[0]["status"] == "waiting"
        assert states(f"{id}-1-execute-1.1") == set()
        await fleet.call("inbox.reject", task=id, reason="enough")
        while (await fleet.call("task.show", task=id))["workspaces"]:
            await asyncio.wait_for(fleet.house.journal.wait(fleet.house.journal.position()), 20)
        told = await fleet.call("task.restore", task=id, path=str(tmp_path / "back"))
    assert (Path(told["path"]) / "b.txt").read_text() == "half\n"


async def test_a_frozen_session_outlives_its_daemon_and_is_asked_about_once(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, fills(), LIMITS, leave=True) as fleet:
        id, item = await until_frozen(fleet)
    assert states(f"{id}-1-execute-1.1") == {"T"}
    async with heddle(tmp_path, repository, fills(), LIMITS, leave=True) as fleet:
        async with asyncio.timeout(20):  # it has attached again
            while fleet.house.enclosures.box.of(f"{id}-1-execute-1.1")._wire is None:
                await asyncio.sleep(0.01)
        assert (await fleet.call("inbox"))["items"] == [item]
        assert states(f"{id}-1-execute-1.1") == {"T"}
    async with heddle(tmp_path, repository, fills(), LIMITS) as fleet:
        give_sign(id)
        await fleet.call("inbox.answer", task=id, text="go on")
        assert (await fleet.until(id))[0]["status"] == "landed"
        assert (await fleet.kinds(id)).count("session-frozen") == 1
    assert len(list((state_folder() / "holders").glob("T*execute*/started.json"))) == 1


@pytest.mark.parametrize("answer", ["go on", "stop"])
async def test_an_answer_that_was_not_carried_out_is_carried_out_by_the_next_daemon(
    tmp_path: Path, answer: str
) -> None:
    async def nothing(*_: object) -> None:
        await asyncio.Event().wait()

    repository = make_repository(tmp_path / "repo")
    config = f"{LIMITS}attempts = 1\n"
    async with heddle(tmp_path, repository, fills(), config, leave=True) as fleet:
        id, _ = await until_frozen(fleet)
        give_sign(id)
        dying = pytest.MonkeyPatch()
        dying.setattr(HeldProcess, "thaw", nothing)
        dying.setattr(HeldProcess, "stop", nothing)
        await fleet.call("inbox.answer", task=id, text=answer)
    dying.undo()
    assert states(f"{id}-1-execute-1.1") == {"T"}
    async with heddle(tmp_path, repository, fills(), config) as fleet:
        status = (await fleet.until(id))[0]["status"]
        assert status == ("landed" if answer == "go on" else "waiting")
        assert (await fleet.kinds(id)).count("session-frozen") == 1


async def test_no_stall_is_seen_in_a_session_that_is_frozen(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, fills(), f"{LIMITS}stall_s = 4.0\n") as fleet:
        id, _ = await until_frozen(fleet)
        clock = await asyncio.create_subprocess_exec("sleep", "5")
        await clock.wait()
        assert (await fleet.call("inbox"))["items"][0]["kind"] == "frozen"
        give_sign(id)
        await fleet.call("inbox.answer", task=id, text="go on")
        assert (await fleet.until(id))[0]["status"] == "landed"
        assert "stage-failed" not in await fleet.kinds(id)


async def test_a_session_that_forks_and_hides_while_it_writes_is_frozen_and_ended_whole(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    program = evader("tree").replace(
        "beat()\n            os._exit", "os.close(os.open(str(os.getpid()), 65))\n            os._exit"
    )
    run = {"do": "run", "command": f"python3 -I -S -c {shlex.quote(program)}"}
    scenes = [*writes("b.txt")[:2], scene("execute", run)]
    async with heddle(tmp_path, repository, scenes, f"{LIMITS}attempts = 1\n") as fleet:
        id, _ = await until_frozen(fleet)
        assert states(f"{id}-1-execute-1.1") == {"T"}
        await fleet.call("inbox.answer", task=id, text="stop")
        assert (await fleet.until_kind(id, "stage-failed"))["data"]["reason"] == "too-large"
        assert states(f"{id}-1-execute-1.1") == set()


async def test_what_cannot_be_frozen_is_ended_and_its_work_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(self: HeldProcess) -> bool:
        return False

    monkeypatch.setattr(HeldProcess, "freeze", refuse)
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, fills(), f"{LIMITS}attempts = 1\n") as fleet:
        id = await fleet.start("write b")
        assert "it could not be frozen, so it was ended" in (await fleet.until(id))[0]["why"]
        assert (await fleet.until_kind(id, "stage-failed"))["data"]["reason"] == "too-large"
        changed = (await fleet.call("task.diff", task=id))["paths"]
        assert "b.txt" in changed


async def test_nobody_is_asked_about_what_cleared_up_before_it_was_frozen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    async def once(self: InstantWorkspace, enough: Extent) -> Extent:
        seen.append(enough.files)
        return Extent(0, 201 if len(seen) == 1 else 1)

    monkeypatch.setattr(InstantWorkspace, "extent", once)
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, writes("b.txt"), LIMITS) as fleet:
        id = await fleet.start("write b")
        assert (await fleet.until(id))[0]["status"] == "landed"
        assert "session-frozen" not in await fleet.kinds(id)
    assert seen[:2] == [200, 200 * sizewatch.FURTHER]


async def test_what_cannot_be_asked_about_yet_stays_frozen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[str]] = []
    record = Runs.record

    async def full(self: Runs, task: str, *events: Event, **more: str) -> Run:
        if isinstance(events[0], SessionFrozen) and len(seen) < 5:
            seen.append(states(events[0].session))
            raise OutsideError("the disk is full", slug="disk-full")
        return await record(self, task, *events, **more)

    monkeypatch.setattr(Runs, "record", full)
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, fills(), LIMITS) as fleet:
        id, _ = await until_frozen(fleet)
        give_sign(id)
        await fleet.call("inbox.answer", task=id, text="go on")
        assert (await fleet.until(id))[0]["status"] == "landed"
    assert seen == [{"T"}] * 5


async def test_a_task_is_stopped_while_it_is_frozen(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, fills(), LIMITS) as fleet:
        id, _ = await until_frozen(fleet)
        await fleet.call("task.stop", task=id)
        await fleet.until_kind(id, "run-stopped")
        assert states(f"{id}-1-execute-1.1") == set()
        assert (await fleet.call("inbox"))["items"] == []


async def test_without_boxes_the_disk_alone_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = make_repository(tmp_path / "repo")
    asks = {"do": "ask", "text": "Which?", "options": ["x"], "default": "x"}
    scenes = [scene("research", asks, *writes("b.txt")[0]["steps"]), *writes("b.txt")[1:]]
    left = Extent(2_000_000_000, 10**6)
    monkeypatch.setattr(headroom, "disk_left", lambda folder: left)
    config = '[sandbox]\ntier = "0"\n[limits]\nworkspace_files = 1\n'
    async with heddle(tmp_path, repository, scenes, config) as fleet:
        id = await fleet.start("write b")
        await fleet.until_kind(id, "question-asked")
        left = Extent(400_000_000, 10**6)
        frozen = await fleet.until_kind(id, "session-frozen")
        assert frozen["data"]["why"] == "the disk has 400 MB left and 1.1 GB are kept free"
        assert states(f"{id}-1-research-1.1") == {"T"}
        await fleet.call("inbox.answer", task=id, question=frozen["data"]["question"], text="go on")
        await fleet.call("inbox.answer", task=id)
        await fleet.until_kind(id, "research-delivered")
        left = Extent(2_000_000_000, 10**6)
        assert (await fleet.until(id))[0]["status"] == "landed"


async def test_a_check_that_writes_too_much_is_ended_and_its_evidence_says_why(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    check = f"echo begun; {FILL}; sleep 600"
    async with heddle(tmp_path, repository, writes("b.txt"), f"{LIMITS}attempts = 1\n") as fleet:
        id = await fleet.start("write b", checks=[check])
        assert (await fleet.until(id))[0]["status"] == "waiting"
        verdict = (await fleet.until_kind(id, "verdict-reached"))["data"]["verdict"]
        assert verdict["colour"] == "red"
        (tail,) = [one["tail"] for one in verdict["results"] if one["command"] == check]
        assert tail.startswith("too-large wrote ")
        assert tail.endswith("the limit is 200 files\nbegun\n")


async def test_a_set_up_command_that_writes_too_much_is_ended_and_says_why(tmp_path: Path) -> None:
    files = {"a.py": "x = 1\n", "heddle.toml": f"[setup]\ncommands = [{json.dumps(FILL + '; sleep 600')}]\n"}
    repository = make_repository(tmp_path / "repo", files)
    async with heddle(tmp_path, repository, writes("b.txt"), f"{LIMITS}attempts = 1\n") as fleet:
        id = await fleet.start("write b")
        await fleet.until(id, approve=False)
        await fleet.call("inbox.approve", task=id)
        failed = (await fleet.until_kind(id, "stage-failed"))["data"]
        assert failed["reason"] == "setup-failed"
        assert "too-large wrote" in failed["detail"]


async def test_a_commit_hook_that_writes_too_much_is_ended_and_says_why(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    (repository / ".git/hooks").mkdir(exist_ok=True)
    (repository / ".git/hooks/pre-commit").write_text(f"#!/bin/sh\n{FILL}; sleep 600\n")
    (repository / ".git/hooks/pre-commit").chmod(0o755)
    async with heddle(tmp_path, repository, writes("b.txt"), f"{LIMITS}attempts = 1\n") as fleet:
        id = await fleet.start("write b")
        await fleet.until(id)
        verdict = (await fleet.until_kind(id, "verdict-reached"))["data"]["verdict"]
        assert verdict["colour"] == "red"
        assert verdict["results"][0]["tail"].startswith("too-large wrote ")


async def test_w10_sessions_freeze_while_the_disk_is_nearly_full_and_go_on_by_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = make_repository(tmp_path / "repo")
    asks = {"do": "ask", "text": "Which?", "options": ["x"], "default": "x"}
    scenes = [scene("research", asks, *writes("b.txt")[0]["steps"]), *writes("b.txt")[1:]]
    left = Extent(2_000_000_000, 10**6)
    monkeypatch.setattr(headroom, "disk_left", lambda folder: left)
    async with heddle(tmp_path, repository, scenes) as fleet:
        id = await fleet.start("write b")
        await fleet.until_kind(id, "question-asked")
        left = Extent(400_000_000, 10**6)
        await fleet.until_kind(id, "session-frozen")
        assert states(f"{id}-1-research-1.1") == {"T"}
        frozen, question = (await fleet.call("inbox"))["items"]
        assert frozen["text"].startswith("the disk has 400 MB left and 1.1 GB are kept free; it wrote ")
        await fleet.call("inbox.answer", task=id, question=question["digest"])
        left = Extent(900_000_000, 10**6)  # what is kept free is not yet free again
        clock = await asyncio.create_subprocess_exec("sleep", "0.3")
        await clock.wait()
        assert states(f"{id}-1-research-1.1") == {"T"}
        left = Extent(2_000_000_000, 10**6)
        await fleet.until_kind(id, "question-withdrawn")
        assert (await fleet.until(id))[0]["status"] == "landed"
