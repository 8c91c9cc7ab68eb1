"""Record sessions of the real Claude Code: `HEDDLE_TEST_CLAUDE=... python tests/record_claude.py`.

Writes tests/fixtures/claude-<version>/*.jsonl, one object per line in the order of events: the brief, what
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

from claude_cli import agent
from heddle.core.session import (
    Access,
    AgentReady,
    AnswerAsked,
    Answered,
    Brief,
    Deny,
    DocumentOffered,
    Fact,
    PermissionAsked,
    Reply,
    TurnEnded,
)
from modelserver import Edit, Error, ModelServer, Raw, Read, Shell, Turn, Write
from support.agent_play import Answer, Play, allow, repository

FIXTURES = Path(__file__).parent / "fixtures"
UNUSED = "6b0e0c5e-0000-4000-8000-000000000000"
RESETS_AT = 2_000_000_000
BULK = ("tools", "slash_commands", "terminal_slash_commands", "agents", "skills", "plugins", "capabilities")
RANDOM = ("uuid", "timestamp", "duration_ms", "duration_api_ms", "end_time", "memory_paths")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
QUOTA = {
    "anthropic-ratelimit-unified-status": "rejected",
    "anthropic-ratelimit-unified-reset": str(RESETS_AT),
    "anthropic-ratelimit-unified-representative-claim": "five_hour",
    "anthropic-ratelimit-unified-5h-status": "rejected",
    "anthropic-ratelimit-unified-5h-reset": str(RESETS_AT),
    "anthropic-ratelimit-unified-5h-utilization": "1.0",
}
QUESTIONS = {
    "questions": [
        {
            "question": "Which colour?",
            "header": "Colour",
            "multiSelect": False,
            "options": [
                {"label": "Red (Recommended)", "description": "warm"},
                {"label": "Blue", "description": "cold"},
            ],
        },
        {
            "question": "How many?",
            "header": "Number",
            "multiSelect": False,
            "options": [{"label": "One", "description": "1"}, {"label": "Two", "description": "2"}],
        },
    ]
}


def script(server: ModelServer) -> None:
    """All scenarios."""
    look, edit = Turn("I look first.", [Read("hello.txt")]), Edit("hello.txt", "hello world", "hello fleet")
    run = Shell("cat hello.txt > out.txt")
    server.play("done", look, Turn("", [edit]), Turn("", [Write("new.txt", "new\n")]), Turn("", [run]), Turn("Done."))
    plan = [
        Turn("", [Write("{planfile}", "# Plan\n\nOne step.\n")]),
        Turn("The plan.", [Raw("ExitPlanMode")]),
    ]
    server.play("plan", look, Turn("", [Write("sneaky.txt", "x")]), *plan, Turn("Mended."))
    server.play("permission", Turn("", [Shell("touch no.txt")]), Turn("", [Write("yes.txt", "y")]), Turn("Well."))
    server.play("question", Turn("", [Raw("AskUserQuestion", QUESTIONS)]), Turn("Thanks."))
    server.play("retry", Turn("It works again.", error=Error(529, times=2)))
    server.play("unauthorised", Turn("", error=Error(401, "invalid x-api-key", times=0)))
    server.play("quota", Turn("", error=Error(429, headers=QUOTA, times=0)))
    server.play("interrupt", Turn("Back again.", gate="interrupt"))
    server.play("withdrawn", Turn("", [Shell("touch no.txt")]), Turn("Never said."))
    child = {"description": "look", "prompt": "[[scn:child]]", "subagent_type": "general-purpose"}
    background = Raw("Agent", {**child, "run_in_background": True})
    server.play("background", Turn("", [background]), Turn("It is on its way."), Turn("Now it is done."))
    server.play("child", Turn("", [Read("hello.txt")]), Turn("The child is done.", gate="child"))
    server.play("killed", look, Turn("Heard after all.", gate="killed"))


def refuse_edits(fact: Fact) -> Reply | None:
    """As a read-only stage answers."""
    return allow(fact) if isinstance(fact, DocumentOffered) else Deny("This stage is read-only.")


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
        token: bool = False,
        **environment: str,
    ) -> Play:
        """Play a session and keep it as `name`."""
        keys = {"CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-test"} if token else {}
        brief = brief or self.brief(name)
        async with Play(agent(self.server.url, **keys), brief, self.root / "home", answer, **environment) as play:
            await scenario(play)
            await play.close()
        lines = [json.dumps(_trimmed(entry), ensure_ascii=False) for entry in play.log]
        (self.into / f"{name}.jsonl").write_text(self._scrubbed("\n".join(lines)) + "\n")
        return play

    def brief(self, name: str, access: Access = Access.WRITE, resume: str = "") -> Brief:
        """A brief whose prompt is scripted by `name`."""
        text = "Go on." if resume else f"[[scn:{name}]]"
        return Brief(f"T1.{name}", text, access, str(self.root / "repo"), str(self.root / "out"), resume=resume)

    def _scrubbed(self, text: str) -> str:
        known: dict[str, str] = {}
        text = text.replace(str(self.root), "/home/person").replace(str(self.root).replace("/", "-"), "-home-person")
        text = text.replace(self.server.url.removeprefix("http://"), "127.0.0.1:1")
        return UUID.sub(lambda m: known.setdefault(m[0], f"00000000-0000-4000-8000-{len(known):012d}"), text)


def _trimmed(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry without bulk and chance."""
    if "said" not in entry:
        return entry
    said = json.loads(entry["said"])
    if said["type"] == "control_response" and said["response"]["request_id"] == "initialize":
        said["response"]["response"] = {}
    return {"said": json.dumps({key: value for key, value in said.items() if key not in (*BULK, *RANDOM)})}


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
    server = studio.server

    async def interrupted(play: Play) -> None:
        await asyncio.to_thread(server.wait_at, "interrupt")
        await play.interrupt()
        await first_turn(play)
        server.open("interrupt")
        await two_turns(play)

    async def withdrawn(play: Play) -> None:
        await play.until(PermissionAsked)
        await play.interrupt()
        await first_turn(play)

    async def overtaken(play: Play) -> None:
        await asyncio.to_thread(server.wait_at, "child")
        await asyncio.to_thread(server.wait_calls, lambda c: c.scenario == "background" and c.outcome != "", 2)
        server.open("child")
        await first_turn(play)

    async def killed(play: Play) -> None:
        await asyncio.to_thread(server.wait_at, "killed")
        play.kill()
        server.open("killed")

    async def nothing(play: Play) -> None:
        """The program ends by itself."""

    await studio.record("done", first_turn)
    await studio.record("plan", two_turns, refuse_edits, brief=studio.brief("plan", Access.READ))
    await studio.record("permission", first_turn, refuse_commands)
    await studio.record("question", first_turn, choose)
    await studio.record("retry", first_turn)
    await studio.record("unauthorised", first_turn, CLAUDE_CODE_MAX_RETRIES="1")
    await studio.record("quota", first_turn, token=True)
    await studio.record("interrupt", interrupted)
    await studio.record("withdrawn", withdrawn, lambda fact: None)
    await studio.record("background", overtaken)
    lost = await studio.record("killed", killed)
    session = lost.of(AgentReady)[0].agent_session
    await studio.record("resumed", first_turn, brief=studio.brief("resumed", resume=session))
    await studio.record("unknown-session", first_turn, brief=studio.brief("unknown", resume=UNUSED))
    await studio.record("session-in-use", nothing, brief=studio.brief("done"))


async def main() -> None:
    """Record into the folder of the version at hand."""
    with ModelServer() as server, tempfile.TemporaryDirectory() as folder:
        script(server)
        root = Path(folder).resolve()
        repository(root / "repo")
        into = FIXTURES / f"claude-{await agent(server.url).check()}"
        into.mkdir(parents=True, exist_ok=True)
        await record_all(Studio(server, root, into))
        print(f"recorded into {into.relative_to(FIXTURES.parent)}")


if __name__ == "__main__":
    asyncio.run(main())
