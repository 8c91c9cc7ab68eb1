"""heddle task"""

import argparse

from heddle.client import call
from heddle.frontends.cli.output import answer, board, clean, clean_block, here, say, when

EXAMPLES = ['heddle task add "later: tidy the docs"', "heddle task list", "heddle task show T7"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("verb", choices=("add", "list", "show"))
    parser.add_argument("what", nargs="?", default="", metavar="TEXT|TASK")
    parser.add_argument("--role", default="feature", help="what the agent is asked to be")
    parser.add_argument("--lane", default="standard", help="quick, standard or full")


def run(args: argparse.Namespace) -> int:
    """Add, list or show."""
    if args.verb == "add":
        told = call("task.start", root=here(), text=args.what, lane=args.lane, role=args.role, run=False)
        if args.json:
            return answer(told)
        say(f"{told['id']}  {clean(told['title'])}")
        return 0
    if args.verb == "list":
        told = call("board", all=True, root=here() if args.repo else "")
        if args.json:
            return answer(told)
        say(*board(told["tasks"]))
        return 0
    told = call("task.show", task=args.what)
    if args.json:
        return answer(told)
    say(f"{told['id']}  {told['status']}: {clean(told['why'])}", "", clean_block(told["text"]), "")
    say(*(f"{when(line['at'])}  {clean(line['text'])}" for line in told["timeline"]))
    return 0
