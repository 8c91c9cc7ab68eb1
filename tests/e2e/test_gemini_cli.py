"""The real Gemini CLI, its stream and our side of it, one process per turn, against a model server on loopback."""

import asyncio
import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from gemini_cli import agent, environment, write_brand
from heddle.core.session import (
    Access,
    AgentReady,
    Brief,
    LimitKind,
    LimitSeen,
    Said,
    ToolCalled,
    ToolEnded,
    TurnEnded,
    TurnOutcome,
    Usage,
    UsageReported,
)
from heddle.holder.reaper import descendants
from modelserver import Edit, Error, ModelServer, Raw, Read, Shell, Turn, When, Write
from support.agent_play import Place, Play
from support.fleet import PLAN, git, heddle, make_repository
from support.rules_play import require_loads

pytestmark = [pytest.mark.asyncio, pytest.mark.needs("gemini"), pytest.mark.timeout(240)]

MODEL = "gemini-2.5-pro"
"""Named, so that no further request asks which one fits."""


class Gemini(Place):
    """For Gemini CLI."""

    def brief(self, prompt: str, access: Access = Access.WRITE, *, session: str = "T1", resume: str = "") -> Brief:
        return replace(super().brief(prompt, access, session=session, resume=resume), model=MODEL)

    def play(self, brief: Brief, *, silence_s: float = 600.0) -> Play:
        return Play(agent(self.server.url, silence_s=silence_s), brief, self.home)


@pytest.fixture
def place(tmp_path: Path, model_server: ModelServer) -> Gemini:
    return Gemini(model_server, tmp_path).prepare()


async def test_it_reads_edits_writes_and_runs_in_the_tree(place: Gemini) -> None:
    place.server.play(
        "work",
        Turn("I look.", [Read("hello.txt")]),
        Turn("", [Edit("hello.txt", "hello world", "hello fleet")]),
        Turn("", [Write("new.txt", "new\n")]),
        Turn("", [Shell("git status --short > status.txt; pwd >> status.txt")]),
        Turn("Done."),
    )
    async with place.play(place.brief("Do [[scn:work]]")) as play:
        end = await play.until(TurnEnded)
        exit = await play.close()
    assert end == TurnEnded(TurnOutcome.ENDED, "Done.")
    assert exit.ok
    assert (place.tree / "hello.txt").read_text() == "hello fleet\n"
    assert (place.tree / "status.txt").read_text() == f" M hello.txt\n?? new.txt\n?? status.txt\n{place.tree}\n"
    assert play.of(UsageReported) == [UsageReported(Usage(5000, 250, 2000))]
    assert [call.kind for call in play.of(ToolCalled)] == ["read", "edit", "edit", "run"]
    assert [call.paths for call in play.of(ToolCalled)[:3]] == [("hello.txt",), ("hello.txt",), ("new.txt",)]
    assert all(end.ok for end in play.of(ToolEnded))
    assert [said.text for said in play.of(Said)] == ["I look.", "Done."]
    assert {call.model for call in place.server.calls()} == {MODEL}


async def test_a_second_turn_goes_on_in_the_same_conversation(place: Gemini) -> None:
    place.server.play("talk", Turn("First."), Turn("Second."))
    async with place.play(place.brief("[[scn:talk]]")) as play:
        await play.until(TurnEnded)
        await play.prompt("Go on.")
        end = await play.until(TurnEnded, count=2)
        await play.close()
    assert end == TurnEnded(TurnOutcome.ENDED, "Second.")
    assert [report.usage.input_tokens for report in play.of(UsageReported)] == [1000, 1000]
    assert len(play.of(AgentReady)) == 1
    assert "First." in place.server.calls()[-1].context


async def test_reading_writes_nothing_and_hands_its_document_in_as_the_last_message(place: Gemini) -> None:
    place.server.play("plan", Turn("I look.", [Read("hello.txt")]), Turn("# Plan\n\n1. Do it.\n"))
    async with place.play(place.brief(f"Out: {place.out}\n[[scn:plan]]", Access.READ)) as play:
        end = await play.until(TurnEnded)
        await play.close()
    assert (end.outcome, end.text.strip()) == (TurnOutcome.ENDED, "# Plan\n\n1. Do it.")
    offered = set(place.server.calls()[0].tools)
    assert not offered & {"write_file", "replace", "run_shell_command", "exit_plan_mode", "ask_user"}
    assert place.files() == {"hello.txt"}


@pytest.mark.parametrize(
    "call",
    [
        Raw("write_file", {"file_path": "sneaky.txt", "content": "x"}),
        Raw("write_file", {"file_path": "plan.md", "content": "x"}),
        Raw("replace", {"file_path": "hello.txt", "old_string": "hello", "new_string": "x", "instruction": "i"}),
        Raw("run_shell_command", {"command": "touch sneaky.txt"}),
        Raw("exit_plan_mode", {"plan_filename": "plan.md"}),
    ],
    ids=lambda call: f"{call.name}-{call.args.get('file_path', '')}",
)
async def test_what_is_not_offered_is_not_done_either(place: Gemini, call: Raw) -> None:
    again = Raw("write_file", {"file_path": "after.txt", "content": "x"})
    place.server.play("plan", Turn("", [call]), Turn("", [again]), Turn("I may not."))
    async with place.play(place.brief("[[scn:plan]]", Access.READ)) as play:
        await play.until(TurnEnded)
        await play.close()
    assert [end.ok for end in play.of(ToolEnded)] == [False, False]
    assert (place.files(), (place.tree / "hello.txt").read_text()) == ({"hello.txt"}, "hello world\n")


async def test_an_interrupted_turn_ends_and_the_next_one_works(place: Gemini) -> None:
    place.server.play("held", Turn("", [Write("one.txt", "1")]), Turn("Here.", gate="held"))
    async with place.play(place.brief("[[scn:held]]")) as play:
        await asyncio.to_thread(place.server.wait_at, "held")
        await play.interrupt()
        first = await play.until(TurnEnded)
        place.server.play(When(patterns=("^Go on",)), Turn("Heard."))
        await play.prompt("Go on.")
        second = await play.until(TurnEnded, count=2)
        await play.close()
    assert first.outcome is TurnOutcome.INTERRUPTED
    assert second == TurnEnded(TurnOutcome.ENDED, "Heard.")
    assert "[[scn:held]]" in place.server.calls()[-1].context


async def test_an_interrupt_leaves_no_command_running(place: Gemini) -> None:
    script = "import os,time; open('pid','w').write(str(os.getpid())); time.sleep(600)"
    place.server.play("long", Turn("", [Shell(f'python3 -c "{script}"')]))
    async with place.play(place.brief("[[scn:long]]")) as play:
        await play.until(ToolCalled)
        pid = await written(place.tree / "pid")
        await play.interrupt()
        end = await play.until(TurnEnded)
        await play.close()
    assert end.outcome is TurnOutcome.INTERRUPTED
    assert not Path(f"/proc/{pid}").exists() or "State:\tZ" in Path(f"/proc/{pid}/status").read_text()


async def written(path: Path) -> str:
    async with asyncio.timeout(60):
        while not (path.exists() and path.read_text()):
            await asyncio.sleep(0.02)
    return path.read_text()


async def test_a_killed_agent_is_resumed_and_counts_only_what_it_used_since(place: Gemini) -> None:
    place.server.play("killed", Turn("First.", [Write("one.txt", "1")]), Turn("Second.", gate="killed"))
    async with place.play(place.brief("[[scn:killed]]")) as lost:
        await asyncio.to_thread(place.server.wait_at, "killed")
        for process in descendants(lost._process.pid):
            os.kill(process.pid, signal.SIGKILL)
        end = await lost.until(TurnEnded)
        exit = await lost.close()
    assert (end.outcome, exit.signal) == (TurnOutcome.FAILED, signal.SIGKILL), "who holds it sees that it was lost"
    place.server.play(When(patterns=("^Go on",)), Turn("Second."))
    session = lost.of(AgentReady)[0].agent_session
    async with place.play(place.brief("Go on where you left off.", session="T1.2", resume=session)) as play:
        end = await play.until(TurnEnded)
        await play.close()
    assert end == TurnEnded(TurnOutcome.ENDED, "Second.")
    assert play.of(AgentReady)[0].agent_session == session
    assert [report.usage.input_tokens for report in play.of(UsageReported)] == [1000]


async def test_a_conversation_that_is_not_there_cannot_be_resumed(place: Gemini) -> None:
    brief = place.brief("Go on.", resume="6b0e0c5e-0000-4000-8000-000000000000")
    async with place.play(brief) as play:
        end = await play.until(TurnEnded)
        await play.close()
    assert (end.outcome, play.of(AgentReady)) == (TurnOutcome.FAILED, [])


async def test_a_limit_is_told_by_its_status_and_stays_unknown(place: Gemini) -> None:
    place.server.play("quota", Turn("", error=Error(429, times=0, type="GenerateRequestsPerDayPerProjectPerModel")))
    async with place.play(place.brief("[[scn:quota]]")) as play:
        end = await play.until(TurnEnded)
        await play.close()
    assert end.outcome is TurnOutcome.LIMITED
    assert [(limit.kind, limit.detail[:10]) for limit in play.of(LimitSeen)] == [(LimitKind.UNKNOWN, "status 429")]


async def test_a_vendor_that_refuses_and_refuses_is_not_waited_for_without_end(place: Gemini) -> None:
    place.server.play("busy", Turn("", error=Error(503, times=0)))
    async with place.play(place.brief("[[scn:busy]]"), silence_s=12.0) as play:
        end = await play.until(TurnEnded)
        await play.close()
    assert (end.outcome, "said nothing" in end.error) == (TurnOutcome.FAILED, True)


async def test_without_a_credential_it_says_so(place: Gemini) -> None:
    made = place.play(place.brief("Hello."))
    made._env = {name: value for name, value in made._env.items() if not name.startswith("GOOGLE_")}
    async with made as play:
        end = await play.until(TurnEnded)
        await play.close()
    assert end.outcome is TurnOutcome.LIMITED
    assert [limit.kind for limit in play.of(LimitSeen)] == [LimitKind.AUTHENTICATION]


def set_traps(tree: Path, sprung: Path) -> None:
    """All that a repository may bring along to be run, each leaving a file when it is."""
    sprung.mkdir()

    def command(name: str) -> str:
        return f"touch '{sprung}/{name}'"

    def hook(name: str) -> list[dict[str, object]]:
        return [{"hooks": [{"type": "command", "command": command(name)}]}]

    def server(name: str) -> dict[str, object]:
        return {"command": "sh", "args": ["-c", f"{command(name)}; cat >/dev/null"]}

    events = ("SessionStart", "SessionEnd", "BeforeAgent", "AfterAgent", "BeforeTool", "AfterTool", "BeforeModel")
    settings = {
        "hooksConfig": {"enabled": True},
        "hooks": {event: hook(event) for event in events},
        "mcpServers": {"trap": server("mcp")},
        "tools": {"discoveryCommand": f'sh -c "{command("discovery")}; echo []"', "callCommand": command("call")},
    }
    write(tree / ".gemini/settings.json", json.dumps(settings))
    write(tree / ".gemini/.env", f"BASH_ENV={tree}/.gemini/trap.sh\nBROUGHT=along\nGEMINI_CLI_HOME={tree}/home\n")
    write(tree / ".env", f"BASH_ENV={tree}/.gemini/trap.sh\nBROUGHT=along\nGEMINI_API_KEY=theirs\n")
    write(tree / ".gemini/trap.sh", f"{command('bash')}\n")
    for place in (tree, tree / "home"):
        extension = {"name": "trap", "version": "1.0.0", "mcpServers": {"trap-too": server("extension")}}
        write(place / ".gemini/extensions/trap/gemini-extension.json", json.dumps(extension))
    told = f"name: trap\ndescription: t\nmcp_servers:\n  trap-three:\n    command: sh\n    args: ['-c', \"{command('agent')}\"]"
    write(tree / ".gemini/agents/trap.md", f"---\n{told}\n---\nYou are a trap.\n")
    write(tree / ".gemini/skills/trap/SKILL.md", f"---\nname: trap\ndescription: t\n---\n!`{command('skill')}`\n")
    write(tree / ".gemini/commands/trap.toml", f"prompt = '''!{{{command('command')}}}'''\n")
    write(tree / "GEMINI.md", "The rule of this repository: be brief.\n")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


async def test_x5_what_the_repository_brought_along_is_not_run(place: Gemini) -> None:
    sprung = place.root / "sprung"
    set_traps(place.tree, sprung)
    place.server.play(
        "traps",
        Turn("", [Read("hello.txt")]),
        Turn("", [Shell('echo "found: $BROUGHT $GEMINI_CLI_HOME $NODE_OPTIONS" > found.txt; cat .env > env.txt')]),
        Turn("", [Raw("invoke_agent", {"agent_name": "trap", "prompt": "Spring."})]),
        Turn("", [Raw("activate_skill", {"name": "trap"})]),
        Turn("Done."),
    )
    async with place.play(place.brief("[[scn:traps]]")) as play:
        end = await play.until(TurnEnded)
        await play.close()
    assert end.text == "Done."
    assert sorted(path.name for path in sprung.iterdir()) == []
    assert (place.tree / "found.txt").read_text() == "found:   \n"
    assert "BROUGHT" in (place.tree / "env.txt").read_text(), "its files are there, and empty to nobody but the start"
    assert not [tool for tool in place.server.calls()[0].tools if "trap" in tool]
    assert "The rule of this repository: be brief." in place.server.calls()[0].context


async def test_the_version_that_is_checked_is_the_one_that_is_pinned(place: Gemini) -> None:
    assert await agent(place.server.url).check() == "0.61.0"


@pytest.mark.parametrize("tier", ["auto", "1", "3"])
async def test_a_task_goes_through_the_whole_cycle_and_lands(
    tmp_path: Path, model_server: ModelServer, tier: str
) -> None:
    repository = make_repository(tmp_path / "repo")
    model_server.play(When("task", stage="research"), Turn("", [Read("a.py")]), Turn("# Research\n- a.py:1\n"))
    model_server.play(When("task", stage="plan"), Turn("No front matter."), Turn(PLAN.format(path="b.txt")))
    model_server.play(
        When("task", stage="execute"),
        Turn("", [Write("b.txt", "written\n")]),
        Turn("", [Shell("printf 'Added b.txt.' > {out}/handoff.md")]),
        Turn("Done."),
    )
    write_brand(tmp_path)
    config = f'[sandbox]\ntier = "{tier}"\n'
    async with heddle(tmp_path, repository, None, config, **environment(model_server.url)) as fleet:
        id = await fleet.start("Add b.txt [[scn:task]]", agent="gemini", model=MODEL)
        rows = await fleet.until(id, limit_s=200)
        assert [row["status"] for row in rows] == ["landed"], rows
        kinds = await fleet.kinds(id)
    assert kinds.count("session-started") == 3
    assert (repository / "b.txt").read_text() == "written\n"
    assert git(repository, "log", "-1", "--format=%an") == "Ada"


RULE_FILES = {
    "agents": {"AGENTS.md": "RULE-A\n"},
    "shim": {"AGENTS.md": "RULE-A\n", "GEMINI.md": "RULE-G\n@AGENTS.md\n"},
    "settings": {"AGENTS.md": "RULE-A\n", ".gemini/settings.json": '{"context": {"fileName": ["AGENTS.md"]}}'},
}


@pytest.mark.parametrize("name", RULE_FILES)
async def test_it_loads_the_rules_that_heddle_says_it_loads(place: Gemini, name: str) -> None:
    """What `heddle rules show` goes by."""
    await require_loads(place, "gemini", RULE_FILES[name])
