"""heddle pause"""

import argparse

from heddle.client import call
from heddle.frontends.cli.output import answer, clean, say

EXAMPLES = ["heddle pause T7"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("task", metavar="TASK")


def run(args: argparse.Namespace) -> int:
    """Let nothing new start."""
    told = call("task.pause", task=args.task)
    if args.json:
        return answer(told)
    say(f"{told['id']}  paused: {clean(told['title'])}")
    return 0
