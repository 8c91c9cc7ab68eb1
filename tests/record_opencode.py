"""Record a session of the real opencode: `HEDDLE_TEST_OPENCODE=... python tests/record_opencode.py`.

Writes tests/fixtures/opencode-<version>/*.jsonl, one object per line in the order of events: the brief, what was sent,
what the relay said, the replies and prompts given, the exit. Ids and paths are replaced.
"""

import asyncio
import json
import re
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

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
from opencode_cli import agent
from support.agent_play import Play, allow, repository

FIXTURES = Path(__file__).parent / "fixtures"
UNUSED = "ses_00000000000000000000000000"
ID = re.compile(r"\b(ses|msg|prt|per|que|evt)_[0-9A-Za-z]+")
BULK = ("diff", "filediff", "files", "preview", "display", "responseHeaders", "loaded", "diagnostics", "summary")
QUESTION = {"question": "Which colour?", "header": "Colour", "options": [{"label": "Red", "description": "r"}]}


def answer(fact: Fact) -> Reply | None:
    """Refuse to touch files, answer questions, grant the rest."""
    if isinstance(fact, AnswerAsked):
        return Answered("Mauve")
    if isinstance(fact, PermissionAsked) and fact.command.startswith("touch"):
        return Deny("Not in this task.")
    return allow(fact)


def script(server: ModelServer) -> None:
    """All turns."""
    look, edit = Turn("I look.", [Read("hello.txt")]), Edit("hello.txt", "hello world", "hello fleet")
    server.play(
        "done", look, Turn("", [edit]), Turn("", [Write("new.txt", "new\n")]), Turn("", [Shell("ls")]), Turn("Done.")
    )
    server.play("refused", Turn("", [Shell("touch no.txt")]), Turn("Well."))
    server.play("question", Turn("", [Raw("question", {"questions": [QUESTION]})]), Turn("Thanks."))
    server.play("retry", Turn("It works again.", error=Error(429, "slow down", headers={"retry-after": "1"})))
    server.play("unauthorised", Turn("", error=Error(401, "bad key", times=0)))
    server.play("interrupt", Turn("Never.", gate="interrupt"))
    server.play("killed", look, Turn("Heard after all.", gate="killed"))


class Studio:
    """A server, a repository and a home for the sessions of one recording run."""

    def __init__(self, server: ModelServer, root: Path, into: Path) -> None:
        self.server, self.root, self.into = server, root, into

    def play(self, text: str, resume: str = "") -> Play:
        """A session that is about to be recorded."""
        brief = Brief("T1.a", text, Access.WRITE, str(self.root / "repo"), str(self.root / "out"), resume=resume)
        return Play(agent(self.server.url), brief, self.root / "home", answer)

    def keep(self, name: str, play: Play) -> None:
        """Write down what was heard and said."""
        kept = [self._trimmed(entry) for entry in play.log]
        text = "\n".join(json.dumps(entry, ensure_ascii=False) for entry in kept).replace(
            str(self.root), "/home/person"
        )
        text = text.replace(str(self.root).replace("/", "%2F"), "%2Fhome%2Fperson")
        text = text.replace(self.server.url.removeprefix("http://"), "127.0.0.1:1")
        known: dict[str, str] = {}
        text = ID.sub(lambda m: known.setdefault(m[0], f"{m[1]}_{len(known):026d}"), text)
        (self.into / f"{name}.jsonl").write_text(text + "\n")

    def _trimmed(self, entry: dict[str, object]) -> dict[str, object]:
        if "exit" in entry:
            return {**entry, "errors": ""}
        if "said" not in entry:
            return entry
        return {"said": json.dumps(_without_bulk(json.loads(str(entry["said"]))))}


def _without_bulk(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_bulk(item) for key, item in value.items() if key not in BULK}
    return [_without_bulk(item) for item in value] if isinstance(value, list) else value


async def record_all(studio: Studio) -> None:
    """Every recording."""
    server = studio.server
    async with studio.play("[[scn:done]]") as play:
        await play.until(TurnEnded)
        for count, name in enumerate(("refused", "question", "retry", "unauthorised"), start=2):
            await play.prompt(f"[[scn:{name}]]")
            await play.until(TurnEnded, count=count)
        await play.prompt("[[scn:interrupt]]")
        await asyncio.to_thread(server.wait_at, "interrupt")
        await play.interrupt()
        await play.until(TurnEnded, count=6)
        await play.prompt("[[scn:killed]]")
        await asyncio.to_thread(server.wait_at, "killed")
        play.kill()
        await play.close()
    server.open("killed")
    studio.keep("lived-through-much", play)
    async with studio.play("Go on.", play.of(AgentReady)[0].agent_session) as again:
        await again.until(TurnEnded)
        await again.close()
    studio.keep("resumed", again)
    async with studio.play("Go on.", UNUSED) as none:
        await none.until(TurnEnded)
        await none.close()
    studio.keep("unknown-session", none)


async def main() -> None:
    """Record into the folder of the version at hand."""
    with ModelServer() as server, tempfile.TemporaryDirectory() as folder:
        script(server)
        root = Path(folder).resolve()
        repository(root / "repo")
        (root / "home").mkdir()
        into = FIXTURES / f"opencode-{await agent(server.url).check()}"
        into.mkdir(parents=True, exist_ok=True)
        await record_all(Studio(server, root, into))
        print(f"recorded into {into.relative_to(FIXTURES.parent)}")


if __name__ == "__main__":
    asyncio.run(main())
