"""heddle task import: bring in a list of tasks that lives elsewhere, as often as you like."""

import argparse
import os

from heddle.client import call
from heddle.frontends.cli.output import answer, clean, here, narrate, say

EXAMPLES = ["import acme/loom", "import ROADMAP.md", "import .beads --dry-run", "import specs --format speckit"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the verb."""
    parser.add_argument(
        "where", nargs="?", default="", metavar="PATH|OWNER/NAME", help="a file, a folder, or a repository of GitHub"
    )
    formats = "github, markdown, beads, speckit, openspec or jsonl; default: told by name and content"
    parser.add_argument("--format", default="", help=formats)
    parser.add_argument("--dry-run", action="store_true", help="only tell what would be done")


def run(args: argparse.Namespace) -> int:
    """Bring it in and tell what came of it."""
    where = os.path.abspath(args.where) if args.where and os.path.exists(args.where) else args.where
    told = call("task.import", root=here(), where=where, format=args.format, dry=args.dry_run)
    if args.json:
        return answer(told)
    say(*(f"{one['id']}  {clean(one['title'])}" for one in told["added"]))
    counts = [f"{len(told[name])} {name}" for name in ("added", "changed", "closed")]
    narrate(f"{', '.join(counts)}, {told['unchanged']} unchanged" + (" (nothing written)" if args.dry_run else ""))
    for id, why in told["left"]:
        narrate(f"{id} changed in the list and stays as it is: {why}")
    if told["passed_over"]:
        narrate(f"{told['passed_over']} were closed there already")
    if told["dangling"]:
        narrate(f"{told['dangling']} links lead to what is not in the list")
    return 0
