"""heddle map"""

import argparse
from pathlib import Path
from typing import Any

from heddle.client import call
from heddle.core.errors import OutsideError
from heddle.frontends.cli.output import answer, clean, here, narrate, padded, say, width

EXAMPLES = ["heddle map", "heddle map --advise", "heddle map --svg map.svg"]
PARTS, OTHERS = 15, 8
"""Lines of each list; the whole is in --json."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("--advise", action="store_true", help="tell what would let more tasks run at once")
    parser.add_argument("--svg", default="", metavar="FILE", help="write the map as a picture")


def run(args: argparse.Namespace) -> int:
    """Parts, hot files and hidden coupling of the repository, from its own history."""
    told = call("map", root=here(), svg=bool(args.svg))
    if args.svg:
        _write(args.svg, told.pop("svg"))
    if args.json:
        return answer(told)
    if args.advise:
        for one in told["advice"]:
            say(clean(one["text"]))
        if not told["advice"]:
            say("nothing stands in the way of more tasks at once")
        return 0
    _show(told)
    return 0


def _write(path: str, svg: str) -> None:
    try:
        Path(path).write_text(svg, encoding="utf-8")
    except OSError as error:
        raise OutsideError(
            f"the picture was not written to '{path}': {error.strerror}", slug="unwritable", hint="name another file"
        ) from error
    narrate(f"wrote {clean(path)}")


def _show(told: dict[str, Any]) -> None:
    if told["parts"]:
        room = min(48, max(12, width() - 40))
        say(f"{padded('PART', room)}  {'WORK':>5}  {'FILES':>5}  MOST CHANGED")
    for part in told["parts"][:PARTS]:
        first = clean(part["files"][0].rpartition("/")[2])
        say(f"{padded(clean(part['name']), room)}  {part['share']:>5.0%}  {part['count']:>5}  {first}")
    if told["parts"][PARTS:]:
        say(f"and {len(told['parts']) - PARTS} smaller parts")
    for hot in told["hot"][:OTHERS]:
        say(f"hot     {hot['share']:>4.0%}  {clean(hot['path'])}  ({hot['policy']})")
    for hidden in told["hidden"][:OTHERS]:
        pair = f"{clean(hidden['one'])} with {clean(hidden['other'])}"
        say(f"hidden  {pair}: {hidden['commits']} common commits, no import")
    word = {
        "yes": f"modular, about {told['at_once']} tasks at once",
        "no": "not modular",
        "unknown": "modular: unknown",
    }
    say(f"{word[told['modular']]}: {clean(told['why'])}")
    narrate(f"from {told['commits']} commits and {told['files']} files; what would help: heddle map --advise")
    if told["shallow"]:
        narrate("the clone is shallow: most of its past is not here; get it with: git fetch --unshallow")
    if told["unread"]:
        why = f": {clean(told['why_unread'])}" if told["why_unread"] else ""
        narrate(f"imports of {told['unread']} files were not read{why}")
