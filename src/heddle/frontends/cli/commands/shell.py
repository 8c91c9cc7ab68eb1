"""heddle shell"""

import argparse
import os
import sys
from typing import Any

from heddle.client import become, call, run_captured
from heddle.core.errors import UserError
from heddle.frontends.cli.output import answer, narrate

EXAMPLES = ["heddle shell T7", "heddle shell T7 -- make test", "heddle shell T7 -- git diff > t7.patch"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("task", metavar="TASK")
    parser.add_argument("command", nargs="*", default=[], metavar="COMMAND", help="after --; default: a shell")
    parser.add_argument("--stage", default="", metavar="STAGE", help="of which stage; default: the current one")
    parser.add_argument("--workspace", default="", metavar="NAME", help="which, by its name")


def run(args: argparse.Namespace) -> int:
    """Go in; the exit status is that of the shell or the command."""
    typing = sys.stdin is not None and sys.stdin.isatty()
    seen = sys.stdout is not None and sys.stdout.isatty()
    if args.json and typing and not args.command:
        hint = f"name a command: heddle shell {args.task} --json -- COMMAND"
        raise UserError("an interactive shell has no answer as JSON", slug="no-command", hint=hint)
    terminal = typing and not args.json and (seen or not args.command)
    told = call(
        "workspace.enter",
        task=args.task,
        stage=args.stage,
        workspace=args.workspace,
        command=args.command,
        shell=os.environ.get("SHELL", ""),
        term=os.environ.get("TERM", ""),
        terminal=terminal,
    )
    if args.json:
        return _as_json(told)
    if terminal and not args.command:
        fate = "becomes part of the result" if told["kept"] else "is thrown away"
        narrate(f"in {told['workspace']}; what you change here {fate}; leave with: exit")
    become(told["argv"])


def _as_json(told: dict[str, Any]) -> int:
    status, out, err = run_captured(told.pop("argv"))
    texts = {"out": out.decode(errors="replace"), "err": err.decode(errors="replace")}
    answer({**told, "schema": "heddle.shell/1", "status": status, **texts})
    return status
