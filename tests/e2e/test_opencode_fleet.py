"""Real opencode, and with it a model of the person's own, through the whole cycle in the tier that this machine gives."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from heddle.core.events import PermissionDecided, UsageRecorded
from modelserver import NEVER, Edit, ModelServer, Read, Shell, Turn, When, Write
from support.fleet import PLAN, git, heddle, make_repository
from support.opencode_brand import write_brand
from support.visitor import Visitor

pytestmark = [pytest.mark.needs("opencode"), pytest.mark.timeout(300)]


def script(server: ModelServer) -> None:
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
        Turn("", [Read("a.py")]),
        Turn("", [Write("outside.txt", "not in the scope\n")]),
        Turn("", [Edit("a.py", "x = 1", "x = 2")]),
        Turn("", [Shell("git -c user.name=A -c user.email=a@localhost commit -qam mine")]),
        Turn("", [Write("{out}/handoff.md", "Changed a.py.\n")]),
        Turn("Done."),
    )


async def test_a_task_by_a_local_model_in_real_opencode_lands(tmp_path: Path, model_server: ModelServer) -> None:
    repository = make_repository(tmp_path / "repo")
    script(model_server)
    write_brand(tmp_path)
    env = {"LOCAL_ENDPOINT": f"{model_server.url}/v1", "LOCAL_MODEL": "mine/coder"}
    async with heddle(tmp_path, repository, None, **env) as fleet:
        id = await fleet.start("Change a.py [[scn:task]]", agent="opencode")
        (row,) = await fleet.until(id, limit_s=200)
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
    assert [fact.usage.usd for fact in facts if isinstance(fact, UsageRecorded)] == [None] * 3
    assert {(call.outcome, call.model) for call in model_server.calls()} == {("answered", "mine/coder")}
    assert (repository / "a.py").read_text() == "x = 2\n"
    assert not (repository / "outside.txt").exists()
    assert git(repository, "status", "--porcelain") == ""


@pytest.fixture
async def people() -> AsyncIterator[list[Visitor]]:
    came: list[Visitor] = []
    yield came
    for visitor in came:
        visitor.close()


async def test_opencode_is_taken_over_on_its_own_screen_and_handed_back(
    tmp_path: Path, model_server: ModelServer, people: list[Visitor]
) -> None:
    repository = make_repository(tmp_path / "repo")
    model_server.play(
        When("paint", stage="execute"),
        Turn("I begin with the sky.", [Write("sky.txt", "grey\n")]),
        Turn("Never told.", gate=NEVER),
    )
    model_server.play(When(patterns=("make it blue",)), Turn("It is azure now, as you say."))
    model_server.play(
        When("paint", stage="execute", patterns=("handed it back",)),
        Turn("", [Write("b.txt", "blue\n")]),
        Turn("", [Write("{out}/handoff.md", "Painted.\n")]),
        Turn("Done."),
    )
    env = {"LOCAL_ENDPOINT": f"{model_server.url}/v1", "LOCAL_MODEL": "scripted"}
    write_brand(tmp_path)
    async with heddle(tmp_path, repository, None, **env) as fleet:
        id = await fleet.start("paint it [[scn:paint]]", agent="opencode", lane="quick", checks=["test -s b.txt"])
        await asyncio.to_thread(model_server.wait_at, NEVER, 1, 100.0)
        visitor = Visitor((await fleet.call("session.attach", task=id, term="xterm-256color"))["argv"])
        people.append(visitor)
        try:
            await asyncio.to_thread(visitor.see, "sky")
            visitor.type("make it blue")
            await asyncio.to_thread(visitor.see, "blue")
            visitor.type("\r")
            await asyncio.to_thread(visitor.see, "azure")
            visitor.type("\x03")
            await asyncio.to_thread(visitor.left)  # with 7 at times, when it was still colouring what it shows
        finally:
            print(visitor.shown)
        rows = await fleet.until(id, limit_s=120)
        assert rows[0]["status"] == "landed", rows[0]["why"]
    talked = {call.session for call in model_server.calls() if not call.aside}
    assert len(talked) == 1
