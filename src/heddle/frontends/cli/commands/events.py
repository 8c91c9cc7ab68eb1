"""heddle events"""

import argparse
import json
from collections.abc import Iterator
from typing import Any

from heddle.client import call, follow
from heddle.frontends.cli.output import answer, clean, say, when

EXAMPLES = ["heddle events", "heddle events T7 --json", "heddle events --follow --json"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("task", nargs="?", default="", metavar="TASK")
    parser.add_argument("--after", type=int, default=0, metavar="N", help="position to begin after")
    parser.add_argument("--follow", action="store_true", help="go on as events come")


def run(args: argparse.Namespace) -> int:
    """The journal, a line per fact."""
    if args.follow:
        for event in follow(args.after, args.task.upper()):
            _show(event, args.json)
        return 0
    events = list(_listed(args.task, args.after))
    if args.json:
        return answer({"schema": "heddle.events/1", "events": events})
    for event in events:
        _show(event, False)
    return 0


def _listed(task: str, after: int) -> Iterator[dict[str, Any]]:
    """Every event after a position: the daemon tells a bounded number at a time."""
    while events := call("events", task=task, after=after)["events"]:
        yield from events
        after = events[-1]["position"]


def _show(event: dict[str, Any], as_json: bool) -> None:
    if as_json:
        return say(json.dumps(event))
    at = event["at"]
    data = clean(json.dumps(event["data"]))[:140]
    stamp = when(float(at)) if isinstance(at, int | float) else ""
    say(f"{event['position']:>6}  {stamp}  {event['stream']!s:<28} {event['kind']!s:<18} {data}")
