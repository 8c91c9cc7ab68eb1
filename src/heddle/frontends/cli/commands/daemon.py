"""heddle daemon"""

import argparse
import time

from heddle.client import call, is_claimed, is_running, start_daemon
from heddle.core.errors import OutsideError
from heddle.frontends.cli.output import answer, clean, say

EXAMPLES = ["heddle daemon status", "heddle daemon stop", "heddle daemon start"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("verb", choices=("start", "stop", "status"))
    parser.add_argument("--keep-aside", action="store_true", help="keep an unreadable journal aside, begin anew")


def run(args: argparse.Namespace) -> int:
    """The daemon starts by itself; this is for looking and for ending."""
    if args.verb == "start" and not is_running():
        start_daemon(keep_aside=args.keep_aside)
    if not is_running():
        if is_claimed():
            raise OutsideError(
                "a daemon lives, but does not answer",
                slug="daemon-silent",
                hint="wait a little and look again",
            )
        if args.json:
            answer({"schema": "heddle.daemon/1", "running": False})
        else:
            say("no daemon is running")
        return 1 if args.verb == "status" else 0
    told = call("daemon", start=False) | {"running": True}
    if args.verb == "stop":
        call("daemon.stop", start=False)
        _wait_until_gone()
        told |= {"running": False, "stopped": True}
    if args.json:
        return answer(told)
    state = "stopped; sessions go on" if args.verb == "stop" else f"{len(told['live'])} live processes"
    say(f"daemon {told['pid']} ({told['version']}), {state}", f"state in {clean(told['home'])}")
    return 0


def _wait_until_gone() -> None:
    deadline = time.monotonic() + 15
    while is_claimed():
        if time.monotonic() > deadline:
            raise OutsideError("the daemon does not end", slug="daemon-silent", hint="look again: heddle daemon status")
        time.sleep(0.02)
