"""heddle task show: show all about one task."""

import argparse

from heddle.client import call
from heddle.frontends.cli import links
from heddle.frontends.cli.output import answer, clean, clean_block, say, when

EXAMPLES = ["show T7"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the verb."""
    parser.add_argument("task", metavar="TASK")


def run(args: argparse.Namespace) -> int:
    """Show it."""
    told = call("task.show", task=args.task)
    if args.json:
        return answer(told)
    say(f"{told['id']}  {told['status']}: {clean(told['why'])}")
    if told["links"]:
        say(f"    {links.told(told['links'])}")
    if told["claim"]:
        claim = told["claim"]
        say(f"    claimed by {clean(claim['name'])} under token {claim['token']} until {when(claim['until'])}")
    if told["source"]:
        say(f"    from {clean(told['source'])}")
    if told["filed"]:
        say(f"    filed {', '.join(told['filed'])}")
    say("", clean_block(told["text"]), "")
    if told["report"]:
        say("report:", "", clean_block(told["report"]), "")
    say(*(f"{when(line['at'])}  {clean(line['text'])}" for line in told["timeline"]))
    return 0
