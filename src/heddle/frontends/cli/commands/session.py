"""heddle session"""

import argparse

from heddle.client import call
from heddle.frontends.cli.output import answer, clean, clean_block, say, when

EXAMPLES = ["heddle session list T7", "heddle session tail T7-1-execute-1.1"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("verb", choices=("list", "tail"))
    parser.add_argument("what", metavar="TASK|SESSION")
    parser.add_argument("--bytes", type=int, default=20_000, metavar="N", help="how much of the end")


def run(args: argparse.Namespace) -> int:
    """Sessions of a task, or the end of one transcript (or of a check's output)."""
    if args.verb == "list":
        told = call("session.list", task=args.what)
        if args.json:
            return answer(told)
        for entry in told["sessions"]:
            ended = when(entry["ended"]) if entry["ended"] else "lives"
            tools = f"{entry['tools']} tool calls"
            tools += f", rot {entry['rot']['score']}" if entry.get("rot") else ""
            say(f"{entry['session']:<28} {clean(entry['agent']):<10} {when(entry['began'])} - {ended:<8}  {tools}")
        return 0
    told = call("session.tail", session=args.what, bytes=args.bytes)
    if args.json:
        return answer(told)
    say(clean_block(told["text"]))
    return 0
