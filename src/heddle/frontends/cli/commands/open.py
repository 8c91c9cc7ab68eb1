"""heddle open"""

import argparse
import os

from heddle.client import call
from heddle.frontends.cli.output import answer, clean, narrate, say

EXAMPLES = ["heddle open T7", "heddle open T7 ../t7-look", 'code "$(heddle open T7)"']


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("task", metavar="TASK")
    parser.add_argument("path", nargs="?", default="", metavar="PATH", help="where; default: beside the repository")
    parser.add_argument("--stage", default="", metavar="STAGE", help="of which stage; default: the current one")
    parser.add_argument("--workspace", default="", metavar="NAME", help="which, by its name")


def run(args: argparse.Namespace) -> int:
    """Make a plain worktree of it."""
    path = os.path.abspath(args.path) if args.path else ""
    told = call("workspace.open", task=args.task, path=path, stage=args.stage, workspace=args.workspace)
    if args.json:
        return answer(told)
    say(clean(told["path"]))
    narrate(f"from {told['workspace']} as it is now; what you change here stays here")
    narrate(*(f"careful: {clean(one['path'])}: {clean(one['why'])}" for one in told["cautions"]))
    return 0
