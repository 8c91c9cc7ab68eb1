"""Record sessions of the real Gemini CLI: `HEDDLE_TEST_GEMINI=... python tests/record_gemini.py`.

Writes tests/fixtures/gemini-<version>/*.jsonl, as record_claude.py does. Ids and paths are replaced.
"""

import asyncio
import json
import os
import re
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from gemini_cli import agent, program
from heddle.adapters.agents.turns.conversation import session_id
from heddle.core.session import Access, AgentReady, Brief, TurnEnded
from heddle.holder.reaper import descendants
from modelserver import Edit, Error, ModelServer, Raw, Read, Shell, Turn, When, Write
from support.agent_play import Play, repository

FIXTURES = Path(__file__).parent / "fixtures"
UNUSED = "6b0e0c5e-0000-4000-8000-000000000000"
PERSON = "/home/person"
TIMES = re.compile(r'\\+"timestamp\\+":\\+"[^"\\]*\\+",|,\\+"duration_ms\\+":\d+|\d{4}-\d\d-\d\dT[\d-]+Z')


def script(server: ModelServer) -> None:
    """All scenarios."""
    look, edit = Turn("I look first.", [Read("hello.txt")]), Edit("hello.txt", "hello world", "hello fleet")
    run = Shell("cat hello.txt > out.txt")
    server.play("done", look, Turn("", [edit]), Turn("", [Write("new.txt", "new\n")]), Turn("", [run]), Turn("Done."))
    sneaky = Raw("write_file", {"file_path": "sneaky.txt", "content": "x"})
    server.play("plan", look, Turn("", [sneaky]), Turn("No plan."), Turn("# Plan\n\nOne step.\n"))
    server.play("refused", Turn("", error=Error(401, times=0)))
    server.play("quota", Turn("", error=Error(429, times=0, type="GenerateRequestsPerDayPerProjectPerModel")))
    server.play("bad", Turn("", error=Error(400, times=0)))
    server.play("held", look, Turn("Never said.", gate="held"))
    server.play(When(patterns=("^Go on",)), Turn("Back again."))


@dataclass
class Studio:
    """A server, a repository and a home for the sessions of one recording run."""

    server: ModelServer
    root: Path
    into: Path

    def brief(self, name: str, access: Access = Access.WRITE, resume: str = "") -> Brief:
        """A brief whose prompt is scripted by `name`."""
        text = "Go on." if resume else f"[[scn:{name}]]"
        place = str(self.root / "repo"), str(self.root / "out")
        return Brief(f"T1.{name}", text, access, *place, "gemini-2.5-pro", resume)

    async def record(
        self, name: str, scenario: Callable[[Play], Awaitable[object]], brief: Brief | None = None
    ) -> Play:
        """Play a session and keep it as `name`."""
        brief = brief or self.brief(name)
        async with Play(agent(self.server.url), brief, self.root / "home") as play:
            await scenario(play)
            await play.close()
        lines = [json.dumps(entry, ensure_ascii=False) for entry in play.log if not _noise(entry)]
        (self.into / f"{name}.jsonl").write_text(self._scrubbed("\n".join(lines), brief) + "\n")
        return play

    def _scrubbed(self, text: str, brief: Brief) -> str:
        known = replace(brief, tree=f"{PERSON}/repo")
        text = TIMES.sub("", text.replace(session_id(brief), session_id(known)))
        text = text.replace(str(files("heddle.data")), "/data").replace(f'\\"{program()}\\"', '\\"gemini\\"')
        return text.replace(str(self.root), PERSON).replace(self.server.url.removeprefix("http://"), "127.0.0.1:1")


def _noise(entry: dict[str, Any]) -> bool:
    """Whether it is a line of standard error that tells the program's insides."""
    said = json.loads(entry["said"]) if "said" in entry else {}
    return bool(re.match(r"\s+(at |status:)|}", said.get("err", "")))


async def first_turn(play: Play) -> None:
    """To the end of the first turn."""
    await play.until(TurnEnded)


async def two_turns(play: Play) -> None:
    """To the end of a second turn."""
    await play.until(TurnEnded)
    await play.prompt("Mend it.")
    await play.until(TurnEnded, count=2)


async def record_all(studio: Studio) -> None:
    """Every recording."""

    async def interrupted(play: Play) -> None:
        await asyncio.to_thread(studio.server.wait_at, "held")
        await play.interrupt()
        await play.until(TurnEnded)
        await play.prompt("Go on.")
        await play.until(TurnEnded, count=2)

    async def killed(play: Play) -> None:
        await asyncio.to_thread(studio.server.wait_at, "held")
        for process in descendants(play._process.pid):
            os.kill(process.pid, signal.SIGKILL)
        await play.until(TurnEnded)

    for name in ("done", "refused", "quota", "bad"):
        await studio.record(name, first_turn)
    await studio.record("plan", two_turns, studio.brief("plan", Access.READ))
    await studio.record("interrupt", interrupted, replace(studio.brief("interrupt"), prompt="[[scn:held]]"))
    lost = await studio.record("killed", killed, replace(studio.brief("killed"), prompt="[[scn:held]]"))
    session = lost.of(AgentReady)[0].agent_session
    await studio.record("resumed", first_turn, studio.brief("resumed", resume=session))
    await studio.record("unknown-session", first_turn, studio.brief("unknown", resume=UNUSED))
    await studio.record("session-in-use", first_turn, studio.brief("done"))


async def main() -> None:
    """Record into the folder of the version at hand."""
    with ModelServer() as server, tempfile.TemporaryDirectory() as folder:
        script(server)
        root = Path(folder).resolve()
        repository(root / "repo")
        into = FIXTURES / f"gemini-{await agent(server.url).check()}"
        into.mkdir(parents=True, exist_ok=True)
        await record_all(Studio(server, root, into))
        print(f"recorded into {into.relative_to(FIXTURES.parent)}")


if __name__ == "__main__":
    asyncio.run(main())
