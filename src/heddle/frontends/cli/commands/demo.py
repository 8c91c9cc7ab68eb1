"""heddle demo"""

import argparse

EXAMPLES = ["heddle demo", "heddle demo --json", "heddle demo --keep"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("--keep", action="store_true", help="leave the daemon of the demo running")
    parser.add_argument("--yes", action="store_true", help="decide at the gates without asking")


def run(args: argparse.Namespace) -> int:
    """Play it."""
    from heddle.frontends.demo import run as play

    return play(as_json=args.json, keep=args.keep, yes=args.yes)
