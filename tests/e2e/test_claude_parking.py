"""Real Claude Code asks, is parked, and goes on in the same conversation with the answer."""

import asyncio
from pathlib import Path

import pytest

from modelserver import ModelServer, Raw, Turn, When, Write
from support.claude_brand import write_brand
from support.fleet import heddle, make_repository

pytestmark = [pytest.mark.needs("claude"), pytest.mark.timeout(180)]

OPTIONS = [{"label": "Red", "description": "r"}, {"label": "Blue", "description": "b"}]
QUESTION = {"question": "Which colour?", "header": "Colour", "multiSelect": False, "options": OPTIONS}


async def test_a_parked_conversation_of_claude_goes_on_with_the_answer(
    tmp_path: Path, model_server: ModelServer
) -> None:
    repository = make_repository(tmp_path / "repo")
    model_server.play(When("paint", stage="execute"), Turn("", [Raw("AskUserQuestion", {"questions": [QUESTION]})]))
    model_server.play(
        When("paint", stage="execute", patterns=("Here it is; go on",)),
        Turn("", [Write("b.txt", "blue\n")]),
        Turn("", [Write("{out}/handoff.md", "Painted.\n")]),
        Turn("Done."),
    )
    env = {"ANTHROPIC_BASE_URL": model_server.url, "ANTHROPIC_API_KEY": "test"}
    write_brand(tmp_path)
    async with heddle(tmp_path, repository, None, "[limits]\npark_s = 2\n", **env) as fleet:
        id = await fleet.start("paint it [[scn:paint]]", agent="claude", lane="quick", checks=["test -s b.txt"])
        await fleet.until_kind(id, "session-parked", limit_s=60)
        async with asyncio.timeout(30):
            while await fleet.house.enclosures.none.live():
                await asyncio.sleep(0.02)
        assert (await fleet.call("task.show", task=id))["why"] == "asks: Which colour?"
        await fleet.call("inbox.answer", task=id, text="Blue")
        rows = await fleet.until(id, limit_s=90)
        assert rows[0]["status"] == "landed", rows[0]["why"]
    before, after = model_server.calls("paint/execute")[0], model_server.calls()[-1]
    assert after.session == before.session
    assert (repository / "b.txt").read_text() == "blue\n"
