"""heddle task export: write all tasks out, or keep a file in step with them."""

import argparse
import os

from heddle.client import call
from heddle.frontends.cli.output import answer, here, narrate, say

EXAMPLES = ["export", "export tasks.jsonl", "export ROADMAP.md"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the verb."""
    told = "default: standard output; in a .md file only a block of Heddle's own is written"
    parser.add_argument("where", nargs="?", default="", metavar="FILE", help=told)
    parser.add_argument("--format", choices=("jsonl", "roadmap"), default="", help="default: told by the name")


def run(args: argparse.Namespace) -> int:
    """Write them."""
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
