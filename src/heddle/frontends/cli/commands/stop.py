"""heddle stop"""

import argparse

from heddle.client import call
from heddle.frontends.cli.output import answer, narrate, say

EXAMPLES = ["heddle stop T7", 'heddle stop T7 --why "no longer needed"']


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("task", metavar="TASK")
    parser.add_argument("--why", default="", help="a word for the timeline")


def run(args: argparse.Namespace) -> int:
    """End it, keeping what it made."""
    told = call("task.stop", task=args.task, why=args.why)
    if args.json:
        return answer(told)
    say(f"{told['id']}  stopping")
    narrate(f"what it made is kept; bring it back with: heddle restore {told['id']}")
    return 0
