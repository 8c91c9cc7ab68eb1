"""heddle task mirror: tell the issues that tasks came from what becomes of them."""

import argparse

from heddle.client import call
from heddle.frontends.cli.output import answer, here, narrate

EXAMPLES = ["mirror", "mirror --no-more"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the verb."""
    told = "tell them nothing from here on"
    parser.add_argument("--no-more", action="store_true", help=told)


def run(args: argparse.Namespace) -> int:
    """Have it told from here on, or no more."""
    told = call("task.mirror", root=here(), end=args.no_more)
    if args.json:
        return answer(told)
    what = f"{told['tasks']} issues are told from here on who works on them, and that they are done"
    narrate(what if told["on"] else "issues are told nothing any more")
    return 0
