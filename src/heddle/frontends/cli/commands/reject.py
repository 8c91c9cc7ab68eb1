"""heddle reject"""

import argparse

from heddle.client import call
from heddle.frontends.cli.output import answer, say

EXAMPLES = ['heddle reject T7 --reason "the scope is too wide"']


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("task", metavar="TASK")
    parser.add_argument("--reason", required=True, help="what is wrong with it")


def run(args: argparse.Namespace) -> int:
    """Send it back."""
    told = call("inbox.reject", task=args.task, reason=args.reason)
    if args.json:
        return answer(told)
    say(f"{told['id']}  sent back")
    return 0
