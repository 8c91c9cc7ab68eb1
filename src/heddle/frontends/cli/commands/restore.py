"""heddle restore"""

import argparse
import os

from heddle.client import call
from heddle.frontends.cli.output import answer, clean, narrate, say

EXAMPLES = ["heddle restore T7", "heddle restore T7 --to ../t7-again"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("task", metavar="TASK")
    parser.add_argument("--to", metavar="PATH", help="where; default: beside the repository")
    parser.add_argument("--ref", default="", help="which recovery ref; default: the last")


def run(args: argparse.Namespace) -> int:
    """Make a plain worktree of it."""
    task = args.task.upper()
    path = os.path.abspath(args.to or _beside(task))
    told = call("task.restore", task=task, path=path, ref=args.ref)
    if args.json:
        return answer(told)
    say(clean(told["path"]))
    narrate(f"from {told['ref']}")
    others = [ref for ref in told["refs"] if ref != told["ref"]]
    if others:
        narrate(f"there are more, for --ref: {', '.join(others)}")
    return 0


def _beside(task: str) -> str:
    root = call("task.show", task=task)["root"]
    return f"{root.rstrip('/')}-{task}-restored"
