"""heddle undo"""

import argparse

from heddle.client import call
from heddle.frontends.cli.output import answer, clean, say

EXAMPLES = ["heddle undo T7"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("task", metavar="TASK")


def run(args: argparse.Namespace) -> int:
    """Take it back."""
    told = call("task.undo", task=args.task)
    if args.json:
        return answer(told)
    say(f"{told['id']}  takes it back: {clean(told['title'])}")
    return 0
