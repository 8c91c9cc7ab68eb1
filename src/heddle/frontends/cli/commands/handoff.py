"""heddle handoff"""

import argparse

from heddle.client import call
from heddle.frontends.cli.output import answer, clean_block, say

EXAMPLES = ["heddle handoff T7"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("task", metavar="TASK")


def run(args: argparse.Namespace) -> int:
    """Print it."""
    told = call("task.handoff", task=args.task)
    if args.json:
        return answer(told)
    say(clean_block(told["text"]))
    return 0
