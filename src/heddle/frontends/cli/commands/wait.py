"""heddle wait"""

import argparse
import json
import time
from typing import Any

from heddle.client import call
from heddle.core.errors import OutsideError
from heddle.frontends.cli.output import board, here, item, narrate, say

EXAMPLES = ["heddle wait", "heddle wait T7 T8", "heddle wait --through --timeout 600"]

BROKEN_LINES = 3
"""How many daemons in a row may end under a wait: an upgrade or a crash is no reason to stop waiting."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("tasks", nargs="*", metavar="TASK", help="default: all that are under way")
    parser.add_argument("--through", action="store_true", help="wait through decisions of a person")
    parser.add_argument("--timeout", type=float, metavar="S", help="give up after so many seconds")


def run(args: argparse.Namespace) -> int:
    """Wait; the status tells how it ended."""
    tasks = args.tasks
    if not tasks:
        rows = call("board", root=here() if args.repo else "")["tasks"]
        tasks = [row["id"] for row in rows if row["status"] not in ("landed", "stopped", "closed", "open")]
        if not tasks:
            return _ended({"schema": "heddle.wait/1", "over": True, "needs": [], "tasks": []}, False, args.json)
    return wait_for(tasks, args.through, args.timeout, args.json)


def wait_for(tasks: list[str], through: bool, timeout: float | None, as_json: bool) -> int:
    """0 all landed or reported, 1 one did not land (or time is over), 3 a person is needed."""
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        left = 30.0 if deadline is None else max(0.0, min(30.0, deadline - time.monotonic()))
        told = _asked(tasks, left, through)
        needs = bool(told["needs"]) and not through
        if told["over"] or needs:
            return _ended(told, needs, as_json)
        if deadline is not None and time.monotonic() >= deadline:
            narrate(f"not over after {timeout:g} s")
            return _ended(told, needs, as_json)


def _asked(tasks: list[str], seconds: float, through: bool) -> dict[str, Any]:
    broken = 0
    while True:
        try:
            return call("task.wait", tasks=tasks, seconds=seconds, through=through)
        except OutsideError as error:
            broken += 1
            if error.slug != "daemon-gone" or broken == BROKEN_LINES:
                raise


def _ended(told: dict[str, Any], needs: bool, as_json: bool) -> int:
    rows = told["tasks"]
    say(*([json.dumps(told)] if as_json else board(rows) if rows else ["nothing is under way"]))
    if needs and not told["over"]:
        if not as_json:
            items = [entry for entry in call("inbox")["items"] if entry["task"] in told["needs"]]
            say(*(line for entry in items for line in ("", *item(entry))))
        return 3
    return 0 if all(row["status"] == "landed" or _reported(row) for row in rows) else 1


def _reported(row: dict[str, Any]) -> bool:
    return bool(row["lane"] == "report" and row["status"] == "closed")
