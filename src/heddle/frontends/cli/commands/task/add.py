"""heddle task add: put a task into the tracker without starting it."""

import argparse

from heddle.client import call
from heddle.frontends.cli import links
from heddle.frontends.cli.output import answer, clean, here, say

EXAMPLES = ['add "later: tidy the docs" --priority 4', 'add "use the new parser" --blocked-by T3']


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the verb."""
    parser.add_argument("text", metavar="TEXT", help="what is to be done")
    parser.add_argument("--role", default="feature", help="what the agent is asked to be")
    parser.add_argument("--lane", default="", help="quick, standard, full or report")
    parser.add_argument("--priority", type=int, default=2, metavar="0..4", help="0 goes first")
    links.add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Add it and name it."""
    told = call(
        "task.start",
        root=here(),
        text=args.text,
        lane=args.lane,
        role=args.role,
        run=False,
        priority=args.priority,
        links=links.asked(args),
    )
    if args.json:
        return answer(told)
    say(f"{told['id']}  {clean(told['title'])}")
    return 0
