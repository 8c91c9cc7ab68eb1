"""The real Claude Code is taken over on its own screen in the middle of a turn, and handed back."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from modelserver import NEVER, ModelServer, Turn, When, Write
from support.claude_brand import write_brand
from support.fleet import heddle, make_repository
from support.visitor import Visitor

pytestmark = [pytest.mark.needs("claude"), pytest.mark.timeout(180)]


@pytest.fixture
async def people() -> AsyncIterator[list[Visitor]]:
    came: list[Visitor] = []
    yield came
    for visitor in came:
        visitor.close()


async def test_claude_is_taken_over_on_its_own_screen_and_handed_back(
    tmp_path: Path, model_server: ModelServer, people: list[Visitor]
) -> None:
    repository = make_repository(tmp_path / "repo")
    model_server.play(When("paint", stage="execute"), Turn("I begin with the sky."), Turn("Never.", gate=NEVER))
    model_server.play(
        When("paint", stage="execute"),
        Turn("I begin with the sky.", [Write("sky.txt", "grey\n")]),
        Turn("Never told.", gate=NEVER),
    )
    model_server.play(When(patterns=("make it blue",)), Turn("It is blue now, as you say."))
    model_server.play(
        When("paint", stage="execute", patterns=("handed it back",)),
        Turn("", [Write("b.txt", "blue\n")]),
        Turn("", [Write("{out}/handoff.md", "Painted.\n")]),
        Turn("Done."),
    )
    env = {"ANTHROPIC_BASE_URL": model_server.url, "ANTHROPIC_API_KEY": "test-key-of-some-length"}
    write_brand(tmp_path)
    async with heddle(tmp_path, repository, None, **env) as fleet:
        id = await fleet.start("paint it [[scn:paint]]", agent="claude", lane="quick", checks=["test -s b.txt"])
        await asyncio.to_thread(model_server.wait_at, NEVER, 1, 60.0)
        visitor = Visitor((await fleet.call("session.attach", task=id, term="xterm-256color"))["argv"])
        people.append(visitor)
        try:
            await asyncio.to_thread(visitor.see, "sky")
            visitor.type("make it blue")
            await asyncio.to_thread(visitor.see, "blue")
            visitor.type("\r")
            await asyncio.to_thread(visitor.see, "you")
            visitor.type("/exit\r")
            assert await asyncio.to_thread(visitor.left) == 0
        finally:
            print(visitor.shown)
        rows = await fleet.until(id, limit_s=90)
        assert rows[0]["status"] == "landed", rows[0]["why"]
    talked = {call.session for call in model_server.calls() if not call.aside}
    assert len(talked) == 1
