"""Which agent plays a stage, by what is here and what it can do; and what is told of agents."""

from pathlib import Path

import pytest

from heddle.core.capabilities import NAMES
from heddle.core.errors import SetupError
from support.fleet import heddle, make_repository, write_agent, writes

ABSENT = 'name = "{name}"\nprotocol = "acp"\ncommand = ["no-such-{name}"]\nversion_command = ["no-such-{name}"]\n'


def write_absent(folder: Path, name: str) -> None:
    (folder / "agents").mkdir(exist_ok=True)
    (folder / "agents" / f"{name}.toml").write_text(ABSENT.format(name=name))


async def test_the_first_fallback_that_is_here_plays_and_the_task_says_so(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    for name in ("gone", "lost"):
        write_absent(tmp_path, name)
    config = 'fallbacks = ["lost", "rehearsal"]\n'
    async with heddle(tmp_path, repository, writes("b.txt"), config, HEDDLE_AGENT="gone") as fleet:
        id = await fleet.start("write b")
        rows = await fleet.until(id)
        assert rows[0]["status"] == "landed"
        timeline = [line["text"] for line in (await fleet.call("task.show", task=id))["timeline"]]
        events = (await fleet.call("events", task=id))["events"]
    passed = [event["data"] for event in events if event["kind"] == "agent-passed-over"]
    assert [(one["stage"], one["agent"]) for one in passed] == [
        (stage, name) for stage in ("research", "plan", "execute") for name in ("gone", "lost")
    ]
    assert {event["data"]["agent"] for event in events if event["kind"] == "session-started"} == {"rehearsal"}
    assert "agent gone was not taken: agent 'gone' cannot be started: 'no-such-gone': not found on PATH" in timeline


async def test_a_stage_has_an_agent_of_its_own(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    write_agent(tmp_path, "planner", "")
    config = 'plan = "planner:large"\n'
    async with heddle(tmp_path, repository, writes("b.txt"), config) as fleet:
        id = await fleet.start("write b")
        assert (await fleet.until(id))[0]["status"] == "landed"
        events = (await fleet.call("events", task=id))["events"]
    played = [(e["data"]["stage"], e["data"]["agent"]) for e in events if e["kind"] == "session-started"]
    assert played == [("research", "rehearsal"), ("plan", "planner"), ("execute", "rehearsal")]


@pytest.mark.parametrize("named", ["", "rehearsal"])
async def test_no_agent_is_taken_that_lacks_what_is_needed(tmp_path: Path, named: str) -> None:
    """Also not when the task names it: the person's own rule holds for every task."""
    repository = make_repository(tmp_path / "repo")
    write_absent(tmp_path, "gone")
    config = 'needs = ["limits"]\nfallbacks = ["gone"]\n[limits]\nattempts = 1\n'
    async with heddle(tmp_path, repository, writes("b.txt"), config) as fleet:
        id = await fleet.start("write b", agent=named)
        failed = await fleet.until_kind(id, "stage-failed")
        assert "session-started" not in await fleet.kinds(id)
    assert failed["data"]["reason"] == ("agent-lacks" if named else "no-agent")
    assert "lacks 'limits', which your settings or the role demand" in failed["data"]["detail"]


async def test_every_agent_is_told_with_what_it_can_and_cannot_do(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    write_absent(tmp_path, "gone")
    (tmp_path / "agents" / "garbled.toml").write_text("name = ")
    async with heddle(tmp_path, repository, []) as fleet:
        told = {one["name"]: one for one in (await fleet.call("agent.list"))["agents"]}
        with pytest.raises(SetupError, match="no agent 'nobody'"):
            await fleet.call("agent.list", agent="nobody")
        findings = {one["what"]: one["ok"] for one in (await fleet.call("doctor"))["findings"]}
    assert told["rehearsal"]["found"] and told["rehearsal"]["version"]
    assert (told["gone"]["found"], told["gone"]["own"]) == (False, True)
    assert "cannot be started" in told["gone"]["trouble"] and told["gone"]["hint"]
    assert "not TOML" in told["garbled"]["trouble"]
    can = {one["name"]: one for one in told["claude"]["capabilities"]}
    assert tuple(can) == NAMES
    assert can["resume"]["can"] and not can["resume"]["why"]
    assert can["mcp"]["can"] and not can["budget"]["can"] and can["budget"]["why"]
    assert findings["agent rehearsal"] is True
    assert findings["agent gone"] is None  # nobody chose it
    assert findings["agent garbled"] is False
