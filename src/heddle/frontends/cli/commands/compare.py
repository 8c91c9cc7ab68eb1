"""heddle compare"""

import argparse
from typing import Any

from heddle.client import call
from heddle.frontends.cli.output import answer, clean, coloured, columns, cut, narrate, padded, say, width

EXAMPLES = ["heddle compare T7"]
REVIEWS = {"green": "yes", "red": "no", "unknown": "?", "none": "-"}
HEAD = ("ID", "AGENT", "STATUS", "CHECKS", "REVIEW", "FILES", "LINES", "TRIES", "TIME", "TOKENS", "COST", "WHY")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("task", metavar="TASK", help="any of the rivals")


def run(args: argparse.Namespace) -> int:
    """A line for each rival; what is unknown is a question mark, never nothing or zero."""
    told = call("task.compare", task=args.task)
    if args.json:
        return answer(told)
    say(f"{told['task']}  {clean(told['title'])}", "")
    table = [HEAD, *(_cells(rival) for rival in told["rivals"])]
    rooms = [max(columns(line[at]) for line in table) for at in range(len(HEAD) - 1)]
    for line, rival in zip(table, [{}, *told["rivals"]], strict=True):
        cells = [padded(cell, room) for cell, room in zip(line, rooms, strict=False)]
        why = cut(line[-1], max(20, width() - sum(rooms) - 2 * len(rooms)))
        cells[2] = coloured(str(rival.get("status", "")), cells[2])
        say("  ".join((*cells, why)).rstrip())
    green = [rival["id"] for rival in told["rivals"] if rival["green"]]
    if green:
        narrate("", f"read one: heddle diff {green[0]}", f"choose it: heddle approve {green[0]}")
    return 0


def _cells(rival: dict[str, Any]) -> tuple[str, ...]:
    lines = "-" if rival["insertions"] is None else f"+{rival['insertions']} -{rival['deletions']}"
    checks = rival["verdict"] + (" (edits tests)" if rival["edited_tests"] else "")
    cost = "?" if rival["usd"] is None else f"${rival['usd']:.2f}"
    return (
        rival["id"],
        clean(rival["agent"]) + (f":{clean(rival['model'])}" if rival["model"] else ""),
        rival["status"],
        checks,
        REVIEWS[rival["review"]],
        _or(rival["files"], "-"),
        lines,
        str(rival["attempts"]),
        "-" if rival["seconds"] is None else f"{rival['seconds']:.0f}s",
        _or(rival["tokens"], "?"),
        cost,
        clean(rival["why"]),
    )


def _or(value: object, unknown: str) -> str:
    return unknown if value is None else str(value)
