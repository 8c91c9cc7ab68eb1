"""Any program as an agent: started by our relay for each turn, told by its brand, with real processes."""

import sys
from pathlib import Path
from typing import Any

import pytest

from heddle.adapters.agents.brands import load_brand
from heddle.adapters.agents.turns import CommandReader, TurnsAgent
from heddle.core.errors import SetupError
from heddle.core.session import Access, AgentReady, Brief, Said, TurnEnded, TurnOutcome
from heddle.wiring import KnownAgents
from support.agent_play import Play
from support.fleet import git, heddle, make_repository

BOXES = pytest.mark.needs("boxes")
AGENT = """#!/bin/sh
# An agent without a model: it does what the stage asks.
prompt=$(cat)
line() { printf '%s\\n' "$prompt" | sed -n "s/^$1: //p" | head -n 1; }
case $(line Stage) in
  research) echo "looking ..."; printf '# Research\\n- a.py:1\\n' > "$(line Out)/research.md" ;;
  plan)
    case $prompt in
      *"cannot be taken"*) printf '+++\\nscope = ["b.txt"]\\nchecks = ["test -s b.txt"]\\n+++\\n# Plan\\n\\n1. Write it.\\n' ;;
      *) echo "I have a plan." ;;
    esac ;;
  execute) echo written > b.txt; echo "Wrote b.txt." ;;
esac
"""


def write_brand(folder: Path, text: str, script: str = AGENT) -> Path:
    """A brand of the person's own; `folder` is where person.toml lies."""
    program = folder / "program" / "my-agent"
    program.parent.mkdir()
    program.write_text(script)
    program.chmod(0o755)
    (folder / "agents").mkdir()
    path = folder / "agents" / "mine.toml"
    path.write_text(text.replace("PROGRAM", str(program)))
    return path


def brief(folder: Path, access: Access = Access.WRITE, **more: Any) -> Brief:
    return Brief("T1.1", "Say it.", access, str(folder), "/place/out", **more)


def agent(folder: Path, text: str, script: str) -> TurnsAgent:
    brand = load_brand(write_brand(folder, f'name = "mine"\nprotocol = "command"\n{text}', script))
    return TurnsAgent(brand, {}, CommandReader)


SHOW = '#!/bin/sh\nfor part in "$@"; do echo "<$part>"; done\ncat\necho "at $PWD"\n'


async def test_the_prompt_comes_by_standard_input_and_what_is_printed_is_what_was_said(tmp_path: Path) -> None:
    made = agent(tmp_path, 'command = ["PROGRAM"]\n[turns]\nread = ["--dry"]\nwrite = ["--wet"]', SHOW)
    async with Play(made, brief(tmp_path), tmp_path / "home") as play:
        end = await play.until(TurnEnded)
        exit = await play.close()
    assert end == TurnEnded(TurnOutcome.ENDED, f"<--wet>\nSay it.at {tmp_path}")
    assert exit.ok
    assert play.of(AgentReady) == [AgentReady("")]
    assert len(play.of(Said)) == 2


async def test_or_by_an_argument_with_all_else_that_the_brand_names(tmp_path: Path) -> None:
    turns = 'first = ["--new={session}"]\nmodel = ["--model", "{model}"]\nread = ["--dry"]\nprompt = ["-m", "{prompt}"]'
    made = agent(tmp_path, f'command = ["PROGRAM", "--out={{out}}"]\n[turns]\n{turns}\nenv = {{ X = "1" }}', SHOW)
    async with Play(made, brief(tmp_path, Access.READ, model="big"), tmp_path / "home") as play:
        end = await play.until(TurnEnded)
        await play.close()
    out, new, *rest = end.text.splitlines()
    assert (out, new.startswith("<--new=")) == ("<--out=/place/out>", True)
    assert rest == ["<--dry>", "<--model>", "<big>", "<-m>", "<Say it.>", f"at {tmp_path}"]
    assert made.command(brief(tmp_path)).env == {"X": "1"}


async def test_who_remembers_nothing_is_told_all_of_it_again(tmp_path: Path) -> None:
    made = agent(tmp_path, 'command = ["PROGRAM"]', "#!/bin/sh\ncat\n")
    async with Play(made, brief(tmp_path), tmp_path / "home") as play:
        await play.until(TurnEnded)
        await play.prompt("Mend it.")
        end = await play.until(TurnEnded, count=2)
        await play.close()
    assert end.text == "Say it.\n\nMend it."


async def test_who_remembers_is_told_what_is_new(tmp_path: Path) -> None:
    turns = '[turns]\nfirst = ["new", "{session}"]\nagain = ["old", "{session}"]'
    made = agent(tmp_path, f'command = ["PROGRAM"]\n{turns}', '#!/bin/sh\necho "$1 $2"\ncat\n')
    async with Play(made, brief(tmp_path), tmp_path / "home") as play:
        await play.until(TurnEnded)
        await play.prompt("Mend it.")
        await play.until(TurnEnded, count=2)
        await play.close()
    session = play.of(AgentReady)[0].agent_session
    assert [end.text for end in play.of(TurnEnded)] == [f"new {session}\nSay it.", f"old {session}\nMend it."]
    (order,) = made.conversation(brief(tmp_path, resume="earlier")).open()
    assert b'"old","earlier"' in order.data


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo nearly; echo 'no key' >&2; exit 3", "status 3 no key"),
        ("kill -9 $$", "signal 9"),
    ],
)
async def test_who_fails_has_not_finished(tmp_path: Path, script: str, words: str) -> None:
    made = agent(tmp_path, 'command = ["PROGRAM"]', f"#!/bin/sh\n{script}\n")
    async with Play(made, brief(tmp_path), tmp_path / "home") as play:
        end = await play.until(TurnEnded)
        await play.close()
    assert (end.outcome, words in end.error) == (TurnOutcome.FAILED, True)


async def test_who_is_not_there_is_named(tmp_path: Path) -> None:
    made = agent(tmp_path, 'command = ["/nowhere/my-agent"]', "")
    async with Play(made, brief(tmp_path), tmp_path / "home") as play:
        end = await play.until(TurnEnded)
        await play.close()
    assert "/nowhere/my-agent" in end.error


async def test_who_says_nothing_for_too_long_is_ended(tmp_path: Path) -> None:
    script = "#!/bin/sh\nwhile :; do echo trying again >&2; sleep 0.2; done\n"
    made = agent(tmp_path, 'command = ["PROGRAM"]\n[turns]\nsilence_s = 1.5', script)
    async with Play(made, brief(tmp_path), tmp_path / "home") as play:
        end = await play.until(TurnEnded)
        exit = await play.close()
    assert (end.outcome, "said nothing" in end.error, exit.ok) == (TurnOutcome.FAILED, True, True)


async def test_an_interrupt_ends_the_turn_and_the_next_one_works(tmp_path: Path) -> None:
    script = '#!/bin/sh\nread word\necho "$word"\ncase $word in Say*) sleep 600 ;; esac\n'
    turns = '[turns]\nfirst = ["a"]\nagain = ["b"]'
    made = agent(tmp_path, f'command = ["PROGRAM"]\n{turns}', script)
    async with Play(made, brief(tmp_path), tmp_path / "home") as play:
        await play.until(Said)
        await play.interrupt()
        first = await play.until(TurnEnded)
        await play.prompt("Go on.\n")
        second = await play.until(TurnEnded, count=2)
        await play.close()
    assert (first.outcome, second) == (TurnOutcome.INTERRUPTED, TurnEnded(TurnOutcome.ENDED, "Go on."))


async def test_of_one_that_talks_without_end_the_end_is_kept(tmp_path: Path) -> None:
    script = f"#!{sys.executable}\nfor n in range(60000): print('line', n)\n"
    made = agent(tmp_path, 'command = ["PROGRAM"]', script)
    async with Play(made, brief(tmp_path), tmp_path / "home") as play:
        end = await play.until(TurnEnded)
        await play.close()
    assert len(end.text) < 200_001
    assert end.text.endswith("line 59999")


def test_what_a_brand_cannot_say_is_named(tmp_path: Path) -> None:
    text = 'name = "m"\nprotocol = "command"\ncommand = ["x"]\n[turns]\nagan = ["x"]\n'
    with pytest.raises(SetupError, match="'agan'") as caught:
        load_brand(write_brand(tmp_path, text))
    assert "did you mean 'again'?" in caught.value.hint


@pytest.mark.parametrize("tier", ["auto", "0", pytest.param("1", marks=BOXES), pytest.param("3", marks=BOXES)])
async def test_a_task_goes_through_the_whole_cycle_and_lands(tmp_path: Path, tier: str) -> None:
    """Wherever it is: the program is shown in the box, and its plan is mended in a second turn."""
    repository = make_repository(tmp_path / "repo")
    write_brand(tmp_path, 'name = "mine"\nprotocol = "command"\ncommand = ["PROGRAM"]\n')
    async with heddle(tmp_path, repository, None, f'[sandbox]\ntier = "{tier}"\n') as fleet:
        id = await fleet.start("Add b.txt", agent="mine")
        rows = await fleet.until(id)
        kinds = await fleet.kinds(id)
    assert [row["status"] for row in rows] == ["landed"], rows
    assert (kinds.count("session-started"), kinds.count("stage-failed")) == (3, 0)
    assert (repository / "b.txt").read_text() == "written\n"
    assert git(repository, "log", "-1", "--format=%an %s") == "Ada Add b.txt"


async def test_a_task_whose_program_fails_waits_and_says_why(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    script = "#!/bin/sh\necho 'no licence' >&2\nexit 3\n"
    write_brand(tmp_path, 'name = "mine"\nprotocol = "command"\ncommand = ["PROGRAM"]\n', script)
    async with heddle(tmp_path, repository, None) as fleet:
        id = await fleet.start("Add b.txt", agent="mine")
        rows = await fleet.until(id)
    assert rows[0]["status"] == "waiting"
    assert "no licence" in rows[0]["why"]
    assert not (repository / "b.txt").exists()


async def test_d3_a_program_that_was_killed_goes_on_in_its_own_conversation(tmp_path: Path) -> None:
    """The holder sees the relay end as the program did, so it is lost, and resumed by its name."""
    repository = make_repository(tmp_path / "repo")
    script = AGENT.replace(
        "  execute) ", '  execute) case $1 in new) echo "$2"; echo half > c.txt; kill -9 $$ ;; esac; '
    )
    script = script.replace("> b.txt;", '> b.txt; rm c.txt; echo "$1 $2";')
    turns = '[turns]\nfirst = ["new", "{session}"]\nagain = ["old", "{session}"]\n[capabilities]\nresume = true\n'
    write_brand(tmp_path, f'name = "mine"\nprotocol = "command"\ncommand = ["PROGRAM"]\n{turns}', script)
    async with heddle(tmp_path, repository, None) as fleet:
        id = await fleet.start("Add b.txt", agent="mine")
        rows = await fleet.until(id)
        kinds = await fleet.kinds(id)
    assert [row["status"] for row in rows] == ["landed"], rows
    assert (kinds.count("session-started"), kinds.count("stage-failed")) == (4, 0)
    assert sorted(path.name for path in repository.iterdir()) == [".git", ".gitignore", "a.py", "b.txt"]


async def test_an_agent_that_is_not_here_is_told_and_is_a_fault_only_of_the_default(tmp_path: Path) -> None:
    text = 'name = "mine"\nprotocol = "command"\ncommand = ["x"]\nversion_command = ["/nowhere/mine", "--version"]\n'
    agents = KnownAgents({}, write_brand(tmp_path, text).parent)
    for default, good in (("rehearsal", None), ("mine", False)):
        (found,) = [finding for finding in await agents.check({default}) if finding["what"] == "agent mine"]
        assert (found["ok"], "/nowhere/mine" in str(found["detail"])) == (good, True)
