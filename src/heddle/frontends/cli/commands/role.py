"""heddle role"""

import argparse
from typing import Any

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
        if args.name:
            say(*_bounds(role), "", clean_block(role["text"]))
            for stage, text in role["told"].items():
                say("", f"at {stage}:", "", clean_block(text))
    return 0


def _bounds(role: dict[str, Any]) -> list[str]:
    """How far it reaches, and what must hold besides; a line for each thing that it says."""
    by_stage = {one["stage"] or "any stage": one["agent"] for one in role["agents"]}
    told = (
        ("writes only", ", ".join(role["scope"])),
        ("writes", "" if role["writes"] else "nothing; its runs end with a report"),
        ("network", "" if role["network"] else "its agent's own hosts alone"),
        ("played by", ", ".join(f"{agent} at {stage}" for stage, agent in by_stage.items())),
        ("else by", ", ".join(role["fallbacks"])),
        ("who can", ", ".join(role["needs"])),
        ("gates", ", ".join(f"{decides} after {stage}" for stage, decides in role["gates"].items())),
        ("checks", "; ".join(role["checks"])),
    )
    return [clean(f"{name}: {words}") for name, words in told if words]
