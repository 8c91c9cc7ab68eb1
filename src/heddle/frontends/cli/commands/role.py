"""heddle role"""

import argparse

from heddle.client import call
from heddle.core.errors import UserError
from heddle.frontends.cli.output import answer, clean, clean_block, here, say

EXAMPLES = ["heddle role list", "heddle role show docs"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("verb", choices=("list", "show"))
    parser.add_argument("name", nargs="?", default="", metavar="NAME")


def run(args: argparse.Namespace) -> int:
    """List them, or show one whole."""
    if (args.verb == "show") != bool(args.name):
        raise UserError("name a role to show, and none to list", slug="usage", hint="see: heddle role --help")
    told = call("role.list", root=here(), name=args.name)
    if args.json:
        return answer(told)
    width = max(len(role["name"]) for role in told["roles"])
    for role in told["roles"]:
        say(f"{clean(role['name']):<{width}}  {clean(role['trouble'] or role['about'])} ({clean(role['source'])})")
        if role["scope"] and args.name:
            say(f"writes only: {', '.join(map(clean, role['scope']))}")
        if args.name:
            say("", clean_block(role["text"]))
    return 0
