"""heddle task edit: change what is asked."""

import argparse

from heddle.client import call
from heddle.frontends.cli.output import answer, clean, say

EXAMPLES = ["edit T7 --priority 0", 'edit T7 --text "add rate limiting, per user" --lane full']
FIELDS = ("text", "lane", "role", "agent", "model", "priority", "scope", "checks")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the verb."""
    parser.add_argument("task", metavar="TASK")
    parser.add_argument("--text", help="what is to be done")
    parser.add_argument("--lane", help="quick, standard, full or report")
    parser.add_argument("--role", help="what the agent is asked to be")
    parser.add_argument("--agent", metavar="BRAND", help="who plays it")
    parser.add_argument("--model", help="the agent's model")
    parser.add_argument("--priority", type=int, metavar="0..4", help="0 goes first; also while it runs")
    parser.add_argument("--scope", action="append", metavar="GLOB", help="what it may write")
    parser.add_argument("--check", dest="checks", action="append", metavar="CMD", help="what must pass")
    parser.add_argument("--token", type=int, default=0, help="of your claim, if you hold one")


def run(args: argparse.Namespace) -> int:
    """Change it."""
    named = {name: getattr(args, name) for name in FIELDS if getattr(args, name) is not None}
    told = call("task.edit", task=args.task, token=args.token, **named)
    if args.json:
        return answer(told)
    say(f"{told['id']}  {clean(told['title'])}")
    return 0
