"""The rehearsal agent as a real process, driven by our codec and by the official SDK; and our codec against an SDK agent."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import acp
import pytest
from acp.schema import AllowedOutcome, DeniedOutcome, PermissionOption, RequestPermissionResponse, ToolCallUpdate

from heddle.core.session import (
    Access,
    AgentReady,
    Allow,
    AnswerAsked,
    Answered,
    Brief,
    Deny,
    Garbled,
    PermissionAsked,
    Said,
    ToolCalled,
    ToolEnded,
    TurnEnded,
    TurnOutcome,
    Usage,
    UsageReported,
)
from heddle.core.task import Stage
from heddle.engine.documents import load_plan, require_document
from heddle.rehearsal.script import Prompt, Scene, steps_for
from support.acp_driver import Answer, Asked, Driven, driven, replay, willing
from support.fleet import git, heddle, make_repository, scene, write_script

REHEARSAL = (sys.executable, "-m", "heddle.rehearsal")
REFERENCE = (sys.executable, str(Path(__file__).parents[1] / "support" / "sdk_agent.py"))
LIMIT_S = 30.0
FOREVER = 600


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder to work in, beside the out folder."""
    (tmp_path / "out").mkdir()
    (tmp_path / "tree").mkdir()
    return tmp_path / "tree"


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **more}


def head(tree: Path, stage: str = "execute", document: str = "handoff.md", task: str = "T7") -> str:
    """A prompt as Heddle begins it."""
    out = tree.parent / "out"
    return f"Task: {task}\nStage: {stage}\nAttempt: 1\nOut: {out}\nDocument: {document}\n\nDo it.\n"


def brief(tree: Path, access: Access = Access.WRITE, prompt: str = "", resume: str = "") -> Brief:
    return Brief("T7.1", prompt or head(tree), access, str(tree), str(tree.parent / "out"), resume=resume)


@contextlib.asynccontextmanager
async def rehearsed(
    tree: Path, *steps: dict[str, Any], access: Access = Access.WRITE, answer: Answer = willing
) -> AsyncIterator[Driven]:
    """The rehearsal agent with a script of one scene."""
    script = write_script(tree.parent / "script.toml", [scene("", *steps)])
    env = environment(HEDDLE_REHEARSAL_SCRIPT=str(script))
    async with driven(REHEARSAL, brief(tree, access), env=env, answer=answer) as agent:
        yield agent


def calls(agent: Driven) -> list[tuple[str, tuple[str, ...], bool, str]]:
    """(kind, names, ok, detail) of each tool call."""
    ends = {ended.call: ended for ended in agent.of(ToolEnded)}
    return [
        (call.kind, tuple(Path(path).name for path in call.paths), ends[call.call].ok, ends[call.call].detail)
        for call in agent.of(ToolCalled)
    ]


class Lifeline:
    """A pipe that a command holds open: its end is seen when every process of the command is gone."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        keep = os.open(path, os.O_WRONLY)  # else the end is seen before the command begins
        self._loop = asyncio.get_running_loop()
        self._told = b""
        self._changed = asyncio.Event()
        self._loop.add_reader(self._file, self._read)
        self._keep: int | None = keep

    def _read(self) -> None:
        data = os.read(self._file, 4096)
        self._told = self._told + data if data else b"gone"
        if not data:
            self._loop.remove_reader(self._file)
        self._changed.set()

    async def until(self, told: bytes) -> None:
        """Wait until the command said a word, or b"gone"."""
        if told == b"gone" and self._keep is not None:
            os.close(self._keep)
            self._keep = None
        async with asyncio.timeout(LIMIT_S):
            while told not in self._told:
                self._changed.clear()
                await self._changed.wait()

    def close(self) -> None:
        self._loop.remove_reader(self._file)
        os.close(self._file)
        if self._keep is not None:
            os.close(self._keep)


@pytest.fixture
async def lifeline(tree: Path) -> AsyncIterator[Lifeline]:
    made = Lifeline(tree / "lifeline")
    yield made
    made.close()


LIVES = f"exec 9>lifeline; sleep {FOREVER} & echo runs >&9; sleep {FOREVER}"
"""A command that runs on, with a child in the background."""


# ---------------------------------------------------------------------------- the agent, driven by our codec


async def test_it_reads_writes_edits_appends_and_deletes_real_files_and_asks_before_each_change(tree: Path) -> None:
    (tree / "old.txt").write_text("go\n")
    steps = [
        {"do": "say", "text": "I begin."},
        {"do": "read", "path": "old.txt"},
        {"do": "read", "path": "none.txt"},
        {"do": "write", "path": "new/é.txt", "text": "one two one\n"},
        {"do": "edit", "path": "new/é.txt", "old": "one", "new": "1"},
        {"do": "edit", "path": "new/é.txt", "old": "three", "new": "3"},
        {"do": "append", "path": "new/é.txt", "text": "more\n"},
        {"do": "append", "path": "log.txt", "text": "first\n"},
        {"do": "delete", "path": "old.txt"},
        {"do": "delete", "path": "old.txt"},
        {"do": "document", "text": "done\n"},
        {"do": "say", "text": "Done."},
    ]
    async with rehearsed(tree, *steps) as agent:
        assert await agent.turn() == TurnEnded(TurnOutcome.ENDED, "Done.")
    assert agent.exit is not None and agent.exit.ok
    assert (tree / "new" / "é.txt").read_text() == "1 two one\nmore\n"
    assert (tree / "log.txt").read_text() == "first\n"
    assert not (tree / "old.txt").exists()
    assert (tree.parent / "out" / "handoff.md").read_text() == "done\n"
    assert [(kind, ok) for kind, _, ok, _ in calls(agent)] == [
        ("read", True),
        ("read", False),
        ("edit", True),
        ("edit", True),
        ("edit", False),
        ("edit", True),
        ("edit", True),
        ("edit", True),
        ("edit", False),
        ("edit", True),
    ]
    assert [asked.kind for asked in agent.of(PermissionAsked)] == ["edit"] * 7
    assert agent.of(PermissionAsked)[0].paths == (str(tree / "new/é.txt"),)
    assert agent.of(Garbled) == []


async def test_a_command_is_really_run_and_its_output_and_status_are_told(tree: Path) -> None:
    command = "echo out; echo err >&2; pwd > where; exit 3"
    async with rehearsed(tree, {"do": "run", "command": command}, {"do": "run", "command": "true"}) as agent:
        await agent.turn()
    assert [(kind, ok, detail) for kind, _, ok, detail in calls(agent)] == [
        ("run", False, "out\nerr\n"),
        ("run", True, ""),
    ]
    assert (tree / "where").read_text().strip() == str(tree.resolve())
    assert [asked.command for asked in agent.of(PermissionAsked)] == [command, "true"]


@pytest.mark.parametrize("given", ["b", "neither of them"])
async def test_a_question_waits_for_its_answer_which_is_used_as_it_was_given(tree: Path, given: str) -> None:
    asks = {"do": "ask", "text": "Which?", "options": ["a", "b"], "default": "a"}
    steps = [asks, {"do": "write", "path": "it", "text": "{answer}"}]

    def answer(asked: Asked) -> Allow | Answered:
        return Answered(given) if isinstance(asked, AnswerAsked) else Allow()

    async with rehearsed(tree, *steps, answer=answer) as agent:
        await agent.turn()
    (asked,) = agent.of(AnswerAsked)
    assert (asked.text, asked.options, asked.default) == ("Which?", ("a", "b"), "a")
    assert (tree / "it").read_text() == given


async def test_a_denial_is_obeyed(tree: Path) -> None:
    (tree / "kept.txt").write_text("kept\n")
    steps = [
        {"do": "edit", "path": "kept.txt", "old": "kept", "new": "lost"},
        {"do": "delete", "path": "kept.txt"},
        {"do": "write", "path": "new.txt", "text": "x"},
        {"do": "run", "command": "touch ran"},
    ]
    async with rehearsed(tree, *steps, answer=lambda asked: Deny("not now")) as agent:
        assert (await agent.turn()).outcome is TurnOutcome.ENDED
    assert len(agent.of(PermissionAsked)) == 4
    assert [ok for _, _, ok, _ in calls(agent)] == [False] * 4
    assert [path.name for path in tree.iterdir()] == ["kept.txt"]
    assert (tree / "kept.txt").read_text() == "kept\n"


async def test_in_the_read_only_mode_nothing_is_changed_and_nobody_is_asked(tree: Path) -> None:
    steps = [{"do": "write", "path": "new.txt", "text": "x"}, {"do": "run", "command": "touch ran"}]
    async with rehearsed(tree, *steps, {"do": "document", "text": "d"}, access=Access.READ) as agent:
        await agent.turn()
    assert agent.of(PermissionAsked) == []
    assert list(tree.iterdir()) == []
    assert (tree.parent / "out" / "handoff.md").read_text() == "d"


async def test_a_replayed_transcript_yields_the_same_facts_and_the_same_messages(tree: Path) -> None:
    asks = {"do": "ask", "text": "Which?", "options": ["a", "b"], "default": "a"}
    steps = [asks, {"do": "write", "path": "a", "text": "x"}, {"do": "usage", "input": 3, "output": 4, "usd": 0.5}]
    async with rehearsed(tree, *steps) as agent:
        await agent.turn()
    again = replay(agent.brief, agent.transcript)
    assert (again.facts, again.sends) == (agent.facts, agent.sends)
    ids = [send.id for send in agent.sends]
    assert ids[:4] == ["initialize", "new-session", "mode", "prompt:1"]
    assert len(set(ids)) == len(ids) == 6


async def test_spend_is_told_per_turn(tree: Path) -> None:
    async with rehearsed(tree, {"do": "usage", "input": 3, "output": 4, "usd": 0.5}) as agent:
        await agent.turn()
        await agent.send(agent.conversation.prompt("again", 2))
        await agent.turn()
    assert agent.of(UsageReported) == [UsageReported(Usage(3, 4, 0, 0, 0.5))] * 2


async def test_a_cancel_ends_a_thought_and_the_next_turn_is_played(tree: Path) -> None:
    steps = [{"do": "say", "text": "Hm."}, {"do": "think", "seconds": FOREVER}]
    script = write_script(
        tree.parent / "script.toml", [scene("", {"do": "say", "text": "Again."}, task="again"), scene("", *steps)]
    )
    async with driven(REHEARSAL, brief(tree), env=environment(HEDDLE_REHEARSAL_SCRIPT=str(script))) as agent:
        await agent.until(lambda fact: isinstance(fact, Said))
        await agent.send(agent.conversation.interrupt())
        assert (await agent.turn()).outcome is TurnOutcome.INTERRUPTED
        await agent.send(agent.conversation.prompt("again", 2))
        assert await agent.turn() == TurnEnded(TurnOutcome.ENDED, "Again.")
    assert agent.exit is not None and agent.exit.ok


async def test_a_cancel_ends_a_command_with_all_that_it_started(tree: Path, lifeline: Lifeline) -> None:
    async with rehearsed(tree, {"do": "run", "command": LIVES}, {"do": "write", "path": "x", "text": "x"}) as agent:
        await agent.until(lambda fact: isinstance(fact, PermissionAsked))
        await lifeline.until(b"runs")
        await agent.send(agent.conversation.interrupt())
        assert (await agent.turn()).outcome is TurnOutcome.INTERRUPTED
        await lifeline.until(b"gone")
    assert not (tree / "x").exists()


async def test_a_client_that_leaves_ends_a_command_with_all_that_it_started(tree: Path, lifeline: Lifeline) -> None:
    async with rehearsed(tree, {"do": "run", "command": LIVES}) as agent:
        await agent.until(lambda fact: isinstance(fact, PermissionAsked))
        await lifeline.until(b"runs")
        assert (await agent.leave()).ok
        await lifeline.until(b"gone")


async def test_a_cancel_ends_a_wait_for_permission(tree: Path) -> None:
    async with rehearsed(tree, {"do": "write", "path": "x", "text": "x"}, answer=lambda asked: None) as agent:
        await agent.until(lambda fact: isinstance(fact, PermissionAsked))
        await agent.send(agent.conversation.interrupt())
        assert (await agent.turn()).outcome is TurnOutcome.INTERRUPTED
    assert not (tree / "x").exists()


async def test_a_cancel_right_behind_the_prompt_is_not_lost(tree: Path) -> None:
    script = write_script(tree.parent / "script.toml", [scene("", {"do": "err", "how": "hang"})])
    async with raw(script) as (say, hear):
        say({"id": 1, "method": "session/new", "params": {"cwd": str(tree), "mcpServers": []}})
        for turn in range(2, 12):
            prompt = {"sessionId": "s", "prompt": [{"type": "text", "text": "go"}]}
            say({"id": turn, "method": "session/prompt", "params": prompt}, {"method": "session/cancel", "params": {}})
            assert (await hear(turn))["result"]["stopReason"] == "cancelled"


@pytest.mark.parametrize(
    ("step", "error"),
    [
        ({"how": "exit"}, "the agent ended (status 1)"),
        ({"how": "exit", "code": 7}, "the agent ended (status 7)"),
        ({"how": "crash"}, "the agent ended (signal 9)"),
        ({"how": "error", "text": "overloaded"}, "overloaded"),
        ({"how": "dance"}, "the script errs in a way that is not known: 'dance'"),
    ],
)
async def test_an_err_fails_the_turn_with_what_happened(tree: Path, step: dict[str, Any], error: str) -> None:
    async with rehearsed(tree, {"do": "say", "text": "I try."}, {"do": "err", **step}) as agent:
        await agent.end()
    assert agent.of(TurnEnded) == [TurnEnded(TurnOutcome.FAILED, "I try.", error)]


@pytest.mark.parametrize("step", [{"how": "garbage", "times": 2}, {"how": "flood", "megabytes": 1}])
async def test_garbage_is_kept_apart_and_the_turn_goes_on(tree: Path, step: dict[str, Any]) -> None:
    async with rehearsed(tree, {"do": "err", **step}, {"do": "say", "text": "Sorry."}) as agent:
        assert await agent.turn() == TurnEnded(TurnOutcome.ENDED, "Sorry.")
    garbled = agent.of(Garbled)
    assert len(garbled) == (4 if step["how"] == "garbage" else 16)
    assert all(len(one.sample) <= 200 for one in garbled)


async def test_a_hang_lasts_until_it_is_cancelled(tree: Path) -> None:
    async with rehearsed(tree, {"do": "say", "text": "Hm."}, {"do": "err", "how": "hang"}) as agent:
        await agent.until(lambda fact: isinstance(fact, Said))
        await agent.send(agent.conversation.interrupt())
        assert (await agent.turn()).outcome is TurnOutcome.INTERRUPTED


async def test_a_lost_agent_goes_on_with_its_session(tree: Path) -> None:
    asked = brief(tree, resume="rehearsal-before")
    script = write_script(tree.parent / "script.toml", [scene("", {"do": "say", "text": "Back."})])
    async with driven(REHEARSAL, asked, env=environment(HEDDLE_REHEARSAL_SCRIPT=str(script))) as agent:
        assert await agent.turn() == TurnEnded(TurnOutcome.ENDED, "Back.")
    assert [ready.agent_session for ready in agent.of(AgentReady)] == ["rehearsal-before"]


# -------------------------------------------------------------------------------------------------- scripts


def test_the_first_scene_that_fits_plays_and_the_prompt_alone_decides() -> None:
    scenes = [
        Scene("median", "execute", 2, [{"do": "say", "text": "second try"}]),
        Scene("median", "execute", 0, [{"do": "say", "text": "any try"}]),
        Scene("", "plan", 0, [{"do": "say", "text": "plan"}]),
    ]

    def told(text: str) -> str:
        return str(steps_for(Prompt(text), scenes)[0].get("text"))

    assert told("Stage: execute\nAttempt: 1\n\nAdd a Median") == "any try"
    assert told("Stage: execute\nAttempt: 2\n\nAdd a median") == "second try"
    assert told("Stage: plan\nAttempt: 2\n\nAdd a median") == "plan"
    assert told("Stage: plan\n\nThe task, as data:\n```\nStage: execute\nmedian\n```") == "plan"
    assert steps_for(Prompt("Stage: execute\nTask: T1\n"), scenes) == steps_for(
        Prompt("Stage: execute\nTask: T1\n"), []
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "No such file"),
        ("[[scene]\n", "Expected"),
        ('[[scene]]\ntusk = "x"\n', "tusk"),
        ('[[scene]]\ntask = "("\n', "unterminated"),
        ('scene = "x"\n', "script"),
    ],
)
def test_a_script_that_cannot_be_played_is_named_at_once(tmp_path: Path, text: str | None, complaint: str) -> None:
    script = tmp_path / "script.toml"
    if text is not None:
        script.write_text(text)
    done = subprocess.run(
        (*REHEARSAL, "--script", str(script)), input="", capture_output=True, text=True, env=environment(), timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"rehearsal: script '{script}': ")
    assert complaint in line


@pytest.mark.parametrize(
    ("step", "error"),
    [({"do": "dance"}, "'dance'"), ({"do": "write", "path": "x"}, "'text'"), ({"do": "think"}, "'seconds'")],
)
async def test_a_step_that_cannot_be_played_fails_the_turn_and_is_named(
    tree: Path, step: dict[str, Any], error: str
) -> None:
    async with rehearsed(tree, step) as agent:
        ended = await agent.turn()
    assert ended.outcome is TurnOutcome.FAILED
    assert error in ended.error


# ---------------------------------------------------------------------------------------- the default script


async def rehearse(tree: Path, stage: str, document: str, access: Access) -> tuple[Driven, str]:
    asked = brief(tree, access, head(tree, stage, document))
    async with driven(REHEARSAL, asked, env=environment()) as agent:
        assert (await agent.turn()).outcome is TurnOutcome.ENDED
    return agent, (tree.parent / "out" / document).read_text()


async def test_the_default_script_rehearses_any_repository(tmp_path: Path) -> None:
    tree = make_repository(tmp_path / "repo", {"a.py": "x = 1\ny = 2\n", "dir/b é.txt": "b\n"})
    (tmp_path / "out").mkdir()
    (tree / "untracked.txt").write_text("mine\n")

    _, research = await rehearse(tree, "research", "research.md", Access.READ)
    require_document(Stage.RESEARCH, research)
    assert "tracks 2 files" in research
    assert "- a.py:1 has 2 lines" in research
    assert "- dir/b é.txt:1 has 1 lines" in research
    assert "untracked" not in research

    agent, text = await rehearse(tree, "plan", "plan.md", Access.READ)
    front = tomllib.loads(text.split("+++")[1])
    assert front["scope"] == ["heddle-rehearsal-t7.md"]
    plan = load_plan(text, ())
    assert git(tree, "status", "--porcelain") == "?? untracked.txt"

    agent, handoff = await rehearse(tree, "execute", "handoff.md", Access.WRITE)
    require_document(Stage.EXECUTE, handoff)
    assert len(agent.of(AnswerAsked)) == 1
    assert git(tree, "status", "--porcelain").splitlines() == ["?? heddle-rehearsal-t7.md", "?? untracked.txt"]
    assert plan.scope.outside(["heddle-rehearsal-t7.md"]) == ()
    assert [ok for kind, _, ok, _ in calls(agent) if kind == "run"] == [True]
    for check in plan.commands:
        subprocess.run(check, shell=True, cwd=tree, check=True)


async def test_outside_a_repository_the_research_says_that_it_does_not_know(tree: Path) -> None:
    _, research = await rehearse(tree, "research", "research.md", Access.READ)
    assert "Which files are tracked is unknown" in research
    assert "not a git repository" in research


async def test_the_default_script_goes_through_the_whole_cycle(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository) as fleet:
        id = await fleet.start("rehearse")
        rows = await fleet.until(id)
        assert rows[0]["status"] == "landed"
        assert "question-answered" in await fleet.kinds(id)
    assert git(repository, "show", "--format=", "--name-only", "HEAD") == f"heddle-rehearsal-{id.lower()}.md"


# ---------------------------------------------------------------------------------------- the bare protocol


@contextlib.asynccontextmanager
async def raw(script: Path | None = None) -> AsyncIterator[Any]:
    """The rehearsal agent without any codec: `say` writes messages at once, `hear` waits for an answer."""
    pipe = asyncio.subprocess.PIPE
    env = environment(**({"HEDDLE_REHEARSAL_SCRIPT": str(script)} if script else {}))
    process = await asyncio.create_subprocess_exec(*REHEARSAL, stdin=pipe, stdout=pipe, env=env)
    assert process.stdin is not None
    assert process.stdout is not None

    def say(*messages: Any) -> None:
        lines = [one if isinstance(one, bytes) else json.dumps({"jsonrpc": "2.0", **one}).encode() for one in messages]
        process.stdin.write(b"".join(line + b"\n" for line in lines))  # type: ignore[union-attr]

    async def hear(id: object) -> dict[str, Any]:
        async with asyncio.timeout(LIMIT_S):
            while True:
                message: dict[str, Any] = json.loads(await process.stdout.readline())  # type: ignore[union-attr]
                if message.get("id") == id and "method" not in message:
                    return message

    try:
        yield say, hear
        process.stdin.close()
        async with asyncio.timeout(LIMIT_S):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_what_it_cannot_do_is_answered_with_an_error_and_it_serves_on() -> None:
    async with raw() as (say, hear):
        say(b"\xff\xfe not json", b"[]", b"7", {"id": {"odd": 1}, "result": {}}, {"method": "vendor/hint"})
        assert [(await hear(None))["error"]["code"] for _ in range(3)] == [-32700, -32600, -32600]
        for id, method, params, code in (
            (1, "session/fork", {}, -32601),
            (2, "session/new", {}, -32602),
            (3, "session/new", {"cwd": 7}, -32602),
            (4, "session/set_mode", {"modeId": "yolo"}, -32602),
            (5, "session/prompt", {"prompt": "words"}, -32602),
            (6, "session/prompt", ["by", "position"], -32602),
        ):
            say({"id": id, "method": method, "params": params})
            assert (await hear(id))["error"]["code"] == code
        say({"id": 7, "method": "initialize", "params": {"protocolVersion": 1}})
        assert (await hear(7))["result"]["protocolVersion"] == 1


def test_it_starts_with_little_and_nothing_else_of_heddle() -> None:
    listed = "import sys, heddle.rehearsal.acp; print(*sorted(sys.modules))"
    done = subprocess.run((sys.executable, "-c", listed), capture_output=True, text=True, env=environment(), check=True)
    modules = done.stdout.split()
    ours = [name for name in modules if name.split(".")[0] == "heddle"]
    assert ours == ["heddle", *(f"heddle.rehearsal{name}" for name in ("", ".acp", ".player", ".script"))]
    assert not {"asyncio", "msgspec", "logging", "socket"} & set(modules)


# ----------------------------------------------------------------- the agent, driven by the official SDK


class Client(acp.Client):
    """A client made with the official SDK: it validates whatever the agent sends."""

    def __init__(self, *choices: str) -> None:
        self.choices = list(choices)
        self.updates: list[Any] = []
        self.asked: list[ToolCallUpdate] = []
        self.heard = asyncio.Event()

    async def request_permission(
        self, session_id: str, tool_call: ToolCallUpdate, options: list[PermissionOption], **_: Any
    ) -> RequestPermissionResponse:
        self.asked.append(tool_call)
        choice = self.choices.pop(0)
        offered = [option.option_id for option in options]
        if choice not in offered:
            return RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))
        return RequestPermissionResponse(outcome=AllowedOutcome(outcome="selected", option_id=choice))

    async def session_update(self, session_id: str, update: Any, **_: Any) -> None:
        self.updates.append(update)
        self.heard.set()


@contextlib.asynccontextmanager
async def sdk(tree: Path, client: Client, *steps: dict[str, Any], mode: str = "ask") -> AsyncIterator[Any]:
    """(connection, session) of the official SDK with the rehearsal agent."""
    script = write_script(tree.parent / "script.toml", [scene("", *steps)])
    command = (*REHEARSAL, "--script", str(script))
    async with acp.spawn_agent_process(
        client, command[0], *command[1:], env=environment(), cwd=tree, transport_kwargs={"limit": 1 << 24}
    ) as (peer, process):
        async with asyncio.timeout(LIMIT_S):
            hello = await peer.initialize(protocol_version=acp.PROTOCOL_VERSION)
            assert hello.protocol_version == 1
            assert hello.agent_capabilities.load_session
            session = await peer.new_session(cwd=str(tree), mcp_servers=[])
            assert mode in [one.id for one in session.modes.available_modes]
            await peer.set_session_mode(session_id=session.session_id, mode_id=mode)
            yield peer, session.session_id
    assert process.returncode == 0


@pytest.fixture
def no_complaint(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The SDK logs what it cannot validate."""
    yield
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.usefixtures("no_complaint")
async def test_the_official_sdk_understands_all_that_it_says(tree: Path) -> None:
    client = Client("allow", "reject", "b", "allow")
    steps = [
        {"do": "say", "text": "I begin."},
        {"do": "write", "path": "a.txt", "text": "a\n"},
        {"do": "delete", "path": "a.txt"},
        {"do": "ask", "text": "Which?", "options": ["a", "b"]},
        {"do": "run", "command": "echo ran"},
        {"do": "usage", "input": 3, "output": 4, "usd": 0.5},
        {"do": "document", "text": "{answer}"},
    ]
    async with sdk(tree, client, *steps) as (peer, session):
        answer = await peer.prompt(session_id=session, prompt=[acp.text_block(head(tree))])
    assert (answer.stop_reason, answer.usage.input_tokens, answer.usage.output_tokens) == ("end_turn", 3, 4)
    assert [call.kind for call in client.asked] == ["edit", "edit", "other", "execute"]
    assert (tree / "a.txt").read_text() == "a\n"
    assert (tree.parent / "out" / "handoff.md").read_text() == "b"
    assert {update.session_update for update in client.updates} == {
        "agent_message_chunk",
        "tool_call",
        "tool_call_update",
        "usage_update",
    }


@pytest.mark.usefixtures("no_complaint")
async def test_the_official_sdk_can_cancel_a_command(tree: Path, lifeline: Lifeline) -> None:
    client = Client("allow")
    async with sdk(tree, client, {"do": "run", "command": LIVES}) as (peer, session):
        turn = asyncio.create_task(peer.prompt(session_id=session, prompt=[acp.text_block(head(tree))]))
        await lifeline.until(b"runs")
        await peer.cancel(session_id=session)
        assert (await turn).stop_reason == "cancelled"
        await lifeline.until(b"gone")


@pytest.mark.usefixtures("no_complaint")
async def test_in_the_auto_mode_nobody_is_asked(tree: Path) -> None:
    client = Client()
    steps = [{"do": "write", "path": "a.txt", "text": "a\n"}, {"do": "run", "command": "touch ran"}]
    async with sdk(tree, client, *steps, mode="auto") as (peer, session):
        await peer.prompt(session_id=session, prompt=[acp.text_block(head(tree))])
    assert client.asked == []
    assert sorted(path.name for path in tree.iterdir()) == ["a.txt", "ran"]


@pytest.mark.usefixtures("no_complaint")
async def test_the_official_sdk_hears_of_errors(tree: Path) -> None:
    async with sdk(tree, Client(), {"do": "err", "how": "error", "text": "overloaded"}) as (peer, session):
        with pytest.raises(acp.RequestError, match="overloaded"):
            await peer.prompt(session_id=session, prompt=[acp.text_block(head(tree))])


# --------------------------------------------------- our codec, against an agent made with the official SDK


@contextlib.asynccontextmanager
async def reference(asked: Brief, answer: Answer = willing) -> AsyncIterator[Driven]:
    async with driven(REFERENCE, asked, env=environment(), answer=answer) as agent:
        yield agent


@pytest.mark.parametrize("allowed", [True, False])
async def test_our_codec_works_with_an_agent_of_the_official_sdk(tree: Path, allowed: bool) -> None:
    answer: Answer = willing if allowed else lambda asked: Deny("no")
    async with reference(brief(tree), answer) as agent:
        assert await agent.turn() == TurnEnded(TurnOutcome.ENDED, "All done.")
        await agent.send(agent.conversation.prompt("Again", 2))
        await agent.turn()
    path = str(tree / "made.txt")
    assert Path(path).exists() is allowed
    assert agent.of(AgentReady) == [AgentReady("reference-1")]
    assert agent.of(PermissionAsked)[0] == PermissionAsked("0", "edit", "Write made.txt", (path,))
    assert agent.of(ToolCalled) == [ToolCalled("call-1", "edit", "Write made.txt", (path,))]
    assert [ended.ok for ended in agent.of(ToolEnded)] == [allowed]
    assert agent.of(UsageReported) == [UsageReported(Usage(10, 2, 5, 0, 0.25))] * 2
    assert agent.of(Garbled) == []


@pytest.mark.parametrize(("access", "mode"), [(Access.READ, "plan"), (Access.WRITE, "default")])
async def test_the_mode_holds_before_the_first_prompt_is_read(tree: Path, access: Access, mode: str) -> None:
    async with reference(brief(tree, access)) as agent:
        await agent.turn()
    assert agent.of(Said)[0] == Said(f"In mode {mode}.")


async def test_a_resumed_session_does_not_tell_its_history_again(tree: Path) -> None:
    async with reference(brief(tree, resume="reference-0")) as agent:
        assert (await agent.turn()).outcome is TurnOutcome.ENDED
    assert agent.of(AgentReady) == [AgentReady("reference-0")]
    assert [said.text for said in agent.of(Said)] == ["In mode default.", "All ", "done."]
    assert [call.call for call in agent.of(ToolCalled)] == ["call-1"]
    assert agent.of(UsageReported) == [UsageReported(Usage(10, 2, 5, 0, None))]


async def test_an_error_of_an_sdk_agent_is_told_in_its_words(tree: Path) -> None:
    async with reference(brief(tree, prompt="Please fail.")) as agent:
        ended = await agent.turn()
    assert ended.outcome is TurnOutcome.FAILED
    assert ended.error == "Internal error: the model is on fire"


async def test_a_form_of_an_sdk_agent_is_filled_in_question_by_question(tree: Path) -> None:
    answers = {"0": Answered("Blue"), "0#2": Answered("3"), "0#3": Answered("yes")}
    async with reference(brief(tree, prompt="Please ask."), lambda asked: answers.get(asked.request)) as agent:
        ended = await agent.turn()
    assert agent.of(AnswerAsked) == [
        AnswerAsked("0", "About the paint - Which colour?", ("Red", "Blue")),
        AnswerAsked("0#2", "About the paint - How many coats?", (), "2"),
        AnswerAsked("0#3", "About the paint - Glossy?", ("yes", "no"), "no"),
    ]
    assert ended.text.endswith("accept {'colour': 'b', 'coats': 3, 'gloss': True}")


async def test_an_interrupt_also_answers_what_the_agent_waits_for(tree: Path) -> None:
    async with reference(brief(tree), lambda asked: None) as agent:
        await agent.until(lambda fact: isinstance(fact, PermissionAsked))
        await agent.send(agent.conversation.interrupt())
        assert (await agent.turn()).outcome is TurnOutcome.INTERRUPTED
    assert not (tree / "made.txt").exists()


async def test_what_the_sdk_agent_said_can_be_replayed(tree: Path) -> None:
    async with reference(brief(tree)) as agent:
        await agent.turn()
    again = replay(agent.brief, agent.transcript)
    assert (again.facts, again.sends) == (agent.facts, agent.sends)
