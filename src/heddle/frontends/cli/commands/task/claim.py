"""heddle task claim: take a task to work on it yourself; prints your token."""

import argparse

from heddle.client import call
from heddle.frontends.cli.output import answer, narrate, say, when

EXAMPLES = ["claim T7 --as ada", "claim T7 --as ada --token 1 --minutes 120"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the verb."""
    parser.add_argument("task", metavar="TASK")
    parser.add_argument("--as", dest="name", required=True, metavar="NAME", help="who works on it")
    parser.add_argument("--minutes", type=float, default=60.0, help="after which somebody else may take over")
    parser.add_argument("--token", type=int, default=0, help="of the claim that you hold: for longer")


def run(args: argparse.Namespace) -> int:
    """Claim it."""
    told = call("task.claim", task=args.task, name=args.name, seconds=args.minutes * 60, token=args.token)
    if args.json:
        return answer(told)
    say(str(told["token"]))
    narrate(
        f"yours until {when(told['until'])}; when it is done: heddle task close {told['task']} --token {told['token']}"
    )
    return 0
