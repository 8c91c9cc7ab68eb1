"""The real command line as a process, and answers of the API as the daemon gives them."""

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str


def heddle(*words: str, stdin: str | bytes = "", timeout: float = 60, **how: Any) -> Ended:
    """Run `heddle WORDS`; upper-case keywords are environment variables, `cwd` is the folder."""
    env = os.environ | {"COLUMNS": "100"} | {name: value for name, value in how.items() if name.isupper()}
    done = subprocess.run(
        (sys.executable, "-m", "heddle.frontends.cli", *words),
        input=stdin if isinstance(stdin, bytes) else stdin.encode(),
        capture_output=True,
        cwd=how.get("cwd"),
        env=env,
        timeout=timeout,
        check=False,
    )
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


def row(id: str = "T7", **told: Any) -> dict[str, Any]:
    """A row of the board."""
    plain: dict[str, Any] = {
        "id": id,
        "title": "add rate limiting",
        "status": "running",
        "stage": "execute",
        "attempt": 1,
        "why": "execute, attempt 1",
        "agent": "claude",
        "tier": 0,
        "lane": "standard",
        "repository": "app-1",
        "root": "/home/ann/app",
        "changed": "",
        "commit": "",
        "since": 0.0,
        "usd": None,
        "flags": [],
        "priority": 2,
        "links": [],
        "claimed_by": "",
        "source": "",
    }
    return plain | told


def board(*rows: dict[str, Any], **told: Any) -> dict[str, Any]:
    """The board."""
    plain = {
        "schema": "heddle.board/1",
        "tier": 0,
        "lacks": "",
        "trouble": "",
        "set_aside": [],
        "inbox": 0,
        "tasks": list(rows),
    }
    return plain | told


def item(task: str = "T7", **told: Any) -> dict[str, Any]:
    """An item of the inbox."""
    plain: dict[str, Any] = {
        "id": task,
        "kind": "gate-plan",
        "task": task,
        "title": "add rate limiting",
        "text": "the plan is ready",
        "options": [],
        "default": "",
        "act": [f"heddle plan show {task}", f"heddle approve {task}", f'heddle reject {task} --reason "..."'],
        "digest": "03ddd03ccedc176b",
    }
    return plain | told


def waited(*rows: dict[str, Any], over: bool = False, needs: tuple[str, ...] = ()) -> dict[str, Any]:
    """The answer of `task.wait`."""
    return {"schema": "heddle.wait/1", "over": over, "needs": list(needs), "tasks": list(rows)}


def event(kind: str, position: int = 1, stream: str = "task:T7", /, **data: Any) -> dict[str, Any]:
    """An event."""
    envelope = {"position": position, "stream": stream, "seq": position, "at": 0.0, "by": "heddle", "kind": kind}
    return envelope | {"data": data}


def error(kind: str, message: str, *, slug: str, hint: str = "", status: int, **facts: Any) -> dict[str, Any]:
    """A failure as the daemon tells it."""
    told = {"kind": kind, "slug": slug, "message": message, "hint": hint, "exit_status": status, "facts": facts}
    return {"error": told}
