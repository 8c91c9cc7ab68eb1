"""heddle inbox"""

import argparse

from heddle.client import call
from heddle.frontends.cli.output import answer, item, say

EXAMPLES = ["heddle inbox", "heddle inbox --json"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""


def run(args: argparse.Namespace) -> int:
    """Every item with the commands that settle it."""
    told = call("inbox")
    if args.json:
        return answer(told)
    if not told["items"]:
        say("nothing needs you")
    for entry in told["items"]:
        say(*item(entry))
    return 0
