"""heddle task release: end a claim."""

import argparse

from heddle.client import call
from heddle.frontends.cli.output import answer, clean, say

EXAMPLES = ["release T7 --token 1", "release T7"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the verb."""
    parser.add_argument("task", metavar="TASK")
    parser.add_argument("--token", type=int, default=0, help="of your claim; without one, whosever it is")
    parser.add_argument("--why", default="", help="is kept with the task")


def run(args: argparse.Namespace) -> int:
    """End it."""
    told = call("task.release", task=args.task, token=args.token, why=args.why)
    if args.json:
        return answer(told)
    say(f"{told['id']}  {told['status']}: {clean(told['why'])}")
    return 0
