"""heddle task list: list tasks, the most urgent first."""

import argparse

from heddle.client import call
from heddle.frontends.cli.output import answer, here, say, tracker

EXAMPLES = ["list", "list --ready --json"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the verb."""
    which = parser.add_mutually_exclusive_group()
    for name, line in (
        ("ready", "those that could start now"),
        ("blocked", "those that wait for another"),
        ("all", "also what is over"),
    ):
        which.add_argument(f"--{name}", dest="which", action="store_const", const=name, default="open", help=line)


def run(args: argparse.Namespace) -> int:
    """List them."""
    told = call("task.list", which=args.which, root=here() if args.repo else "")
    if args.json:
        return answer(told)
    say(*tracker(told["tasks"]))
    return 0
