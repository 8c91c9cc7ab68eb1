"""heddle start"""

import argparse
import re
import sys

from heddle.client import call
from heddle.core.errors import UserError
from heddle.frontends.cli import links
from heddle.frontends.cli.commands.wait import wait_for
from heddle.frontends.cli.output import answer, clean, here, narrate, say

EXAMPLES = [
    'heddle start "add rate limiting to the API"',
    'heddle start "fix the typo" --lane quick --scope docs/api.md --check "make docs"',
    'heddle start "make it faster" --best-of 3 --agents claude,codex',
    "heddle start T7",
    "heddle start - < task.md",
]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("task", metavar="TASK", help='what to do, a task id, or "-"')
    parser.add_argument("--lane", default="", metavar="LANE", help="quick, standard, full or report")
    parser.add_argument("--role", default="feature", help="what the agent is asked to be")
    parser.add_argument("--agent", default="", metavar="BRAND", help="claude, rehearsal, ...")
    parser.add_argument("--model", default="", help="the agent's model")
    parser.add_argument("--branch", default="", help="where it is to land")
    parser.add_argument("--scope", action="append", default=[], metavar="GLOB", help="what it may write")
    parser.add_argument("--check", action="append", default=[], metavar="CMD", help="what must pass")
    parser.add_argument(
        "--best-of", type=int, default=0, metavar="N", help="so many attempts compete; one of them lands"
    )
    parser.add_argument("--agents", default="", metavar="A,B", help="who plays those attempts, in turn")
    parser.add_argument("--pick", default="person", metavar="RULE", help="who chooses: person, first or smallest")
    parser.add_argument("--priority", type=int, default=2, metavar="0..4", help="0 goes first")
    links.add_options(parser)
    parser.add_argument("--token", type=int, default=0, help="of the claim that you hold on a known task")
    parser.add_argument("--anyway", action="store_true", help="begin also if it may change what another task changes")
    parser.add_argument("--wait", action="store_true", help="wait for the end")


def run(args: argparse.Namespace) -> int:
    """Start it and name the next commands."""
    known = re.fullmatch(r"[Tt]\d+", args.task) is not None
    text = _piped() if args.task == "-" else args.task
    told = call(
        "task.start",
        root=here(),
        task=args.task.upper() if known else "",
        text="" if known else text,
        lane=args.lane,
        role=args.role,
        agent=args.agent,
        model=args.model,
        branch=args.branch,
        scope=args.scope,
        checks=args.check,
        best_of=args.best_of,
        agents=[name.strip() for name in args.agents.split(",") if name.strip()],
        pick=args.pick,
        priority=args.priority,
        links=links.asked(args),
        token=args.token,
        anyway=args.anyway,
    )
    if args.wait:
        return wait_for([told["id"]], through=False, timeout=None, as_json=args.json)
    if args.json:
        return answer(told)
    say(f"{told['id']}  {clean(told['title'])}")
    if sys.stderr.isatty():
        narrate(f"follow it: heddle watch {told['id']}", "decide:    heddle inbox")
    return 0


def _piped() -> str:
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise UserError(f"the text is not UTF-8 ({error})", slug="not-utf8", hint="hand it in as UTF-8") from error
