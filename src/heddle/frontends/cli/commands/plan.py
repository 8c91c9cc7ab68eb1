"""heddle plan"""

import argparse
import os
import sys
from pathlib import Path
from shlex import quote
from tempfile import mkstemp
from typing import Any

from heddle.client import call, run_editor
from heddle.core.errors import HeddleError, UserError
from heddle.frontends.cli.output import answer, clean, clean_block, narrate, say

EXAMPLES = ["heddle plan show T7", "heddle plan edit T7", "heddle plan edit T7 --file plan.md"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("verb", choices=("show", "edit"))
    parser.add_argument("task", metavar="TASK")
    parser.add_argument("--file", metavar="PATH", help='the changed plan ("-": stdin); default: your editor')


def run(args: argparse.Namespace) -> int:
    """Show the plan, or replace it at its gate."""
    if args.verb == "edit":
        told = _replaced(args.task, args.file) if args.file else _edited(args.task)
        if args.json:
            return answer(told)
        say(f"{told['id']}  plan replaced; earlier approvals are void")
        return 0
    told = call("plan.show", task=args.task)
    if args.json:
        return answer(told)
    say(clean_block(told["document"]))
    narrate(f"digest {told['digest']}  base {told['base'][:12]}")
    narrate(f"approved by {clean(told['approved_by'])}" if told["approved_by"] else "not approved")
    for check in told["fresh_checks"]:
        narrate(f"nobody approved this command before: {clean(check)}")
    return 0


def _replaced(task: str, file: str) -> dict[str, Any]:
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return call("plan.edit", task=task, document=data.decode())
    except OSError as error:
        raise UserError(f"'{file}': {error.strerror}", slug="unreadable-file", hint="name another file") from error
    except UnicodeDecodeError as error:
        raise UserError(f"'{file}' is not UTF-8 ({error})", slug="not-utf8", hint="hand it in as UTF-8") from error


def _edited(task: str) -> dict[str, Any]:
    """What the person's editor makes of the plan. The text outlives every failure to hand it in."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not sys.stdin.isatty() or not editor:
        hint = f"hand the plan in with: heddle plan edit {task} --file PATH"
        raise UserError("there is no terminal or no $EDITOR", slug="no-editor", hint=hint)
    document = str(call("plan.show", task=task)["document"])
    handle, name = mkstemp(prefix=f"heddle-plan-{task}-".replace("/", "_"), suffix=".md")
    with open(handle, "w", encoding="utf-8") as scratch:
        scratch.write(document)
    run_editor(editor, name)
    try:
        told = _replaced(task, name)
    except HeddleError as error:
        error.hint = f"mend it and hand it in again: heddle plan edit {task} --file {quote(name)}"
        raise
    os.unlink(name)
    return told
