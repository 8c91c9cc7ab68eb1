"""heddle task dep: say what must land first, or what a task belongs to."""

import argparse

from heddle.client import call
from heddle.frontends.cli import links
from heddle.frontends.cli.output import answer, clean, say

EXAMPLES = ["dep T7 --blocked-by T3", "dep T7 --remove T3"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the verb."""
    parser.add_argument("task", metavar="TASK")
    links.add_options(parser)
    parser.add_argument("--remove", action="append", default=[], metavar="TASK", help="no link to that one any more")
    parser.add_argument("--token", type=int, default=0, help="of your claim, if you hold one")


def run(args: argparse.Namespace) -> int:
    """Change its links; without any, tell them."""
    told = call("task.dep", task=args.task, add=links.asked(args), remove=args.remove, token=args.token)
    if args.json:
        return answer(told)
    say(f"{told['id']}  {clean(told['title'])}", f"    {links.told(told['links']) or 'hangs together with no other'}")
    return 0
