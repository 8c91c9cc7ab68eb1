"""heddle why"""

import argparse

from heddle.client import call
from heddle.frontends.cli.output import answer, clean, clean_block, rot, say, when

EXAMPLES = ["heddle why T7"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("task", metavar="TASK")


def run(args: argparse.Namespace) -> int:
    """The reason, what would change it, and how it came to this."""
    told = call("task.why", task=args.task)
    if args.json:
        return answer(told)
    say(f"{told['task']}  {told['status']}: {clean(told['reason'])}", f"waits for: {told['who']}")
    for act in told["act"]:
        say(f"    {clean(act)}")
    if told.get("claims"):  # a daemon of before does not say
        say(f"its session claims: {', '.join(map(clean, told['claims']))}")
    for one in told.get("near", ()):
        commits = f", {one['commits']} past commits" if one["commits"] else ""
        say(f"may meet {one['task']} in {clean(one['path'])} ({one['chance']:.2f}{commits})")
    if told.get("rot"):
        say(*rot(told["rot"]))
    for line in told["timeline"]:
        say(f"{when(line['at'])}  {clean(line['text'])}")
    if told["evidence"]:
        say("evidence:", *(f"    {line}" for line in clean_block(told["evidence"]).splitlines()[:40]))
    return 0
