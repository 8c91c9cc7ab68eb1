"""heddle radar"""

import argparse
from typing import Any

from heddle.client import call
from heddle.frontends.cli.output import answer, clean, clean_block, columns, cut, here, padded, say, width

EXAMPLES = ["heddle radar", "heddle radar --json"]

MAIN = "main"
LEGEND = (
    "· clear  1 same file, other places  2 next to each other  3 conflict  4 broken together  5 red together  ? unknown"
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""


def run(args: argparse.Namespace) -> int:
    """A matrix of what is at work or waits to land, and a line for each pair that is not clear."""
    told = call("radar", root=here())
    if args.json:
        return answer(told)
    if not told["tasks"]:
        say("nothing is at work, and nothing waits to land")
        return 0
    say(*matrix(told["tasks"], told["drifts"]))
    for drift in told["drifts"]:
        say(*_lines(drift))
    return 0


def matrix(tasks: list[dict[str, Any]], drifts: list[dict[str, Any]]) -> list[str]:
    """A row a task, a column for each other one and for the branch; where that is too wide, those that meet something."""
    levels = {(drift["one"], drift["other"]): drift["level"] for drift in drifts}
    levels |= {(other, one): level for (one, other), level in levels.items()}
    ids = [task["id"] for task in tasks]
    room = max(columns(clean(id)) for id in (*ids, MAIN)) + 2
    shown = ids if (len(ids) + 2) * room <= width() else [id for id in ids if any(id in pair for pair in levels)]
    heads = [*shown[: max(1, width() // room - 2)], MAIN]
    lines = ["".join(padded(clean(head), room) for head in ("", *heads)).rstrip()]
    for task in tasks:
        id = task["id"]
        cells = ["-" if head == id else _cell(levels, id, "" if head == MAIN else head) for head in heads]
        line = "".join(padded(text, room) for text in (clean(id), *cells))
        changed = "?" if task["changed"] is None else task["changed"]
        line += f"{changed} changed  {'at work' if task['session'] else 'waits to land'}  {clean(task['title'])}"
        lines.append(cut(line, width()))
    left_out = len(ids) - len(heads) + 1
    return [*lines, LEGEND, *([f"{left_out} columns are left out; all pairs: heddle radar --json"] if left_out else [])]


def _cell(levels: dict[tuple[str, str], int | None], one: str, other: str) -> str:
    level = levels.get((one, other), 0)
    return "?" if level is None else str(level) if level else "·"


def _lines(drift: dict[str, Any]) -> list[str]:
    paths = ", ".join(clean(path) for path in drift["paths"][:6]) + (" ..." if drift["paths"][6:] else "")
    told = f"; told to {', '.join(map(clean, drift['told']))}" if drift["told"] else ""
    pair = f"{clean(drift['one'])} and {clean(drift['other'] or MAIN)}"
    lines = [f"{pair}: {drift['means']}" + (f": {paths}" if paths else "") + told]
    return lines + [f"    {line}" for line in clean_block(drift["detail"]).splitlines()[:6]]
