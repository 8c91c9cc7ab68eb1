"""heddle diff"""

import argparse
import sys

from heddle.client import call
from heddle.frontends.cli.output import answer, clean, clean_block, narrate, say

EXAMPLES = ["heddle diff T7", "heddle diff T7 | less"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("task", metavar="TASK")


def run(args: argparse.Namespace) -> int:
    """The change against its base."""
    told = call("task.diff", task=args.task)
    if args.json:
        return answer(told)
    if told["diff"]:
        if sys.stdout.isatty():
            say(clean_block(told["diff"]))
        else:
            sys.stdout.write(told["diff"])  # byte for byte, so that `git apply` takes it
    for path in [] if told["diff"] else told["paths"]:
        say(clean(path))
    if told.get("review"):
        narrate("", clean(told["review"]["line"]), clean_block(told["review"]["text"]))
    if told["of"] != "result":
        narrate(f"this is what lies in the {told['of']}; there is no result yet")
    return 0
