"""heddle queue"""

import argparse
from typing import Any

from heddle.client import call
from heddle.frontends.cli.output import answer, clean, here, say

EXAMPLES = ["heddle queue", "heddle queue --all --json"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("--all", action="store_true", help="the queues of every repository")


def run(args: argparse.Namespace) -> int:
    """Every branch's queue: what lands, who waits, what is being validated, and what was found last."""
    told = call("queue", root="" if args.all else here())
    if args.json:
        return answer(told)
    if not told["queues"]:
        say("nothing waits to land")
    for queue in told["queues"]:
        _say(queue)
    return 0


def _say(queue: dict[str, Any]) -> None:
    waiting = len(queue["waiting"])
    say(
        f"{clean(queue['branch'])}: {waiting or 'nothing'} waiting; {queue['landings']} landings; 1 in {1 / queue['rate']:.0f} breaks"
    )
    if queue["red"]:
        red = queue["red"]
        say(f"  red by itself: '{clean(red['check'])}' fails at {red['commit'][:12]}; {red['task']} is to repair it")
    if queue["landing"]:
        say(f"  landing: {' '.join(queue['landing'])}")
    for train in queue["validating"]:
        say(f"  validating: {' '.join(train)}")
    for place, entry in enumerate(queue["waiting"], start=1):
        apart = f"  conflicts with what goes first in {clean(entry['conflicts'])}" if entry["conflicts"] else ""
        passed = f"  passed by {entry['overtaken']}" if entry["overtaken"] else ""
        say(f"  {place:>2}. {entry['task']}  {clean(entry['title'])}{apart}{passed}")
    for one in queue["verdicts"]:
        who = " ".join(one["tasks"]) or f"{clean(queue['branch'])} itself"
        flaky = f"  flaky: {', '.join(map(clean, one['flakes']))}" if one["flakes"] else ""
        say(f"  {one['colour']:<7} {who}  {one['seconds']:.1f} s  {clean(one['reason'])}{flaky}".rstrip())
