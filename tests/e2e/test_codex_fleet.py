"""Real Codex through the whole cycle, in the tier that this machine gives, and across a daemon that is killed."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from heddle.core.events import PermissionDecided, UsageRecorded
from modelserver import Edit, Error, ModelServer, Read, Shell, Turn, When, Write
from support.codex_brand import write_brand
from support.command_line import heddle as command_line
from support.fleet import PLAN, git, heddle, make_repository

pytestmark = [pytest.mark.needs("codex"), pytest.mark.timeout(300)]


def script(server: ModelServer, gate: str = "") -> None:
    """A task through all stages, with what a stage that only reads may not do."""
    server.play(
        When("task", stage="research"),
        Turn("", [Read("a.py")]),
        Turn("", [Write("sneaky.txt", "x")]),
        Turn("", [Shell("touch sneaky2.txt")]),
        Turn("# Research\n- a.py:1 is the place.\n"),
    )
    server.play(When("task", stage="plan"), Turn("", [Write("{out}/plan.md", PLAN.format(path="a.py"))]), Turn("Done."))
    server.play(
        When("task", stage="execute"),
        Turn("", [Read("a.py")], gate=gate),
        Turn("", [Write("outside.txt", "not in the scope\n")]),
        Turn("", [Edit("a.py", "x = 1", "x = 2")]),
        Turn("", [Shell("git -c user.name=A -c user.email=a@localhost commit -qam mine")]),
        Turn("", [Write("{out}/handoff.md", "Changed a.py.\n")]),
        Turn("Done."),
    )


@pytest.mark.parametrize("tier", ["auto", "0", pytest.param("3", marks=pytest.mark.needs("boxes"))])
async def test_a_task_by_real_codex_lands(tmp_path: Path, model_server: ModelServer, tier: str) -> None:
    repository = make_repository(tmp_path / "repo")
    script(model_server)
    write_brand(tmp_path)
    env = {"OPENAI_BASE_URL": f"{model_server.url}/v1", "CODEX_API_KEY": "test"}
    async with heddle(tmp_path, repository, config=f'[sandbox]\ntier = "{tier}"\n', **env) as fleet:
        id = await fleet.start("Change a.py [[scn:task]]", agent="codex")
        (row,) = await fleet.until(id, limit_s=120)
        assert row["status"] == "landed", row["why"]
        kinds = await fleet.kinds(id)
        shown = await fleet.call("session.list", task=id)
        journal = fleet.house.journal
        facts = [one.event for s in shown["sessions"] for one in await journal.read(f"session:{s['session']}")]
    assert kinds.count("session-started") == 3
    assert "writes-discarded" not in kinds, "a stage that only reads wrote into its workspace"
    decided = [fact for fact in facts if isinstance(fact, PermissionDecided)]
    refused = [fact.title.rpartition("/")[2] for fact in decided if not fact.allowed]
    assert refused == ["sneaky.txt", "touch sneaky2.txt", "outside.txt"]
    assert sum(isinstance(fact, UsageRecorded) for fact in facts) == 3
    assert {call.outcome for call in model_server.calls()} == {"answered"}
    assert (repository / "a.py").read_text() == "x = 2\n"
    assert not (repository / "outside.txt").exists()
    assert git(repository, "status", "--porcelain") == ""


async def test_a_credential_that_is_not_taken_ends_the_attempts_at_once(
    tmp_path: Path, model_server: ModelServer
) -> None:
    repository = make_repository(tmp_path / "repo")
    model_server.play("refused", Turn("", error=Error(401, "bad key", times=0)))
    write_brand(tmp_path)
    env = {"OPENAI_BASE_URL": f"{model_server.url}/v1", "CODEX_API_KEY": "wrong"}
    async with heddle(tmp_path, repository, **env) as fleet:
        id = await fleet.start("Add a thing [[scn:refused]]", agent="codex")
        (row,) = await fleet.until(id, limit_s=90)
        kinds = await fleet.kinds(id)
    assert row["status"] == "waiting"
    assert "does not take the agent's credential" in row["why"]
    assert kinds.count("session-started") == kinds.count("stage-failed") == 3


def asked(*words: str, **env: str) -> dict[str, Any]:
    """The answer of a command as JSON."""
    ended = command_line(*words, "--json", **env)
    assert ended.status in (0, 1, 3), ended.err
    told: dict[str, Any] = json.loads(ended.out)
    return told


def test_w6_a_turn_of_codex_survives_the_daemon(tmp_path: Path, model_server: ModelServer) -> None:
    repository = make_repository(tmp_path / "repo")
    write_brand(tmp_path)
    (tmp_path / "person.toml").write_text('[agent]\ndefault = "codex"\n')
    script(model_server, gate="in-the-turn")
    env = {"HEDDLE_CONFIG": str(tmp_path / "person.toml")}
    env |= {"OPENAI_BASE_URL": f"{model_server.url}/v1", "CODEX_API_KEY": "test"}
    try:
        id = asked("start", "Change a.py [[scn:task]]", "--repo", str(repository), **env)["id"]
        assert command_line("wait", id, "--timeout", "60", **env).status == 3
        assert command_line("approve", id, **env).status == 0
        model_server.wait_at("in-the-turn", 1, 60.0)
        os.kill(asked("daemon", "status", **env)["pid"], signal.SIGKILL)
        assert command_line("wait", id, "--timeout", "1", **env).status != 0  # a new daemon, the same turn
        model_server.open("in-the-turn")
        waited = command_line("wait", id, "--timeout", "90", **env, timeout=120)
        assert waited.status == 0, waited.out + waited.err
        kinds = [event["kind"] for event in asked("events", id, **env)["events"]]
    finally:
        command_line("daemon", "stop", **env)
    assert kinds.count("session-started") == 3
    assert "stage-failed" not in kinds
    assert (repository / "a.py").read_text() == "x = 2\n"
