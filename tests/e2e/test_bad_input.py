"""Bad input and a bad world, through whole runs: each ends in a clear word, and nothing is lost."""

import asyncio
import itertools
import json
from pathlib import Path

import pytest

from heddle import wiring
from heddle.adapters.agents import version
from support.fleet import git, heddle, make_repository, scene, write_agent, writes

ONE_ATTEMPT = "[limits]\nattempts = 1\n"
YEAR_S = 31_536_000.0


def write_versioned_agent(folder: Path, script: str) -> Path:
    """A brand 'mine' whose version a shell script tells; 9.0 is needed. Returns the script."""
    write_agent(folder, "mine", "")
    brand, asked = folder / "agents/mine.toml", folder / "ask-version"
    asked.write_text(script)
    command = json.dumps(["/bin/sh", str(asked)])
    brand.write_text(f'version_command = {command}\nminimum_version = "9.0"\n{brand.read_text()}')
    return asked


def members(group: int) -> list[int]:
    """The processes of a group that still run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = path.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it ended meanwhile
            continue
        if int(its_group) == group and state != "Z":
            found.append(int(path.parent.name))
    return found


async def test_an_agent_that_is_too_old_is_told_with_what_is_needed_and_works_when_it_is_renewed(
    tmp_path: Path,
) -> None:
    repository = make_repository(tmp_path / "repo")
    asked = write_versioned_agent(tmp_path, "echo mine 1.2.3")
    async with heddle(tmp_path, repository, writes("b.txt"), ONE_ATTEMPT) as fleet:
        id = await fleet.start("write b", agent="mine")
        (row,) = await fleet.until(id)
        assert row["status"] == "waiting"
        assert "agent 'mine' has version 1.2.3; 9.0 is needed" in row["why"]
        (item,) = (await fleet.call("inbox"))["items"]
        assert "9.0 is needed" in item["text"]
        assert not {"workspace-created", "session-started"} & set(await fleet.kinds(id))
        asked.write_text("echo mine 9.0.1")
        await fleet.call("inbox.approve", task=id)
        assert (await fleet.until(id))[0]["status"] == "landed"


@pytest.mark.parametrize(
    ("script", "wait_s", "why"),
    [
        ("printf 'no \\377\\000 number'", 30.0, "told no version"),
        ("head -c 6000 /dev/zero | tr '\\0' 9; echo .1", 30.0, "told no version"),
        ("echo 9.1; echo 'no licence' >&2; exit 3", 30.0, "failed: no licence"),
        ("echo 9.1; exec cat /dev/zero", 30.0, "told more than"),
        ("exec sleep 600", 1.0, "did not answer within"),
        ("sleep 600 & echo 9.1", 1.0, "did not answer within"),
    ],
)
async def test_an_agent_that_tells_no_version_is_named_and_leaves_nothing_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, wait_s: float, why: str
) -> None:
    monkeypatch.setattr(version, "WAIT_S", wait_s)
    repository = make_repository(tmp_path / "repo")
    group = tmp_path / "group"
    group.touch()
    write_versioned_agent(tmp_path, f"echo $$ >'{group}'\n{script}")
    async with heddle(tmp_path, repository, writes("b.txt"), ONE_ATTEMPT) as fleet:
        id = await fleet.start("write b", agent="mine")
        (row,) = await fleet.until(id)
        assert row["status"] == "waiting"
        assert why in row["why"]
        failed = await fleet.until_kind(id, "stage-failed")
        assert failed["data"]["reason"] in ("agent-missing", "agent-version")
        assert len(failed["data"]["detail"]) <= 500
    asked = group.read_text().strip()  # empty when it was ended before its first command
    async with asyncio.timeout(10):
        while asked and members(int(asked)):
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("script", "slug"),
    [
        ("exit 0", "turn-failed"),
        ("echo 'no licence' >&2; exit 1", "turn-failed"),
        ("cat <&0 >/dev/null & exec sleep 600", "stalled"),
        ("exec >&-; exec sleep 600", "stalled"),
        ('while sleep 0.2; do echo \'{"jsonrpc": "2.0", "method": "still-here"}\'; done', "stalled"),
        ("printf '\\033[2J{\"id\":1}\\n[]\\nnull\\n\\377\\000'; exit 0", "turn-failed"),
        ('exec yes \'{"jsonrpc": "2.0"}\'', "transcript-limit"),
        ("exec cat /dev/zero", "transcript-limit"),
    ],
)
async def test_a_program_that_is_no_agent_costs_an_attempt_and_no_more(tmp_path: Path, script: str, slug: str) -> None:
    repository = make_repository(tmp_path / "repo")
    (tmp_path / "agents").mkdir()
    command = json.dumps(["/bin/sh", "-c", script])
    (tmp_path / "agents/mine.toml").write_text(f'name = "mine"\nprotocol = "acp"\ncommand = {command}\n')
    config = "[limits]\ntranscript_mb = 1\nstall_s = 1.5\nattempts = 1\n"
    async with heddle(tmp_path, repository, [], config) as fleet:
        id = await fleet.start("write b", agent="mine")
        (row,) = await fleet.until(id)
        assert row["status"] == "waiting"
        failed = (await fleet.until_kind(id, "stage-failed"))["data"]
        assert failed["reason"] == slug
        assert ("no licence" in failed["detail"]) is ("no licence" in script)
        async with asyncio.timeout(20):
            while await fleet.house.enclosures.none.live() or await fleet.house.enclosures.none.live(boxes=True):
                await asyncio.sleep(0.02)
    assert git(repository, "status", "--porcelain") == ""


@pytest.mark.timeout(300)
async def test_a_file_of_a_gigabyte_is_left_out_of_the_result_and_told(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    huge = {"do": "run", "command": "truncate -s 1000M huge.bin"}
    alone = scene("execute", huge, {"do": "document", "text": "done\n"}, attempt=1)
    beside = scene("execute", huge, *writes("b.txt")[2]["steps"])
    async with heddle(tmp_path, repository, [alone, beside, *writes("b.txt")]) as fleet:
        id = await fleet.start("write b")
        (row,) = await fleet.until(id, limit_s=240)
        assert row["status"] == "landed"
        story = [line["text"] for line in (await fleet.call("task.show", task=id))["timeline"]]
    told = "left out: huge.bin (1048576000 bytes, above the limit of 10000000)"
    assert [told in line for line in story if "nothing differs" in line or "result:" in line] == [True, True]
    assert git(repository, "ls-files").split() == [".gitignore", "a.py", "b.txt"]


async def test_a_branch_that_looks_like_an_option_is_a_branch(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    git(repository, "update-ref", "refs/heads/-x", "HEAD")
    git(repository, "symbolic-ref", "HEAD", "refs/heads/-x")
    first = git(repository, "rev-parse", "main")
    async with heddle(tmp_path, repository, writes("b.txt")) as fleet:
        id = await fleet.start("write b")
        (row,) = await fleet.until(id)
        assert row["status"] == "landed"
        assert git(repository, "rev-parse", "refs/heads/-x") == row["commit"]
    assert (repository / "b.txt").read_text() == "hello\n"
    assert (git(repository, "rev-parse", "main"), git(repository, "status", "--porcelain")) == (first, "")


async def test_a_clock_that_leaps_by_years_costs_no_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leaps = itertools.cycle((30 * YEAR_S, -20 * YEAR_S, 0.0))
    now = wiring.SystemClock.now
    monkeypatch.setattr(wiring.SystemClock, "now", lambda self: now(self) + next(leaps))
    repository = make_repository(tmp_path / "repo")
    half = scene("execute", {"do": "write", "path": "b.txt", "text": "half\n"}, {"do": "ask", "text": "go on?"})
    async with heddle(tmp_path, repository, [half, *writes("b.txt")], leave=True) as fleet:
        id = await fleet.start("write b")
        await fleet.until_kind(id, "plan-delivered")
        await fleet.call("inbox.approve", task=id)
        await fleet.until_kind(id, "question-asked")
    monkeypatch.setattr(wiring.SystemClock, "now", lambda self: now(self) - 40 * YEAR_S)  # before the first one's lease
    async with heddle(tmp_path, repository, writes("c.txt")) as fleet:
        other = await fleet.start("write c")
        assert (await fleet.until(other))[0]["status"] == "landed"
        await fleet.call("task.stop", task=id)
        async with asyncio.timeout(30):
            while (await fleet.call("task.show", task=id))["workspaces"]:
                await fleet.house.journal.wait(fleet.house.journal.position())
        told = await fleet.call("task.restore", task=id, path=str(tmp_path / "back"))
        assert (Path(told["path"]) / "b.txt").read_text() == "half\n"
        facts = await fleet.house.journal.read_all()
        assert [fact.position for fact in facts] == list(range(1, len(facts) + 1))
        assert [row["status"] for row in (await fleet.call("board", all=True))["tasks"]] == ["stopped", "landed"]
