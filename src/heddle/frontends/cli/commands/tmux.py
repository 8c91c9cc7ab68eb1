"""heddle tmux"""

import argparse
import sys

from heddle.client import call
from heddle.frontends.cli.output import answer, say
from heddle.frontends.tmux import Tmux

EXAMPLES = ["heddle tmux", "heddle tmux --control", "heddle tmux --detached"]
UNDER_WAY = ("running", "validating", "queued", "waiting", "blocked", "ready")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("--control", action="store_true", help="in control mode: iTerm2 makes native panes of it")
    parser.add_argument("--detached", action="store_true", help="only lay it out")


def run(args: argparse.Namespace) -> int:
    """The board and every task that is under way, a pane each, on a tmux server of Heddle's own."""
    tmux = Tmux()
    shown = tmux.lay_out(row["id"] for row in call("board")["tasks"] if row["status"] in UNDER_WAY)
    if args.json:
        return answer({"schema": "heddle.tmux/1", "socket": tmux.socket, "panes": shown})
    if args.detached or not sys.stdout.isatty():
        say(f"{len(shown)} tasks laid out beside the board; look with: tmux -S {tmux.socket} attach")
        return 0
    tmux.attach(control=args.control)
