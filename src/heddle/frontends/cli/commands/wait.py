"""heddle wait"""

import argparse
import json
import time

from heddle.client import call
from heddle.frontends.cli.output import board, item, narrate, say

EXAMPLES = ["heddle wait", "heddle wait T7 T8", "heddle wait --through --timeout 600"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("tasks", nargs="*", metavar="TASK", help="default: all")
    parser.add_argument("--through", action="store_true", help="wait through decisions of a person")
    parser.add_argument("--timeout", type=float, metavar="S", help="give up after so many seconds")


def run(args: argparse.Namespace) -> int:
    """Wait; the status tells how it ended."""
    return wait_for(args.tasks, args.through, args.timeout, args.json)


def wait_for(tasks: list[str], through: bool, timeout: float | None, as_json: bool) -> int:
    """0 all landed, 1 one did not land (or time is over), 3 a person is needed."""
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        left = 30.0 if deadline is None else max(0.0, min(30.0, deadline - time.monotonic()))
        told = call("task.wait", tasks=tasks, seconds=left, through=through)
        needs = bool(told["needs"]) and not through
        if told["over"] or needs or (deadline is not None and time.monotonic() >= deadline):
            return _ended(told, needs, as_json)


def _ended(told: dict[str, object], needs: bool, as_json: bool) -> int:
    rows = list(told["tasks"]) if isinstance(told["tasks"], list) else []
    say(*([json.dumps(told)] if as_json else board(rows)))
    if needs and not told["over"]:
        items = [entry for entry in call("inbox")["items"] if entry["task"] in told["needs"]]  # type: ignore[operator]
        if not as_json:
            narrate(*(line for entry in items for line in item(entry)))
        return 3
    return 0 if all(row["status"] == "landed" for row in rows) else 1
