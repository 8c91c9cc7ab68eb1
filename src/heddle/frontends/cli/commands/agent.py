"""heddle agent"""

import argparse
from typing import Any

from heddle.client import call
from heddle.core.errors import UserError
from heddle.frontends.cli.output import answer, clean, say

EXAMPLES = ["heddle agent list", "heddle agent show claude"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("verb", choices=("list", "show"))
    parser.add_argument("agent", nargs="?", default="", metavar="NAME")


def run(args: argparse.Namespace) -> int:
    """All agents, a line each, or one with what it can do; status 1 when that one cannot be used."""
    if (args.verb == "show") != bool(args.agent):
        wanted = "list takes no name" if args.agent else "show takes the name of an agent"
        raise UserError(wanted, slug="usage", hint="see: heddle agent --help")
    told = call("agent.list", agent=args.agent)
    if args.json:
        answer(told)
    elif args.agent:
        _show(told["agents"][0])
    else:
        _list(told["agents"])
    return 0 if not args.agent or told["agents"][0]["found"] else 1


def _list(agents: list[dict[str, Any]]) -> None:
    width = max(len(clean(agent["name"])) for agent in agents)
    for agent in agents:
        state = (agent["version"] or "here") if agent["found"] else "not usable"
        can = " ".join(one["name"] for one in agent["capabilities"] if one["can"])
        say(f"{clean(agent['name']):<{width}}  {clean(state):<12}  {can}")


def _show(agent: dict[str, Any]) -> None:
    state = f"found, version {agent['version'] or 'unknown'}" if agent["found"] else f"not usable: {agent['trouble']}"
    say(f"{clean(agent['name'])}: {clean(state)}")
    if agent["hint"]:
        say(f"next: {clean(agent['hint'])}")
    if not agent["capabilities"]:
        return
    source = "your own file" if agent["own"] else "comes with Heddle"
    say(f"speaks {clean(agent['protocol'])}; about {agent['memory_mb']} MB a session; {source}", "")
    for one in agent["capabilities"]:
        say(f"{'yes' if one['can'] else 'no ':<4} {one['name']:<18} {one['means']}")
        if one["why"]:
            say(f"{'':<24}{clean(one['why'])}")
