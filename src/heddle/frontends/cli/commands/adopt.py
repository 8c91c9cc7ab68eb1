"""heddle adopt"""

import argparse
import os

from heddle.client import call
from heddle.frontends.cli.output import answer, clean, here, narrate, say

EXAMPLES = [
    'heddle adopt fix-login --check "make test"',
    "heddle adopt fix-login --task T7 --token 1",
    'heddle adopt ./.claude/worktrees/fix-login "mend the login" --scope "src/login/**"',
]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("what", metavar="BRANCH|PATH", help="a branch, or a worktree with what is uncommitted in it")
    parser.add_argument(
        "text", nargs="?", default="", metavar="TEXT", help="what it does; default: its last commit's subject"
    )
    parser.add_argument("--task", default="", help="it is the result of that one, which is open")
    parser.add_argument("--token", type=int, default=0, help="of your claim on that task, if you hold one")
    parser.add_argument("--role", default="feature", help="what an agent is asked to be that mends it")
    parser.add_argument("--agent", default="", metavar="BRAND", help="who mends it, if it must be mended")
    parser.add_argument("--branch", default="", help="where it is to land")
    parser.add_argument("--scope", action="append", default=[], metavar="GLOB", help="what it may write")
    parser.add_argument("--check", action="append", default=[], metavar="CMD", help="what must pass")


def run(args: argparse.Namespace) -> int:
    """Take it in as it is now."""
    what = os.path.abspath(args.what) if os.path.isdir(args.what) else args.what
    told = call(
        "task.adopt",
        root=here(),
        what=what,
        text=args.text,
        role=args.role,
        agent=args.agent,
        branch=args.branch,
        scope=args.scope,
        checks=args.check,
        task=args.task,
        token=args.token,
    )
    if args.json:
        return answer(told)
    say(f"{told['id']}  adopted: {clean(told['title'])}")
    for path, why in told["left_out"]:
        narrate(f"left out: {clean(path)} ({clean(why)})")
    return 0
