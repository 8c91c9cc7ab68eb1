"""Record sessions of the real Codex: `HEDDLE_TEST_CODEX=... python tests/record_codex.py`.

Writes tests/fixtures/codex-<version>/*.jsonl, one object per line in the order of events: the brief, what
was sent, what the program said, the replies and prompts given, the exit. Ids and paths are replaced.
"""

import asyncio
import json
import re
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from codex_cli import agent
from heddle.core.session import (
    Access,
    AgentReady,
    AnswerAsked,
    Answered,
    Brief,
    Deny,
    Fact,
    PermissionAsked,
    Reply,
    TurnEnded,
)
from modelserver import Edit, Error, ModelServer, Raw, Read, Shell, Turn, Write
from support.agent_play import Answer, Play, allow, repository

FIXTURES = Path(__file__).parent / "fixtures"
UNUSED = "01a20000-0000-7000-8000-000000000000"
LEFT_OUT = (
    "thread/started",
    "remoteControl/status/changed",
    "configWarning",
    "turn/diff/updated",
    "item/agentMessage/delta",
)
RANDOM = ("emittedAtMs", "startedAtMs", "completedAtMs", "startedAt", "completedAt", "durationMs", "processId")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
SPENT = {
    "x-codex-primary-used-percent": "100",
    "x-codex-primary-window-minutes": "300",
    "x-codex-primary-reset-at": "2000000000",
    "x-codex-secondary-used-percent": "40",
    "x-codex-secondary-window-minutes": "10080",
    "x-codex-secondary-reset-at": "2000500000",
}
QUESTIONS = {
    "questions": [
        {
            "id": "colour",
            "header": "Colour",
            "question": "Which colour?",
            "options": [
                {"label": "Red (Recommended)", "description": "warm"},
                {"label": "Blue", "description": "cold"},
            ],
        },
        {
            "id": "number",
            "header": "Number",
            "question": "How many?",
            "options": [{"label": "One", "description": "1"}, {"label": "Two", "description": "2"}],
        },
    ]
}


def script(server: ModelServer) -> None:
    """All scenarios."""
    look, edit = Turn("I look first.", [Read("hello.txt")]), Edit("hello.txt", "hello world", "hello fleet")
    run = Turn("", [Shell("cat hello.txt > out.txt")])
    server.play("done", look, Turn("", [edit]), Turn("", [Write("new.txt", "new\n")]), run, Turn("Done."))
    server.play("permission", Turn("", [Shell("touch no.txt")]), Turn("", [Write("yes.txt", "y")]), Turn("Well."))
    server.play("question", Turn("", [Raw("functions/request_user_input", QUESTIONS)]), Turn("Thanks."))
    server.play("retry", Turn("It works again.", error=Error(401, "not yet")))
    server.play("unauthorised", Turn("", error=Error(401, "bad key", times=0)))
    server.play("throttled", Turn("", error=Error(429, "slow down", times=0)))
    server.play("quota", Turn("", error=Error(429, "no more", "usage_limit_reached", SPENT, times=0)))
    server.play("unpaid", Turn("", error=Error(429, "pay first", "insufficient_quota", times=0)))
    server.play("dropped", Turn("", error=Error(drop=True, times=0)))
    server.play("interrupt", Turn("Back again.", gate="interrupt"))
    server.play("withdrawn", Turn("", [Shell("touch no.txt")]), Turn("Never said."))
    server.play("killed", look, Turn("Heard after all.", gate="killed"))


def choose(fact: Fact) -> Reply | None:
    """Answer questions: the first with words of one's own."""
    answers = {"Which colour?": "Mauve", "How many?": "Two"}
    return Answered(answers[fact.text]) if isinstance(fact, AnswerAsked) else allow(fact)


def refuse_commands(fact: Fact) -> Reply | None:
    """Refuse commands, grant the rest."""
    return Deny("No commands.") if isinstance(fact, PermissionAsked) and fact.kind == "run" else allow(fact)


@dataclass
class Studio:
    """A server, a repository and a home for the sessions of one recording run."""

    server: ModelServer
    root: Path
    into: Path

    async def record(
        self,
        name: str,
        scenario: Callable[[Play], Awaitable[object]],
        answer: Answer = allow,
        *,
        brief: Brief | None = None,
    ) -> Play:
        """Play a session and keep it as `name`."""
        async with Play(agent(self.server.url), brief or self.brief(name), self.root / "home", answer) as play:
            await scenario(play)
            await play.close()
        kept = [trimmed for entry in play.log if (trimmed := _trimmed(entry)) is not None]
        text = "\n".join(json.dumps(entry, ensure_ascii=False) for entry in kept)
        (self.into / f"{name}.jsonl").write_text(self._scrubbed(text) + "\n")
        return play

    def brief(self, name: str, resume: str = "") -> Brief:
        """A brief whose prompt is scripted by `name`."""
        text = "Go on." if resume else f"[[scn:{name}]]"
        tree, out = str(self.root / "repo"), str(self.root / "out")
        return Brief(f"T1.{name}", text, Access.WRITE, tree, out, resume=resume)

    def _scrubbed(self, text: str) -> str:
        known: dict[str, str] = {}
        text = text.replace(str(self.root), "/home/person")
        text = text.replace(self.server.url.removeprefix("http://"), "127.0.0.1:1")
        return UUID.sub(lambda m: known.setdefault(m[0], f"00000000-0000-4000-8000-{len(known):012d}"), text)


def _trimmed(entry: dict[str, Any]) -> dict[str, Any] | None:
    """An entry without bulk and chance; None for one that is nothing else."""
    if "exit" in entry:
        return {**entry, "errors": ""}
    if "said" not in entry:
        return entry
    said = json.loads(entry["said"])
    if said.get("method") in LEFT_OUT:
        return None
    if "thread" in said.get("result", {}):
        result = said["result"]
        said["result"] = {"thread": {"id": result["thread"]["id"]}, "model": result["model"]}
    return {"said": json.dumps(_without_chance(said))}


def _without_chance(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_chance(item) for key, item in value.items() if key not in RANDOM}
    return [_without_chance(item) for item in value] if isinstance(value, list) else value


async def first_turn(play: Play) -> None:
    """To the end of the first turn."""
    await play.until(TurnEnded)


async def record_all(studio: Studio) -> None:
    """Every recording."""
    server = studio.server

    async def interrupted(play: Play) -> None:
        await asyncio.to_thread(server.wait_at, "interrupt")
        await play.interrupt()
        await first_turn(play)
        server.open("interrupt")
        await play.prompt("Mend it.")
        await play.until(TurnEnded, count=2)

    async def withdrawn(play: Play) -> None:
        await play.until(PermissionAsked)
        await play.interrupt()
        await first_turn(play)

    async def killed(play: Play) -> None:
        await asyncio.to_thread(server.wait_at, "killed")
        play.kill()
        server.open("killed")

    await studio.record("done", first_turn)
    await studio.record("permission", first_turn, refuse_commands)
    await studio.record("question", first_turn, choose)
    for name in ("retry", "unauthorised", "throttled", "quota", "unpaid", "dropped"):
        await studio.record(name, first_turn)
    await studio.record("interrupt", interrupted)
    await studio.record("withdrawn", withdrawn, lambda fact: None)
    lost = await studio.record("killed", killed)
    session = lost.of(AgentReady)[0].agent_session
    await studio.record("resumed", first_turn, brief=studio.brief("resumed", resume=session))
    await studio.record("unknown-session", first_turn, brief=studio.brief("unknown", resume=UNUSED))


async def main() -> None:
    """Record into the folder of the version at hand."""
    with ModelServer() as server, tempfile.TemporaryDirectory() as folder:
        script(server)
        root = Path(folder).resolve()
        repository(root / "repo")
        into = FIXTURES / f"codex-{await agent(server.url).check()}"
        into.mkdir(parents=True, exist_ok=True)
        await record_all(Studio(server, root, into))
        print(f"recorded into {into.relative_to(FIXTURES.parent)}")


if __name__ == "__main__":
    asyncio.run(main())
