"""heddle answer"""

import argparse

from heddle.client import call
from heddle.frontends.cli.output import answer, say

EXAMPLES = ['heddle answer T7 "per user"', "heddle answer T7 --default"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("task", metavar="TASK")
    parser.add_argument("text", nargs="?", default="", metavar="ANSWER")
    parser.add_argument("--default", action="store_true", help="take the recommended answer")
    parser.add_argument("--question", default="", metavar="ID", help="which, when there are several")


def run(args: argparse.Namespace) -> int:
    """Answer it."""
    text = "" if args.default else args.text
    told = call("inbox.answer", task=args.task, text=text, question=args.question)
    if args.json:
        return answer(told)
    say(f"{told['id']}  answered")
    return 0
