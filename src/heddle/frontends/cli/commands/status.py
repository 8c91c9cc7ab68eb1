"""heddle status"""

import argparse

from heddle.client import call
from heddle.frontends.cli.output import answer, badge, board, clean, here, narrate, say

EXAMPLES = ["heddle status", "heddle status --all", "heddle status --json"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("--all", action="store_true", help="finished ones too")
    parser.add_argument("--next", action="store_true", help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """The board."""
    told = call("board", all=args.all, root=here() if args.repo else "")
    if args.json:
        return answer(told)
    say(*board(told["tasks"]))
    for kept in told["set_aside"]:
        narrate(f"unreadable: {clean(kept['what'])}: {clean(kept['why'])}")
    if told["trouble"]:
        narrate(f"trouble: {clean(told['trouble'])}")
    if said := badge(told):
        narrate(said)
    if told["inbox"]:
        narrate(f"{told['inbox']} to settle: heddle inbox")
    if args.next:
        narrate('next: heddle start "..." · heddle inbox · heddle watch')
    return 0
