"""Real Claude Code in a box, steered by the real command line, while its daemon is killed in the middle of a turn."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from modelserver import ModelServer, Read, Turn, When, Write
from support.claude_brand import write_brand
from support.command_line import heddle
from support.fleet import PLAN, git, make_repository

pytestmark = [pytest.mark.needs("claude"), pytest.mark.needs("boxes"), pytest.mark.timeout(240)]


def script(server: ModelServer) -> None:
    """Research, plan, and an execute turn that stops at a gate before it writes."""
    server.play(When("daemon", stage="research"), Turn("# Research\n- a.py:1 is the place.\n"))
    server.play(When("daemon", stage="plan"), Turn(PLAN.format(path="b.txt")))
    server.play(
        When("daemon", stage="execute"),
        Turn("", [Read("a.py")], gate="in-the-turn"),
        Turn("", [Write("b.txt", "written\n")]),
        Turn("", [Write("{out}/handoff.md", "Added b.txt.\n")]),
        Turn("Done."),
    )


def asked(*words: str, **env: str) -> dict[str, Any]:
    """The answer of a command as JSON."""
    ended = heddle(*words, "--json", **env)
    assert ended.status in (0, 1, 3), ended.err
    told: dict[str, Any] = json.loads(ended.out)
    return told


def test_w6_a_turn_of_claude_in_its_box_survives_the_daemon(tmp_path: Path, model_server: ModelServer) -> None:
    repository = make_repository(tmp_path / "repo")
    write_brand(tmp_path)
    (tmp_path / "person.toml").write_text('[agent]\ndefault = "claude"\n[sandbox]\ntier = "2"\n')
    script(model_server)
    env = {"HEDDLE_CONFIG": str(tmp_path / "person.toml")}
    env |= {"ANTHROPIC_BASE_URL": model_server.url, "ANTHROPIC_API_KEY": "test"}
    try:
        id = asked("start", "Add b.txt [[scn:daemon]]", "--repo", str(repository), **env)["id"]
        assert heddle("wait", id, "--timeout", "60", **env).status == 3
        assert heddle("approve", id, **env).status == 0
        model_server.wait_at("in-the-turn", 1, 60.0)
        os.kill(asked("daemon", "status", **env)["pid"], signal.SIGKILL)
        assert heddle("wait", id, "--timeout", "1", **env).status != 0  # a new daemon, the same turn
        model_server.open("in-the-turn")
        waited = heddle("wait", id, "--timeout", "90", **env)
        assert waited.status == 0, waited.out + waited.err
        events = asked("events", id, **env)["events"]
        kinds = [event["kind"] for event in events]
        assert kinds.count("session-started") == 3
        assert "stage-failed" not in kinds
        assert {event["data"]["tier"] for event in events if event["kind"] == "session-started"} == {2}
    finally:
        heddle("daemon", "stop", **env)
    assert (repository / "b.txt").read_text() == "written\n"
    assert git(repository, "log", "-1", "--format=%s") == "Add b.txt [[scn:daemon]]"
