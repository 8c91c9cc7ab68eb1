"""heddle plan"""

import argparse
import os
import subprocess
import sys
import tempfile

from heddle.client import call
from heddle.core.errors import UserError
from heddle.frontends.cli.output import answer, clean, clean_block, narrate, say

EXAMPLES = ["heddle plan show T7", "heddle plan edit T7", "heddle plan edit T7 --file plan.md"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("verb", choices=("show", "edit"))
    parser.add_argument("task", metavar="TASK")
    parser.add_argument("--file", metavar="PATH", help="the changed plan; default: your editor")


def run(args: argparse.Namespace) -> int:
    """Show the plan, or replace it at its gate."""
    told = call("plan.show", task=args.task)
    if args.verb == "edit":
        document = _edited(told["document"], args.file)
        told = call("plan.edit", task=args.task, document=document)
        if args.json:
            return answer(told)
        say(f"{told['id']}  plan replaced; earlier approvals are void")
        return 0
    if args.json:
        return answer(told)
    say(clean_block(told["document"]))
    narrate(f"digest {told['digest']}  base {told['base'][:12]}")
    narrate(f"approved by {told['approved_by']}" if told["approved_by"] else "not approved")
    for check in told["fresh_checks"]:
        narrate(f"nobody approved this command before: {clean(check)}")
    return 0


def _edited(document: str, file: str | None) -> str:
    if file:
        with open(file, encoding="utf-8") as source:
            return source.read()
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not sys.stdin.isatty() or not editor:
        raise UserError("there is no terminal or no $EDITOR", slug="no-editor", hint="hand the plan in with --file PATH")
    with tempfile.NamedTemporaryFile("w+", suffix=".md", encoding="utf-8") as scratch:
        scratch.write(document)
        scratch.flush()
        subprocess.run([*editor.split(), scratch.name], check=True)
        with open(scratch.name, encoding="utf-8") as changed:
            return changed.read()
