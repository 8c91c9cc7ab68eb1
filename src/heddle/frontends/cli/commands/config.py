"""heddle config"""

import argparse
import json

from heddle.client import call
from heddle.frontends.cli.output import answer, clean, here, say

EXAMPLES = ["heddle config explain", "heddle config explain gates", "heddle config allow"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("verb", choices=("explain", "allow"))
    parser.add_argument("key", nargs="?", default="", metavar="KEY")
    parser.add_argument("--own", action="store_true", help="without any repository")


def run(args: argparse.Namespace) -> int:
    """Values and where each comes from; or allow the commands that the repository's file names."""
    if args.verb == "allow":
        told = call("repository.allow", root=here())
        if args.json:
            return answer(told)
        say(*(f"allowed: {clean(command)}" for command in told["commands"]))
        return 0
    told = call("config.explain", root="" if args.own else here(), key=args.key)
    if args.json:
        return answer(told)
    for value in told["values"]:
        say(f"{value['key']} = {clean(json.dumps(value['value']))}    # {clean(value['source'])}")
    return 0
