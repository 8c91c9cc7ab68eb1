"""heddle task export: write all tasks out, or keep a file in step with them."""

import argparse
import os

from heddle.client import call
from heddle.frontends.cli.output import answer, clean, here, narrate, say

EXAMPLES = ["export", "export tasks.jsonl", "export ROADMAP.md", "export ROADMAP.md --keep"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the verb."""
    told = "default: standard output; in a .md file only a block of Heddle's own is written"
    parser.add_argument("where", nargs="?", default="", metavar="FILE", help=told)
    keeping = parser.add_mutually_exclusive_group()
    keeping.add_argument("--keep", action="store_true", help="keep that block of FILE in step with the tasks")
    keeping.add_argument("--keep-no-more", action="store_true", help="leave FILE as it is from here on")
    parser.add_argument("--format", choices=("jsonl", "roadmap"), default="", help="default: told by the name")


def run(args: argparse.Namespace) -> int:
    """Write them."""
    if args.keep or args.keep_no_more:
        return _keep(args)
    format = args.format or ("roadmap" if args.where.endswith(".md") else "jsonl")
    where = os.path.abspath(args.where) if args.where else ""
    told = call("task.export", root=here(), where=where, format=format)
    if args.json:
        return answer(told)
    if not where:
        say(*told["text"].splitlines())
    else:
        narrate(f"{told['tasks']} tasks in {args.where}" + ("" if told["changed"] else ", unchanged"))
    return 0


def _keep(args: argparse.Namespace) -> int:
    where = os.path.abspath(args.where or "ROADMAP.md")
    told = call("task.keep", root=here(), where=where, end=args.keep_no_more)
    if args.json:
        return answer(told)
    narrate(f"{clean(told['path'])} is kept in step with the tasks" + ("" if told["kept"] else " no more"))
    return 0
