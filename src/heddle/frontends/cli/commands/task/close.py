"""heddle task close: settle a task without a run."""

import argparse

from heddle.client import call
from heddle.frontends.cli.output import answer, clean, say

EXAMPLES = ['close T7 --why "done by hand"']


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the verb."""
    parser.add_argument("task", metavar="TASK")
    parser.add_argument("--why", default="", help="is kept with the task")
    parser.add_argument("--token", type=int, default=0, help="of your claim, if you hold one")


def run(args: argparse.Namespace) -> int:
    """Close it."""
    told = call("task.close", task=args.task, why=args.why, token=args.token)
    if args.json:
        return answer(told)
    say(f"{told['id']}  {told['status']}: {clean(told['why'])}")
    return 0
