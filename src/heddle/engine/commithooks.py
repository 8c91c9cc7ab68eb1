"""The person's commit hooks on what is about to land: run in the sandbox, on the very tree and message (M6)."""

import time
from dataclasses import dataclass

from heddle.core.gate import CheckResult, Colour
from heddle.core.redaction import Redactor
from heddle.core.settings import Settings
from heddle.engine.site import Room
from heddle.engine.sizewatch import TOO_LARGE, bounded_exit
from heddle.ports import Command, Workspace

NAME = "(commit hooks)"
MESSAGE = "commit-message"
TAIL = 4000

SCRIPT = """
set -eu
candidate=$(git rev-parse HEAD)
git update-ref --no-deref HEAD "$ONTO"
trap 'git update-ref --no-deref HEAD "$candidate"' EXIT
run() { git -c core.hooksPath="$HOOKS" hook run --ignore-missing "$@" >&2; }
run pre-commit
run prepare-commit-msg -- "$MESSAGE" message
run commit-msg -- "$MESSAGE"
git diff --exit-code --stat "$candidate" -- >&2 || { echo "a commit hook changed these files" >&2; exit 1; }
"""
"""As git would on a commit: the hooks see the candidate's tree as what is staged on top of main."""


@dataclass(frozen=True, slots=True)
class Hooked:
    """How the hooks judged, and the message as they left it."""

    result: CheckResult
    message: str


async def run_hooks(
    workspace: Workspace, key: str, onto: str, message: str, settings: Settings, room: Room, redact: Redactor
) -> Hooked:
    """Run the hooks in a workspace whose tree is the candidate's. What they change in files is a refusal."""
    began = time.monotonic()
    path = await workspace.put(MESSAGE, message.encode())
    env = {"ONTO": onto, "HOOKS": workspace.hooks, "MESSAGE": path, "GIT_EDITOR": ":"}
    held = await workspace.enter(Command(f"{key}.hooks", ("/bin/sh", "-c", SCRIPT), "", env, wall_s=settings.check_s))
    ended = await bounded_exit(held, workspace, settings, room)
    tail = redact((held.load_output(TAIL) + held.load_errors(TAIL)).decode(errors="replace"))[-TAIL:]
    if ended.why != "exited":
        tail = f"{ended.why} {ended.detail}\n{tail}"
    own = ended.why in ("exited", "wall-limit", TOO_LARGE)
    colour = Colour.GREEN if ended.ok else Colour.RED if own else Colour.UNKNOWN
    left = await workspace.taken(MESSAGE) if ended.ok else None
    text = left.decode(errors="replace").strip() if left else ""
    seconds = round(time.monotonic() - began, 3)
    return Hooked(CheckResult(NAME, colour, ended.code, seconds, tail, f"{key}.hooks"), with_trailers(text, message))


def with_trailers(text: str, message: str) -> str:
    """What the hooks made of a message, with the trailers that they may not take away."""
    if not text:
        return message
    missing = [line for line in message.rstrip().rpartition("\n\n")[2].splitlines() if line not in text.splitlines()]
    last = text.rpartition("\n\n")[2]
    gap = "\n" if missing and ": " in last.splitlines()[0] and "\n\n" in text else "\n\n"
    return text + (gap + "\n".join(missing) if missing else "") + "\n"
