"""heddle undo"""

import argparse

from heddle.client import call
from heddle.frontends.cli.output import answer, clean, say

EXAMPLES = ["heddle undo T7", 'heddle undo T7 --check "make test"']


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("task", metavar="TASK")
    parser.add_argument("--check", action="append", default=[], metavar="CMD", help="what must pass without it")


def run(args: argparse.Namespace) -> int:
    """Take it back."""
    told = call("task.undo", task=args.task, checks=args.check)
    if args.json:
        return answer(told)
    say(f"{told['id']}  takes it back: {clean(told['title'])}")
    return 0
