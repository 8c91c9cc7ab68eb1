"""Real Claude Code on a real project: three tasks at once, through the whole cycle, landed by Heddle.

The project is click, unpacked from its source distribution; its own suite is the check, and each task brings a test
that fails on the base and passes after it. One plan is approved by a person, one first attempt is red, one agent is
killed in the middle of a turn and resumed. The model is the model server of the tests, over loopback.
"""

import asyncio
import os
import signal
import subprocess
from pathlib import Path

import pytest

from modelserver import Edit, Error, ModelServer, Read, Shell, Turn, When, Write
from support.claude_brand import write_brand
from support.fleet import Heddle, git, heddle, make_repository
from support.upstream import PYTEST, SUITE, plan, unpack

pytestmark = [pytest.mark.needs("claude"), pytest.mark.needs("sdist"), pytest.mark.timeout(400)]

TASKS = {
    "termwidth": ("formatting.py", "tests/test_added_wrap.py"),
    "shout": ("utils.py", "tests/test_added_shout.py"),
    "plural": ("types.py", "tests/test_added_plural.py"),
}


def added(name: str, body: str) -> str:
    """A module's new function, and the edit that puts it there."""
    return f"\n\ndef {name}(value: str) -> str:\n    {body}\n\n\n"


def script(server: ModelServer, name: str, good: str, bad: str = "") -> None:
    """All stages of one task; with `bad` the first attempt is red."""
    module, test = TASKS[name]
    source = f"src/click/{module}"
    server.play(
        When(name, stage="research"), Turn("", [Read(source)]), Turn(f"# Research\n- {source}:1 is the place.\n")
    )
    server.play(When(name, stage="plan"), Turn(plan(source, test)))
    write_test = Write(
        test, f"from click.{module[:-3]} import {name}\n\n\ndef test_{name}():\n    assert {name}('ab') == 'AB'\n"
    )
    last = Turn("", [Write("{out}/handoff.md", f"Added {name}.\n")])
    begin = "import typing as t\n" if name != "shout" else "import os\n"
    first = added(name, bad or good)
    server.play(
        When(name, stage="execute", attempt=1),
        Turn("", [Read(source)], gate=f"{name}-goes-on"),
        Turn("", [Edit(source, begin, begin + first)]),
        Turn("", [write_test]),
        Turn("", [Shell("git status --short")]),
        last,
        Turn("Done."),
    )
    if bad:
        server.play(
            When(name, stage="execute", attempt=2),
            Turn("", [Read(source)]),
            Turn("", [Edit(source, bad, good)]),
            last,
            Turn("Mended."),
        )
    server.play(
        When(name, stage="execute", patterns=("process was lost",)),
        Turn("", [Read(source)]),
        Turn("", [Edit(source, begin, begin + first)]),
        Turn("", [write_test]),
        last,
        Turn("Done after all."),
    )


async def test_three_tasks_by_real_claude_code_land_on_a_real_project(
    tmp_path: Path, model_server: ModelServer
) -> None:
    repository = unpack(tmp_path)
    for name in TASKS:
        script(model_server, name, "return value.upper()", "return value.lower()" if name == "shout" else "")
    env = {"ANTHROPIC_BASE_URL": model_server.url, "ANTHROPIC_API_KEY": "test"}
    write_brand(tmp_path)
    async with heddle(tmp_path, repository, **env) as fleet:
        await fleet.call("repository.allow", root=str(repository))
        ids = {name: await fleet.start(f"Add {name} [[scn:{name}]]", agent="claude") for name in TASKS}
        await overlap_and_kill(fleet, model_server, ids)
        rows = await fleet.until(*ids.values(), limit_s=240)
        assert [row["status"] for row in rows] == ["landed"] * 3, [row["why"] for row in rows]
        told = {name: await fleet.call("task.show", task=id) for name, id in ids.items()}
        kinds = {name: await fleet.kinds(id) for name, id in ids.items()}
        spans = [await executing(fleet, id) for id in ids.values()]
    assert max(begun for begun, _ in spans) < min(ended for _, ended in spans)  # by the journal, too
    assert all(one["approved_by"].startswith("person") for one in told.values())
    assert sum("verdict red" in line["text"] for line in told["shout"]["timeline"]) == 1
    # research, plan, execute killed, execute resumed; anew when it was killed before it wrote its conversation down
    assert kinds["plural"].count("session-started") in (4, 5)
    assert fails_on_base_and_passes_now(repository, tmp_path)
    assert git(repository, "log", "--format=%an", "-3") == "Ada\nAda\nAda"
    assert git(repository, "status", "--porcelain") == ""


async def test_a_credential_that_is_not_taken_ends_the_attempts_at_once(
    tmp_path: Path, model_server: ModelServer
) -> None:
    repository = make_repository(tmp_path / "repo")
    model_server.play("refused", Turn("", error=Error(401, "invalid x-api-key", times=0)))
    env = {"ANTHROPIC_BASE_URL": model_server.url, "ANTHROPIC_API_KEY": "wrong"}
    write_brand(tmp_path)
    async with heddle(tmp_path, repository, **env) as fleet:
        id = await fleet.start("Add a thing [[scn:refused]]", agent="claude")
        rows = await fleet.until(id, limit_s=90)  # the program by itself would retry for minutes, three times
        assert rows[0]["status"] == "waiting"
        assert "does not take the agent's credential" in rows[0]["why"]
        kinds = await fleet.kinds(id)
        assert kinds.count("session-started") == kinds.count("stage-failed") == 3


async def test_a_vendor_that_never_recovers_ends_the_attempt_and_is_named(
    tmp_path: Path, model_server: ModelServer
) -> None:
    """Retries are no progress, however many there are."""
    repository = make_repository(tmp_path / "repo")
    model_server.play("down", Turn("", error=Error(503, "down", times=0)))
    env = {"ANTHROPIC_BASE_URL": model_server.url, "ANTHROPIC_API_KEY": "test"}
    write_brand(tmp_path)
    async with heddle(tmp_path, repository, None, "[limits]\nstall_s = 8\nattempts = 1\n", **env) as fleet:
        id = await fleet.start("Add a thing [[scn:down]]", agent="claude")
        failed = (await fleet.until_kind(id, "stage-failed", limit_s=60))["data"]
    assert failed["reason"] == "stalled"
    assert "made no progress for 8 s and was ended; its vendor said outage: " in failed["detail"]


async def executing(fleet: Heddle, id: str) -> tuple[float, float]:
    """When the task's first execute stage began, and when the first result came of one, by the events."""
    events = (await fleet.call("events", task=id))["events"]
    begun = next(one["at"] for one in events if one["kind"] == "stage-started" and one["data"]["stage"] == "execute")
    return begun, next(one["at"] for one in events if one["kind"] == "result-delivered")


async def overlap_and_kill(fleet: Heddle, server: ModelServer, ids: dict[str, str]) -> None:
    """Pass the plan gates; hold all three executing agents in a turn at once; kill one of them there."""
    for id in ids.values():
        await fleet.until_kind(id, "plan-delivered", limit_s=90)
        digest = (await fleet.call("plan.show", task=id))["digest"]
        await fleet.call("inbox.approve", task=id, digest=digest)
    for name in ids:
        await asyncio.to_thread(server.wait_at, f"{name}-goes-on", 1, 90.0)
    running = [row for row in (await fleet.call("board"))["tasks"] if row["stage"] == "execute"]
    assert [row["status"] for row in running] == ["running"] * 3  # three real agents, in the middle of a turn, at once
    os.kill(agent_of(f"{ids['plural']}-1-execute-1.1"), signal.SIGKILL)
    for name in ids:
        server.open(f"{name}-goes-on")


def agent_of(session: str) -> int:
    """The pid of a session's agent: the process that carries its key and is nobody's tool."""
    wanted = f"HEDDLE_SESSION={session}".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and os.access(entry / "environ", os.R_OK):
            try:
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    return int(entry.name)
            except OSError:
                continue
    raise AssertionError(f"no agent of {session}")


def fails_on_base_and_passes_now(repository: Path, folder: Path) -> bool:
    """Each added test is red on the first commit and green on main; so is the whole suite on main."""
    git(repository, "clone", "-q", str(repository), str(folder / "clone"))
    clone = folder / "clone"
    base = git(clone, "rev-list", "--max-parents=0", "HEAD")
    for _, test in TASKS.values():
        git(clone, "checkout", "-q", base)
        git(clone, "checkout", "-q", "main", "--", test)
        if subprocess.run(["sh", "-c", f"{PYTEST} {test}"], cwd=clone, capture_output=True).returncode == 0:
            return False
        git(clone, "reset", "-q", "--hard")
    git(clone, "checkout", "-q", "main")
    return subprocess.run(["sh", "-c", SUITE], cwd=clone, capture_output=True).returncode == 0
