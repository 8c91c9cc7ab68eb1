"""heddle attach"""

import argparse
import os
import sys

from heddle.client import become, call
from heddle.core.errors import UserError
from heddle.frontends.cli.output import clean, narrate
from heddle.frontends.tmux import Tmux

EXAMPLES = ["heddle attach T7", "heddle attach T7 --tmux"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("task", metavar="TASK")
    parser.add_argument(
        "--tmux", action="store_true", help="in a window of Heddle's own tmux, so that it outlives this terminal"
    )


def run(args: argparse.Namespace) -> int:
    """Become the agent's screen until it is left."""
    if args.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        hint = f"from a script, run a command beside it: heddle shell {args.task} -- COMMAND"
        raise UserError("an agent's screen needs a terminal", slug="no-terminal", hint=hint)
    if args.tmux:
        tmux = Tmux()
        tmux.open_window(f"attach-{args.task.upper()}", "attach", args.task)
        tmux.attach(control=False)
    told = call("session.attach", task=args.task, term=os.environ.get("TERM", ""))
    narrate(f"{clean(told['agent'])} in {told['session']} is yours; leave its screen to hand it back")
    become(told["argv"])
