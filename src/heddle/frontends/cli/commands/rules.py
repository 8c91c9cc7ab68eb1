"""heddle rules"""

import argparse
from typing import Any

from heddle.client import call
from heddle.core.errors import UserError
from heddle.frontends.cli.output import answer, clean, clean_block, here, narrate, say

EXAMPLES = [
    "heddle rules check",
    "heddle rules check --agent codex --strict",
    "heddle rules sync",
    "heddle rules sync --write",
    "heddle rules show T7",
]
WHEN = {"start": "at its start", "folder": "in that folder", "paths": "on those paths", "choice": "if it chooses"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("verb", choices=("check", "sync", "show"))
    parser.add_argument("task", nargs="?", default="", metavar="TASK")
    parser.add_argument(
        "--agent", action="append", default=[], metavar="NAME", help="for this one; default: those here"
    )
    parser.add_argument("--strict", action="store_true", help="check: warnings count, too")
    parser.add_argument("--loads", action="store_true", help="check: tell which agent loads what")
    parser.add_argument("--write", action="store_true", help="sync: write it, not only say it")
    parser.add_argument(
        "--compile", action="append", default=[], metavar="NAME", help="sync: path-bound rules for cursor, copilot"
    )


def run(args: argparse.Namespace) -> int:
    """Findings and a score, status 1 when one is an error; what sync writes; or what a task's sessions read."""
    if (args.verb == "show") != bool(args.task):
        wanted = f"{args.verb} takes no task" if args.task else "show takes a task"
        raise UserError(wanted, slug="usage", hint="see: heddle rules --help")
    return {"check": _check, "sync": _sync, "show": _show}[args.verb](args)


def _check(args: argparse.Namespace) -> int:
    told = call("rules.check", root=here(), agents=args.agent)
    bad = ("error", "warning") if args.strict else ("error",)
    status = 1 if any(one["severity"] in bad for one in told["findings"]) else 0
    if args.json:
        answer(told)
        return status
    for one in told["findings"]:
        place = f"{one['path']}:{one['line']}" if one["line"] else one["path"]
        say(f"{one['severity']:<7}  {clean(place)}  {one['slug']}: {clean(one['text'])}")
        if one["remedy"]:
            say(f"         next: {clean(one['remedy'])}")
    for one in told["loads"] if args.loads else []:
        say(f"{clean(one['agent']):<9} {clean(one['path'])}  {WHEN[one['when']]}: {clean(one['why'])}")
    say(f"score {told['score']} of 100")
    narrate(*(f"  {clean(reason)}" for reason in told["reasons"]))
    narrate(f"for {', '.join(map(_named, told['agents']))}")
    if told["unread"]:
        narrate(f"{told['unread']} further files of rules, deep in folders, were not read")
    if not told["whole"]:
        narrate("the repository was not read whole: dead paths and commands are not told")
    return status


def _named(agent: dict[str, Any]) -> str:
    return f"{clean(agent['agent'])} ({clean(agent['version']) if agent['here'] else 'not on this machine'})"


def _sync(args: argparse.Namespace) -> int:
    told = call("rules.sync", root=here(), agents=args.agent, write=args.write, compile_for=args.compile)
    if args.json:
        return answer(told)
    did = ("made", "written") if told["written"] else ("would make", "would write")
    for one in told["writes"]:
        say(f"{did[0] if one['new'] else did[1]} {clean(one['path'])}: {clean(one['why'])}")
        if not told["written"]:
            say(*(f"    {line}" for line in clean_block(_ours(one["text"])).splitlines()))
    for one in told["left"]:
        say(f"left {clean(one['path'])}: {clean(one['why'])}")
    if not told["writes"]:
        narrate("nothing to write")
    elif not told["written"]:
        narrate("nothing was written; write it with: heddle rules sync --write")
    return 0


def _ours(text: str) -> str:
    """The part of a text that is Heddle's."""
    begin, end = text.find("<!-- heddle:rules begin"), text.find("<!-- heddle:rules end")
    return text[begin : text.find("\n", end)] if begin >= 0 else text


def _show(args: argparse.Namespace) -> int:
    told = call("rules.show", task=args.task)
    if args.json:
        return answer(told)
    for one in told["sessions"]:
        agent = f"{clean(one['agent'])} {clean(one['version'])}".rstrip()
        say(f"{clean(one['session'])}  {agent}  base {clean(one['commit'][:12])}")
        for file in one["files"]:
            say(f"    {clean(file['path'])}  {WHEN[file['when']]}: {clean(file['why'])}")
        if not one["files"]:
            say("    no rules of the repository" if one["known"] else "    unknown")
        say(*(f"    {clean(path)}  it is known to load it, and did not speak of it" for path in one["unsaid"]))
        say(f"    ({clean(one['told'])})")
    if not told["sessions"]:
        narrate("no session has started yet")
    return 0
