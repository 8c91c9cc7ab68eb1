"""heddle status"""

import argparse
import sys
from typing import Any

from heddle.client import call, follow
from heddle.core.errors import UserError
from heddle.frontends.cli.output import answer, badge, board, clean, here, narrate, say

EXAMPLES = ["heddle status", "heddle status --all", "heddle status --follow", "heddle status --json"]

LOOKS = 20
"""How often a board is drawn while it is not up to date; the daemon waits a moment before each."""

CLEARED = "\x1b[H\x1b[2J"
"""A terminal's empty screen, written from its upper left corner."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("--all", action="store_true", help="finished ones too")
    parser.add_argument("--follow", action="store_true", help="show it anew whenever something happened")
    parser.add_argument("--next", action="store_true", help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """The board, once or until interrupted."""
    if args.follow:
        return _follow(args)
    told = _board(args)
    if args.json:
        return answer(told)
    _show(told)
    if args.next:
        narrate('next: heddle start "..." · heddle inbox · heddle watch')
    return 0


def _follow(args: argparse.Namespace) -> int:
    """What happened while the board was drawn is on it already: so a burst of events costs a few boards, not one each."""
    if args.json or not sys.stdout.isatty():
        raise UserError(
            "a board that follows needs a terminal",
            slug="no-terminal",
            hint="follow facts with: heddle events --follow",
        )
    drawn = call("daemon")["position"]
    _redraw(args)
    for event in follow(drawn):
        if event["position"] > drawn:
            drawn = call("daemon")["position"]
            _redraw(args)
    return 0


def _redraw(args: argparse.Namespace) -> None:
    """What the engine has not looked at yet is shown as that, and again once it has: that is no fact of its own."""
    for _ in range(LOOKS):
        told = _board(args)
        sys.stdout.write(CLEARED)
        _show(told)
        sys.stdout.flush()
        if not told.get("stale"):
            return


def _board(args: argparse.Namespace) -> dict[str, Any]:
    return call("board", all=args.all, root=here() if args.repo else "")


def _show(told: dict[str, Any]) -> None:
    say(*board(told["tasks"]))
    sys.stdout.flush()
    for kept in told["set_aside"]:
        narrate(f"unreadable: {clean(kept['what'])}: {clean(kept['why'])}")
    if told["trouble"]:
        narrate(f"trouble: {clean(told['trouble'])}")
    if said := badge(told):
        narrate(said)
    if told["inbox"]:
        narrate(f"{told['inbox']} to settle: heddle inbox")
