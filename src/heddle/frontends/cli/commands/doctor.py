"""heddle doctor"""

import argparse

from heddle.client import call
from heddle.frontends.cli.output import answer, clean, say

EXAMPLES = ["heddle doctor"]
MARKS = {True: "ok ", False: "-- ", None: "   "}


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""


def run(args: argparse.Namespace) -> int:
    """Findings, a line each; status 1 when one is not good. What nobody asked for may be missing."""
    told = call("doctor")
    if args.json:
        answer(told)
    for found in [] if args.json else told["findings"]:
        say(f"{MARKS[found['ok']]} {clean(found['what']):<16} {clean(found['detail'])}")
    return 0 if all(found["ok"] is not False for found in told["findings"]) else 1
