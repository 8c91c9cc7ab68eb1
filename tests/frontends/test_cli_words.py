"""The words of the command line: help, completions, hints, and what the cheapest command may import."""

import ast
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from heddle.core.errors import UserError
from heddle.frontends.cli.commands.completions import words
from heddle.frontends.cli.output import clean, columns, cut, padded
from heddle.frontends.cli.program import build_parser, load
from heddle.frontends.cli.table import COMMANDS
from support.command_line import board, heddle, row
from support.stand_in import StandIn

SOURCE = Path(__file__).parents[2] / "src" / "heddle"
PARSERS = build_parser()


def require_parses(command: str) -> None:
    """Raises UserError when the real parser does not take a command."""
    words = shlex.split(command)[1:]
    if words and words[0] not in ("--help", "--version", "--json"):
        if words[0] not in PARSERS:
            raise UserError(f"there is no command '{words[0]}'")
        with suppress(SystemExit):  # --help of a verb
            PARSERS[words[0]].parse_args(words[1:])


def test_help_is_one_page() -> None:
    ended = heddle("--help")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out == snapshot("""\
heddle: many coding agents on one repository, kept apart and woven into one cloth

usage: heddle COMMAND [ARGUMENTS] [--json] [--repo PATH]

commands:
  start        ask for something to be done
  adopt        take in what was made elsewhere: a branch or a worktree
  status       show every task with its one status and the reason
  inbox        show what only a person can settle
  approve      approve what a task waits for
  reject       send it back with a reason
  answer       answer the question of a task
  watch        follow what happens, live
  attach       talk to a task's agent on its own screen, and hand back
  wait         wait until tasks end or need a person
  why          tell why a task is where it is
  handoff      tell what whoever goes on with a task has to know
  diff         show what a task changed
  compare      show rival attempts at a task side by side
  open         lay out what a task's workspace holds as a plain git worktree
  shell        go into a task's workspace, for a shell or one command
  preview      let your browser see what a session serves
  pause        let nothing new start for a task
  resume       let a paused task go on
  stop         end a task; what it made is kept
  land         let a validated task land now
  undo         take a landed task back, through validation
  restore      bring back what a removed workspace held
  events       list or follow the journal
  task         add, list, link, claim and close tasks
  notes        read and leave notes between sessions
  radar        show which tasks get into each other's way, and which main moved under
  plan         show and edit plans
  session      list sessions and show their transcripts
  queue        show what waits to land, and the trains under validation
  agent        list the agents that are here and show what they can do
  map          show the parts of the repository, and what couples them
  rules        check, sync and show the guidance that agents read
  role         list and show what agents can be asked to be
  tmux         lay out the board and live tasks in panes of a tmux of its own
  config       explain values, allow the repository's commands
  daemon       start, stop and show the daemon
  doctor       tell what works on this machine and what does not
  init         write a heddle.toml for this repository
  demo         play five tasks on a sample repository, without an account
  completions  print shell completions

examples:
  heddle start "add rate limiting to the API"
  heddle inbox
  heddle demo

heddle COMMAND --help tells more.
""")


def test_help_of_a_command_has_its_arguments_and_examples() -> None:
    shown = heddle("start", "--help", COLUMNS="200").out
    assert shown[shown.index("Ask for") :] == snapshot("""\
Ask for something to be done.

positional arguments:
  TASK               what to do, a task id, or "-"

options:
  -h, --help         show this help message and exit
  --lane LANE        quick, standard, full or report
  --role ROLE        what the agent is asked to be
  --agent BRAND      claude, rehearsal, ...
  --model MODEL      the agent's model
  --branch BRANCH    where it is to land
  --scope GLOB       what it may write
  --check CMD        what must pass
  --best-of N        so many attempts compete; one of them lands
  --agents A,B       who plays those attempts, in turn
  --pick RULE        who chooses: person, first or smallest
  --priority 0..4    0 goes first
  --blocked-by TASK  what must land first
  --parent TASK      what it is a part of
  --found-in TASK    where it turned up
  --token TOKEN      of the claim that you hold on a known task
  --anyway           begin also if it may change what another task changes
  --wait             wait for the end
  --json             answer as JSON
  --repo PATH        work there, not in this folder

examples:
  heddle start "add rate limiting to the API"
  heddle start "fix the typo" --lane quick --scope docs/api.md --check "make docs"
  heddle start "make it faster" --best-of 3 --agents claude,codex
  heddle start T7
  heddle start - < task.md
""")
    assert heddle("help", "wait", COLUMNS="200").out == snapshot("""\
usage: heddle wait [-h] [--through] [--timeout S] [--json] [--repo PATH] [TASK ...]

Wait until tasks end or need a person.

positional arguments:
  TASK         default: all that are under way

options:
  -h, --help   show this help message and exit
  --through    wait through decisions of a person
  --timeout S  give up after so many seconds
  --json       answer as JSON
  --repo PATH  work there, not in this folder

examples:
  heddle wait
  heddle wait T7 T8
  heddle wait --through --timeout 600
""")


def test_every_command_of_the_table_has_a_module_and_every_module_is_in_the_table() -> None:
    found = (SOURCE / "frontends/cli/commands").iterdir()
    files = {path.stem for path in found if path.suffix == ".py" or (path / "__init__.py").exists()} - {"__init__"}
    assert files == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_of_a_command_parse(name: str) -> None:
    examples = load(name).EXAMPLES
    assert examples
    for example in examples:
        for command in re.findall(r"heddle [^|<>)]*", example):
            require_parses(command)


def test_every_command_takes_json_and_a_repository() -> None:
    for parser in PARSERS.values():
        options = {option for action in parser._actions for option in action.option_strings}
        assert {"--json", "--repo"} <= options


def literals(tree: ast.AST) -> Iterator[str]:
    """Every text of a module; what is filled in later reads T1."""
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "T1" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.value


def hinted() -> list[tuple[str, str]]:
    """Every command that a hint, a reason or an item of the inbox names, with the file that does."""
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        for text in literals(ast.parse(path.read_text())):
            for command in re.findall(r"(?:(?:^|: )|(?<=[`']))(heddle (?:--?)?[a-z][^;`'\n(]*)", text):
                if "heddle:" not in command and not text.startswith("heddle: many") and len(text) < 400:
                    found.append((path.relative_to(SOURCE).as_posix(), command.strip()))
    return found


def test_every_command_in_a_hint_is_one_that_the_parser_takes() -> None:
    commands = [(file, command) for file, command in hinted() if "/commands/" not in file]
    assert len(commands) > 25
    wrong = []
    for file, command in commands:
        try:
            require_parses(command)
        except UserError as error:
            wrong.append(f"{file}: {command}: {error.message}")
    assert wrong == []


def test_an_unknown_command_names_the_likely_one() -> None:
    ended = heddle("statsu")
    assert ended.status == 2
    assert ended.err == snapshot("""\
error: there is no command 'statsu'
hint: did you mean: heddle status
""")


def test_wrong_words_are_a_usage_error_in_both_renderings() -> None:
    ended = heddle("approve")
    assert (ended.status, ended.out) == (2, "")
    assert ended.err == snapshot("""\
error: the following arguments are required: TASK
hint: see: heddle approve --help
""")
    ended = heddle("approve", "--json")
    assert (ended.status, ended.err) == (2, "")
    told = json.loads(ended.out)["error"]
    assert (told["kind"], told["slug"], told["exit_status"]) == ("user", "usage", 2)


def test_completions_know_commands_verbs_options_and_tasks() -> None:
    told = words()
    assert told["plan"].verbs == ("show", "edit")
    assert told["why"].tasks
    assert not told["doctor"].tasks
    assert "--scope" in told["start"].options
    assert "--next" not in told["status"].options


def completed(line: str, tmp_path: Path) -> list[str]:
    """What bash offers after a line."""
    script = tmp_path / "complete.bash"
    script.write_text(heddle("completions", "bash").out)
    (tmp_path / "heddle").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m heddle.frontends.cli "$@"\n')
    (tmp_path / "heddle").chmod(0o755)
    parts = line.split(" ")
    told = " ".join(map(shlex.quote, parts))
    ask = f'COMP_WORDS=({told}); COMP_CWORD={len(parts) - 1}; _heddle; printf "%s\\n" "${{COMPREPLY[@]}}"'
    shell = ["bash", "--norc", "-c", f'PATH="{tmp_path}:$PATH"; . "{script}"; {ask}']
    return subprocess.run(shell, capture_output=True, text=True, check=True).stdout.split()


def test_bash_completes_commands_verbs_options_and_task_ids(daemon: StandIn, tmp_path: Path) -> None:
    compact = b'{"tasks":[{"id":"T7","title":"x"},{"id":"T12","title":"y"}]}'
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(compact)
    daemon.answers["board"] = head + compact
    assert completed("heddle st", tmp_path) == ["start", "status", "stop"]
    assert completed("heddle plan sh", tmp_path) == ["show"]
    assert completed("heddle start --sc", tmp_path) == ["--scope"]
    assert completed("heddle why T", tmp_path) == ["T7", "T12"]
    assert completed("heddle plan show T1", tmp_path) == ["T12"]
    assert completed("heddle doctor T", tmp_path) == []


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completions_for_other_shells_name_every_command_and_are_well_formed(shell: str) -> None:
    script = heddle("completions", shell).out
    for name, line in COMMANDS.items():
        assert re.search(rf"\b{name}\b", script)
        assert line.split("'")[0] in script
    assert "heddle status --json --all" in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


def test_status_as_json_imports_nothing_heavy(daemon: StandIn) -> None:
    daemon.answers["board"] = board(row())
    command = (sys.executable, "-X", "importtime", "-m", "heddle.frontends.cli", "status", "--json")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    bare = subprocess.run((*command[:3], "-c", "pass"), capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    imported -= {line.rpartition("|")[2].strip() for line in bare.stderr.splitlines()}
    heavy = {"argparse", "asyncio", "msgspec", "subprocess", "http.client", "email", "pathlib", "shutil", "logging"}
    assert imported & heavy == set()
    ours = {name for name in imported if name.startswith("heddle")}
    assert ours == {
        "heddle",
        "heddle.client",
        "heddle.core",
        "heddle.core.errors",
        "heddle.frontends",
        "heddle.frontends.cli",
        "heddle.frontends.cli.quick",
        "heddle.places",
    }


def test_what_could_steer_a_terminal_is_shown_by_its_code() -> None:
    assert clean("a\x1b[31m\x07\x7f\x9b") == r"a\x1b[31m\x07\x7f\x9b"
    assert clean("\u202e\u2066\u200b\u2028\U000e0041\udc80") == r"\u202e\u2066\u200b\u2028\U000e0041\udc80"
    assert clean("größer 数 ✓") == "größer 数 ✓"


def test_texts_are_measured_in_columns() -> None:
    assert columns("数a") == 3
    assert columns("e\u0301") == 1
    assert cut("数数数", 5) == "数数…"
    assert padded("数数数", 4) == "数… "
    assert padded("ab", 4) == "ab  "
