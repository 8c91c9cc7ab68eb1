"""heddle doctor"""

import argparse

from heddle.client import call
from heddle.frontends.cli.output import answer, clean, say

EXAMPLES = ["heddle doctor"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""


def run(args: argparse.Namespace) -> int:
    """Findings, a line each; status 1 when one is not good."""
    told = call("doctor")
    if args.json:
        answer(told)
    for found in [] if args.json else told["findings"]:
        say(f"{'ok ' if found['ok'] else '-- '} {clean(found['what']):<16} {clean(found['detail'])}")
    return 0 if all(found["ok"] for found in told["findings"]) else 1
