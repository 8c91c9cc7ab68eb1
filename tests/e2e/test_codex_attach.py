"""The real Codex is taken over on its own screen and handed back, in one conversation."""

import asyncio
import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelserver import NEVER, ModelServer, Turn, When, Write
from support.codex_brand import write_brand
from support.fleet import heddle, make_repository
from support.tmux import Tmux

pytestmark = [pytest.mark.needs("codex"), pytest.mark.needs("tmux"), pytest.mark.timeout(180)]


@pytest.fixture
def tmux() -> Iterator[Tmux]:
    """Its screen asks the terminal things, and waits for the answers."""
    made = Tmux(Path(os.environ["HEDDLE_HOME"]).parent)
    yield made
    made.run("kill-server")


async def test_codex_is_taken_over_on_its_own_screen_and_handed_back(
    tmp_path: Path, model_server: ModelServer, tmux: Tmux
) -> None:
    repository = make_repository(tmp_path / "repo")
    begin = Turn("I begin with the sky.", [Write("sky.txt", "grey\n")])
    model_server.play(When("paint", stage="execute"), begin, Turn("Never told.", gate=NEVER))
    model_server.play(When(patterns=("make it blue",)), Turn("It is blue now, as you say."))
    model_server.play(
        When("paint", stage="execute", patterns=("handed it back",)),
        Turn("", [Write("b.txt", "blue\n")]),
        Turn("", [Write("{out}/handoff.md", "Painted.\n")]),
        Turn("Done."),
    )
    env = {"OPENAI_BASE_URL": f"{model_server.url}/v1", "CODEX_API_KEY": "test"}
    write_brand(tmp_path)
    async with heddle(tmp_path, repository, None, **env) as fleet:
        id = await fleet.start("paint it [[scn:paint]]", agent="codex", lane="quick", checks=["test -s b.txt"])
        await asyncio.to_thread(model_server.wait_at, NEVER, 1, 60.0)
        told = await fleet.call("session.attach", task=id, term="screen-256color")
        await asyncio.to_thread(talk, tmux, shlex.join(told["argv"]))
        rows = await fleet.until(id, limit_s=90)
        assert rows[0]["status"] == "landed", rows[0]["why"]
    handed_back = next(call for call in model_server.calls() if "handed it back" in call.prompt)
    assert "make it blue" in handed_back.context, "what the person said is part of the conversation"


def talk(tmux: Tmux, command: str) -> None:
    """What the person does there."""
    tmux.type(command)
    tmux.see(lambda screen: shows_the_conversation(tmux, screen))
    for line, seen in (("make it blue", "It is blue now"), ("/quit", "mine>")):
        tmux.run("send-keys", "-l", line)
        tmux.see(lambda screen, line=line: line in screen)  # type: ignore[misc]
        tmux.run("send-keys", "Enter")
        tmux.see(lambda screen, seen=seen: seen in screen)  # type: ignore[misc]


def shows_the_conversation(tmux: Tmux, screen: str) -> bool:
    """First it says that what the repository brought along stays off, and hears Enter once it is ready for that."""
    if "Open restricted" in screen:
        tmux.run("send-keys", "Enter")
    return "I begin with the sky" in screen
