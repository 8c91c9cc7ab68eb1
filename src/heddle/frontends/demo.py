"""`heddle demo`: five tasks on a sample repository, through the whole cycle, by the built-in rehearsal agent.

Everything is real but the thinking: git, workspaces, processes, tests, the merge. It has a state folder of its own and
never touches the person's daemon.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from heddle.client import call, start_daemon
from heddle.core.errors import OutsideError
from heddle.frontends.cli.output import board, enclosure, in_colour, narrate, say

LIMIT_S = 180.0

TASKS = (
    ("Add a median to tally/stats.py", "feature"),
    ("Add a mode to tally/stats.py", "feature"),
    ("Document how to use tally", "docs"),
    ("Rename format_row to render_row", "refactor"),
    ("Add a CSV export of a table", "feature"),
)

CONFIG = """
[agent]
default = "rehearsal"

[gates]
plan = "delegation"

[delegation]
rules = [{ name = "docs", scope = ["docs/**"] }]
"""


def run(*, as_json: bool, keep: bool, yes: bool) -> int:
    """Play the demo; returns 0 when it went as it must."""
    folder = Path(tempfile.mkdtemp(prefix="heddle-demo-"))
    repository = folder / "tally"
    _make_repository(repository)
    with _own_state(folder, keep):
        os.chdir(repository)
        began = time.monotonic()
        if not as_json:
            narrate(f"a sample repository in {repository}", enclosure(call("board")), "")
        call("repository.allow", root=str(repository))  # the person of the demo allows its heddle.toml, once
        for text, role in TASKS:
            call("task.start", root=str(repository), text=text, role=role)
        _play(as_json, yes or as_json or not sys.stdin.isatty())
        summary = _summary(repository, time.monotonic() - began)
    if as_json:
        say(json.dumps(summary))
    else:
        _tell(summary, repository)
    good = summary["landed"] == 4 and summary["held"] == 1 and summary["main_green"]
    return 0 if good else 1


@contextmanager
def _own_state(folder: Path, keep: bool) -> Iterator[None]:
    """A daemon of the demo's own: state, sockets and configuration lie in its folder."""
    person = folder / "config.toml"
    person.write_text(CONFIG)
    script = files("heddle.data").joinpath("demo", "script.toml")
    told = {
        "HEDDLE_HOME": str(folder / "state"),
        "HEDDLE_CONFIG": str(person),
        "HEDDLE_REHEARSAL_SCRIPT": str(script),
    }
    for name in ("HEDDLE_RUNTIME_DIR", "HEDDLE_AGENT"):
        os.environ.pop(name, None)
    os.environ.update(told)
    start_daemon()
    try:
        yield
    finally:
        if not keep:
            call("daemon.stop")


def _make_repository(path: Path) -> None:
    """The sample project, with its history of one commit."""
    source = files("heddle.data").joinpath("demo", "tally")
    _copy(source, path)
    identity = ("-c", "user.name=You", "-c", "user.email=you@example.com")
    for args in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "tally: count things")):
        _git(path, *identity, "-c", "commit.gpgsign=false", *args)
    _git(path, "config", "user.name", "You")
    _git(path, "config", "user.email", "you@example.com")
    _git(path, "config", "commit.gpgsign", "false")


def _copy(source: Any, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for entry in source.iterdir():
        name = entry.name.removesuffix(".sample").replace("dot-", ".")
        if entry.is_dir():
            _copy(entry, target / name)
        else:
            (target / name).write_bytes(entry.read_bytes())


def _git(path: Path, *args: str) -> str:
    done = subprocess.run(["git", *args], cwd=path, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OutsideError(f"git failed: {done.stderr.strip()[-200:]}", slug="git-failed", hint="see: heddle doctor")
    return done.stdout


def _play(quiet: bool, decide: bool) -> None:
    """Until every task is over or held; the person's gates are passed on the way."""
    screen = Screen() if in_colour(sys.stderr) and not quiet else None
    seen: dict[str, str] = {}
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        told = call("task.wait", tasks=[], seconds=0.3, through=True)
        rows = told["tasks"]
        _show(rows, seen, screen, quiet)
        if all(row["status"] in ("landed", "stopped") or _is_held(row) for row in rows):
            return
        for entry in call("inbox")["items"]:
            if entry["kind"] == "gate-plan" and (decide or _agrees(entry)):
                call("inbox.approve", task=entry["task"], digest=entry["digest"])
            elif entry["kind"] == "question":
                call("inbox.answer", task=entry["task"])
    raise OutsideError("the demo took too long", slug="demo-late", hint="look at it with: heddle doctor")


def _is_held(row: dict[str, Any]) -> bool:
    return row["status"] == "waiting" and "red together with" in row["why"]


def _agrees(entry: dict[str, Any]) -> bool:
    narrate("", f"{entry['task']} has a plan: {entry['title']}")
    say(call("plan.show", task=entry["task"])["document"])
    return input(f"approve the plan of {entry['task']}? [Y/n] ").strip().lower() in ("", "y", "yes")


class Screen:
    """The board redrawn in place."""

    def __init__(self) -> None:
        self._lines = 0

    def draw(self, lines: list[str]) -> None:
        """Replace what was drawn before."""
        up = f"\x1b[{self._lines}F" if self._lines else ""
        sys.stderr.write(up + "".join(f"\x1b[2K{line}\n" for line in lines))
        sys.stderr.flush()
        self._lines = len(lines)


def _show(rows: list[dict[str, Any]], seen: dict[str, str], screen: Screen | None, quiet: bool) -> None:
    if screen is not None:
        return screen.draw(board([{**row, "why": row["why"].splitlines()[0]} for row in rows]))
    for row in rows:
        text = f"{row['id']}  {row['status']:<10}  {row['stage']:<8}  {row['why'].splitlines()[0]}"
        if seen.get(row["id"]) != text:
            seen[row["id"]] = text
            if not quiet or not sys.stdout.isatty():
                narrate(text)


def _summary(repository: Path, wall_s: float) -> dict[str, Any]:
    told = call("board", all=True)
    tasks = told["tasks"]
    shown = {task["id"]: call("task.show", task=task["id"]) for task in tasks}
    events = call("events", limit=100_000)["events"]
    chain = max(_chain_seconds(events, id) for id in shown)
    return {
        "schema": "heddle.demo/1",
        "landed": sum(task["status"] == "landed" for task in tasks),
        "held": sum(_is_held(task) for task in tasks),
        "sent_back": sum(_is_red(event) for event in events) - sum(_is_held(task) for task in tasks),
        "kept_apart": sum(bool(_waited_for(events, id)) for id in shown),
        "approved_by_delegation": sum(shown[id]["approved_by"].startswith("delegation") for id in shown),
        "approved_by_person": sum(shown[id]["approved_by"].startswith("person") for id in shown),
        "culprit": next((one["verdict"]["culprit"] for one in shown.values() if _culprit(one)), ""),
        "wall_s": round(wall_s, 2),
        "critical_path_s": round(chain, 2),
        "parallel_efficiency": round(chain / wall_s, 3),
        "cost_usd": round(sum(task["usd"] or 0.0 for task in tasks), 6),
        "events": len(events),
        "main_green": _is_green(repository),
        "tier": told["tier"],
        "lacks": told["lacks"],
        "repo": str(repository),
    }


def _culprit(told: dict[str, Any]) -> bool:
    return bool(told["verdict"] and told["verdict"]["culprit"])


def _is_red(event: dict[str, Any]) -> bool:
    return bool(event["kind"] == "verdict-reached" and event["data"]["verdict"]["colour"] == "red")


def _chain_seconds(events: list[dict[str, Any]], id: str) -> float:
    """The work that had to be done one after the other for this task: its own since its plan went out of date, after all
    of the task that it was kept apart from; else all of its own."""
    waited = _waited_for(events, id)
    since = [event["at"] for event in events if event["stream"] == f"task:{id}" and event["kind"] == "plan-outdated"]
    before = max((_stage_seconds(events, other) for other in waited), default=0.0)
    return before + _stage_seconds(events, id, since[-1] if waited else 0.0)


def _stage_seconds(events: list[dict[str, Any]], id: str, since: float = 0.0) -> float:
    """Seconds in which an attempt of the task was under way."""
    total, began = 0.0, None
    for event in events:
        if event["stream"] != f"task:{id}" or event["at"] < since:
            continue
        if event["kind"] == "stage-started":
            began = event["at"]
        elif began is not None and event["kind"] in ENDS:
            total, began = total + event["at"] - began, None
    return total


ENDS = frozenset(
    {
        "research-delivered",
        "plan-delivered",
        "result-delivered",
        "verdict-reached",
        "stage-failed",
        "landed",
        "main-moved",
        "plan-outdated",
    }
)
"""The facts that end an attempt."""


def _waited_for(events: list[dict[str, Any]], id: str) -> set[str]:
    """Tasks that this one was kept apart from: its plan went out of date because they landed first."""
    outdated = [e for e in events if e["stream"] == f"task:{id}" and e["kind"] == "plan-outdated"]
    landed = {e["data"]["commit"]: e["stream"].partition(":")[2] for e in events if e["kind"] == "landed"}
    return {landed[e["data"]["base"]] for e in outdated if e["data"]["base"] in landed}


def _is_green(repository: Path) -> bool:
    """Whether the tests pass on a fresh clone of main."""
    with tempfile.TemporaryDirectory() as folder:
        _git(repository, "clone", "-q", str(repository), f"{folder}/clone")
        tests = [sys.executable, "-m", "unittest", "-q"]
        return subprocess.run(tests, cwd=f"{folder}/clone", capture_output=True, check=False).returncode == 0


def _tell(summary: dict[str, Any], repository: Path) -> None:
    tested = "green" if summary["main_green"] else "RED"
    say(
        "",
        f"{summary['landed']} landed, {summary['held']} held, {summary['sent_back']} sent back and mended, "
        f"{summary['kept_apart']} kept apart; main is {tested}",
        f"held: red together with {summary['culprit']}, although each is green alone",
        f"approved by delegation {summary['approved_by_delegation']}, by the person {summary['approved_by_person']}",
        f"{summary['wall_s']} s, critical path {summary['critical_path_s']} s, "
        f"cost ${summary['cost_usd']:.2f} (rehearsed), {summary['events']} events in the journal",
        enclosure(summary),
        "",
        f"the repository: {repository}",
        _git(repository, "log", "--graph", "--oneline", "main").rstrip(),
    )
