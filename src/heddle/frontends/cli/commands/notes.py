"""heddle notes"""

import argparse
from typing import Any

from heddle.client import call
from heddle.core.errors import UserError
from heddle.frontends.cli.output import answer, clean, clean_block, here, say

EXAMPLES = [
    "heddle notes",
    "heddle notes --find mean --path src/stats.py",
    'heddle notes add "the parser is frozen until Friday" --kind warning --path "src/parser/**"',
    'heddle notes add "mean takes no empty list" --kind interface-change --symbol stats.mean',
]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("verb", nargs="?", choices=("list", "add"), default="list")
    parser.add_argument("text", nargs="?", default="", metavar="TEXT", help="with add: the fact, in a line or two")
    kinds = "decision, discovery, interface-change, warning or question"
    parser.add_argument("--kind", default="decision", help=kinds)
    parser.add_argument("--path", action="append", default=[], metavar="GLOB", help="what it is about; default: all")
    names = "a symbol it is about, as module.function or Class.method"
    parser.add_argument("--symbol", action="append", default=[], metavar="NAME", help=names)
    parser.add_argument("--find", default="", metavar="WORDS", help="with list: those that have all of them")


def run(args: argparse.Namespace) -> int:
    """List them, or leave one."""
    if args.verb == "add":
        told = call("note.add", root=here(), text=args.text, kind=args.kind, paths=args.path, symbols=args.symbol)
        return answer(told) if args.json else _said(f"{told['id']} is left for the sessions that it concerns")
    if args.text:
        hint = f"search with: heddle notes --find '{clean(args.text)}'"
        raise UserError("a text belongs to 'notes add'", slug="usage", hint=hint)
    told = call("note.list", root=here(), words=args.find, paths=args.path, symbols=args.symbol)
    if args.json:
        return answer(told)
    for note in told["notes"]:
        about = ", about " + ", ".join(map(clean, (*note["symbols"], *note["paths"])))
        about = about if note["symbols"] or note["paths"] else ""
        given = ", given to " + ", ".join(_reader(note, one) for one in note["given"]) if note["given"] else ""
        say(f"{note['id']}  {note['kind']} from {clean(note['task'] or 'a person')}{about}{given}")
        say(*(f"    {line}" for line in clean_block(note["text"]).splitlines()))
    return 0 if told["notes"] else _said("no notes")


def _reader(note: dict[str, Any], session: str) -> str:
    return clean(session) if session in note["heard"] else f"{clean(session)} (nothing tells yet that it had it)"


def _said(line: str) -> int:
    say(line)
    return 0
