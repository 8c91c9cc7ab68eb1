"""heddle land"""

import argparse

from heddle.client import call
from heddle.frontends.cli.output import answer, clean, say

EXAMPLES = ["heddle land T7"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("task", metavar="TASK")


def run(args: argparse.Namespace) -> int:
    """Let it land."""
    told = call("task.land", task=args.task)
    if args.json:
        return answer(told)
    say(f"{told['id']}  may land: {clean(told['title'])}")
    return 0
