"""heddle preview"""

import argparse

from heddle.client import call, open_browser
from heddle.frontends.cli.output import answer, clean, narrate, say

EXAMPLES = ["heddle preview T7", "heddle preview T7 --port 5173 --open", "heddle preview T7 --stop"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("task", metavar="TASK")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="where it serves; default: 3000, or its PORT")
    parser.add_argument("--workspace", default="", metavar="NAME", help="which, by its name; default: the current one")
    parser.add_argument("--open", action="store_true", help="in your browser, too")
    parser.add_argument("--stop", action="store_true", help="end it")


def run(args: argparse.Namespace) -> int:
    """Print the address; it is good until the workspace or the daemon goes."""
    if args.stop:
        return _stop(args)
    told = call("preview.open", task=args.task, port=args.port, workspace=args.workspace)
    if args.open:
        open_browser(told["url"])
    if args.json:
        return answer(told)
    say(clean(told["url"]))
    narrate(
        f"what {told['workspace']} serves on port {told['port']}; end it with: heddle preview {told['task']} --stop"
    )
    if not told["listening"]:
        narrate("nobody listens there yet; load the page again once a server runs")
    return 0


def _stop(args: argparse.Namespace) -> int:
    told = call("preview.stop", task=args.task)
    if args.json:
        return answer(told)
    say(f"{told['task']}  preview ended")
    return 0
