"""Parse, run, and render errors. Data on stdout, narration on stderr."""

import argparse
import difflib
import importlib
import json
import os
import sys
import traceback
from collections.abc import Sequence
from io import TextIOWrapper
from types import ModuleType
from typing import Any, NoReturn

from heddle import __version__
from heddle.core.errors import Bug, HeddleError, UserError
from heddle.frontends.cli.output import clean, clean_block, here
from heddle.frontends.cli.table import COMMANDS


class Parser(argparse.ArgumentParser):
    """argparse that raises instead of leaving, so that every error is rendered in one place."""

    def error(self, message: str) -> NoReturn:
        """See argparse."""
        raise UserError(message, slug="usage", hint=f"see: {self.prog} --help")

    def parse_args(self, args: Sequence[str], namespace: None = None) -> argparse.Namespace:  # type: ignore[override]
        """See argparse; but what follows `--` is, word for word, the `command` of a command that runs one."""
        words, command = _apart(args)
        if all(action.dest != "command" for action in self._actions):
            return super().parse_args(args)
        parsed = super().parse_args(words)
        parsed.command = [*parsed.command, *command]
        return parsed


def run(args: list[str]) -> int:
    """One command from its words; returns the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a poor terminal is no reason to fail
    try:
        status = _run(args)
        sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as error:
        return failed(error, as_json="--json" in _apart(args)[0])
    return status


def failed(error: BaseException, *, as_json: bool) -> int:
    """Whatever ended a command, as the person is to see it; returns the exit status."""
    match error:
        case HeddleError():
            return show_error(error, as_json)
        case KeyboardInterrupt():
            return 130
        case BrokenPipeError():  # who read our answer has enough; the client never lets one of the daemon's through
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        case _:
            if os.environ.get("HEDDLE_DEBUG"):
                traceback.print_exception(error)
            what = f"{type(error).__name__}: {error}"
            return show_error(Bug(what, hint="HEDDLE_DEBUG=1 in the environment shows where"), as_json)


def _run(args: list[str]) -> int:
    args = _command_first(args)
    if not args:
        args = ["status", "--next"]
    if args[0] in ("-h", "--help", "help"):
        return _help(args[1:])
    if args[0] == "--version":
        sys.stdout.write(f"heddle {__version__}\n")
        return 0
    name = args[0]
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean: heddle {close[0]}" if close else "see: heddle --help"
        raise UserError(f"there is no command '{name}'", slug="unknown-command", hint=hint)
    parsed = parser(name).parse_args(args[1:])
    if parsed.repo:
        _enter(parsed.repo)
    status: int = load(name).run(parsed)
    return status


def _apart(args: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words before `--`, and those after it."""
    words = list(args)
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at + 1 :]


def _command_first(args: list[str]) -> list[str]:
    """The words with what may stand before the command moved behind it."""
    words, before = list(args), []
    while words and words[0].partition("=")[0] in ("--json", "--repo"):
        before.append(words.pop(0))
        if before[-1] == "--repo" and words:
            before.append(words.pop(0))
    if before and not words:
        words = ["status", "--next"]
    return [*words[:1], *before, *words[1:]]


def _enter(folder: str) -> None:
    try:
        os.chdir(folder)
    except OSError as error:
        raise UserError(
            f"'{folder}': {error.strerror}", slug="no-such-directory", hint="name one with --repo"
        ) from error
    here()


def load(name: str) -> ModuleType:
    """The module of a command."""
    return importlib.import_module(f"heddle.frontends.cli.commands.{name}")


def parser(name: str) -> Parser:
    """The parser of one command."""
    module = load(name)
    examples = "\n".join(f"  {example}" for example in module.EXAMPLES)
    made = Parser(
        prog=f"heddle {name}",
        description=f"{COMMANDS[name].capitalize()}.",
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.arguments(made)
    _add_shared(made)
    return made


def _add_shared(made: argparse.ArgumentParser, **default: Any) -> None:
    """The options of every command, before its verb and after it."""
    for action in made._actions:
        if isinstance(action, argparse._SubParsersAction):
            for verb in action.choices.values():
                _add_shared(verb, default=argparse.SUPPRESS)
    made.add_argument("--json", action="store_true", help="answer as JSON", **default)
    made.add_argument("--repo", metavar="PATH", help="work there, not in this folder", **default)


def build_parser() -> dict[str, Parser]:
    """The parser of every command, by name."""
    return {name: parser(name) for name in COMMANDS}


def _help(args: list[str]) -> int:
    if args and args[0] in COMMANDS:
        parser(args[0]).print_help()
        return 0
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {line}" for name, line in COMMANDS.items()]
    sys.stdout.write(
        "heddle: many coding agents on one repository, kept apart and woven into one cloth\n\n"
        "usage: heddle COMMAND [ARGUMENTS] [--json] [--repo PATH]\n\ncommands:\n"
        + "\n".join(lines)
        + '\n\nexamples:\n  heddle start "add rate limiting to the API"\n  heddle inbox\n  heddle demo\n'
        "\nheddle COMMAND --help tells more.\n"
    )
    return 0


def show_error(error: HeddleError, as_json: bool) -> int:
    """Render an error; returns its exit status."""
    if as_json:
        sys.stdout.write(json.dumps({"error": error.as_dict()}, default=str) + "\n")
        return error.exit_status
    sys.stderr.write(f"error: {clean(error.message)}\n")
    for line in clean_block(str(error.facts.get("tail", ""))).splitlines()[-10:]:
        sys.stderr.write(f"  | {line}\n")
    if error.hint:
        sys.stderr.write(f"hint: {clean(error.hint)}\n")
    if isinstance(error, Bug):
        sys.stderr.write("this is a fault of heddle's own\n")
    return error.exit_status
