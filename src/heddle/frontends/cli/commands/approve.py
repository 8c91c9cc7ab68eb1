"""heddle approve"""

import argparse

from heddle.client import call
from heddle.frontends.cli.output import answer, clean, say

EXAMPLES = [
    "heddle approve T7",
    "heddle approve T7 --digest 03ddd03ccedc176b",
    'heddle approve T7 --note "try again"',
]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("task", metavar="TASK")
    parser.add_argument("--digest", default="", help="only what was read under it")
    parser.add_argument("--note", default="", help="a word for the next attempt")


def run(args: argparse.Namespace) -> int:
    """Approve what waits."""
    told = call("inbox.approve", task=args.task, digest=args.digest, note=args.note)
    if args.json:
        return answer(told)
    for command in told.get("approved", []):
        say(f"allowed: {clean(command)}")
    say(f"{told['id']}  approved")
    return 0
