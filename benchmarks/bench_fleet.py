"""What many sessions that live at once cost: time until all work, memory, disk, and the daemon while all of them wait.

A real daemon with the rehearsal agent, whose every session thinks until the benchmark is over.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.ground import Ground, below, delete, disk_kb, memory_kb, row, say, timed

from heddle import client

FILES = {True: 2_000, False: 27_000}
SESSIONS = {True: 10, False: 50}
WATCHED_S = 5.0
OF_A_CORE = 0.01
"""What the daemon may use while sessions wait (S3)."""

SCRIPT = '[[scene]]\nstage = "research"\nsteps = [{ do = "think", seconds = 3600 }]\n'

Rows = list[dict[str, Any]]


def run(quick: bool) -> dict[str, Any]:
    """Rows with `ours` and `baseline` in the same unit; `ratio` is ours to baseline and should be at most `goal`."""
    files, sessions = FILES[quick], SESSIONS[quick]
    say(f"{sessions} sessions in a repository of {files} files")
    with tempfile.TemporaryDirectory(prefix="hd-") as place:
        ground = Ground(Path(place), files)
        by_hand = _by_hand(ground)
        with _daemon(ground, sessions):
            rows = _live(ground, sessions, by_hand)
        delete(ground.folder / "state")
    return {"name": "fleet", "rows": rows}


@dataclass(frozen=True)
class ByHand:
    """The baseline, for one session: a worktree, and the agent alone in it."""

    begin_s: float
    end_s: float
    tree_kb: float
    agent_kb: float


def _by_hand(ground: Ground) -> ByHand:
    add_s = timed(ground.add_worktree, 3)
    paths = [str(path) for path in (ground.folder / "worktrees").iterdir()]
    tree_kb = disk_kb(Path(paths[0]))
    started_s, agent_kb = _agent()
    remove_s = timed(lambda: ground.git("worktree", "remove", "--force", paths.pop()), 3)
    return ByHand(add_s + started_s, remove_s, tree_kb, agent_kb)


def _live(ground: Ground, sessions: int, by_hand: ByHand) -> Rows:
    began = time.perf_counter()
    tasks = [client.call("task.start", root=str(ground.checkout), text=f"task {n}")["id"] for n in range(sessions)]
    _until("session-started", sessions)
    live_s = time.perf_counter() - began
    own = client.call("daemon")["pid"]
    holders = [json.loads(path.read_bytes())["holder"] for path in ground.folder.glob("state/holders/*/started.json")]
    trees = {pid for holder in holders if Path(f"/proc/{holder}").exists() for pid in (holder, *below(holder))}
    session_kb = sum(map(memory_kb, trees)) / sessions
    state = ground.folder / "state"
    used_kb = (disk_kb(state) - disk_kb(state / "bases")) / sessions
    used_s = _cpu_s(own)
    daemon_kb = memory_kb(own)
    ended_s = timed(lambda: _stop(tasks))
    what, large = f"{sessions} live: ", ground.files > 20_000
    return [
        row(
            f"{what}until all work, s (1 by hand, scaled)", by_hand.begin_s * sessions, live_s, 1 / 5 if large else 1.5
        ),
        row(f"{what}disk of each, KiB (1 worktree)", by_hand.tree_kb, used_kb, 1 / 200 if large else 1 / 20),
        row(f"{what}memory of each, PSS, KiB (its agent alone)", by_hand.agent_kb, session_kb, 3.0),
        row(f"{what}memory of the daemon, PSS, KiB (1 agent)", by_hand.agent_kb, daemon_kb, 10.0),
        row(f"{what}daemon's CPU in {WATCHED_S:g} s, s (1 % of a core)", WATCHED_S * OF_A_CORE, used_s, 1.0),
        row(
            f"{what}until all are removed, s (1 by hand, scaled)",
            by_hand.end_s * sessions,
            ended_s,
            1.0 if large else 5.0,
        ),
    ]


@contextmanager
def _daemon(ground: Ground, sessions: int) -> Iterator[None]:
    """One with a state of its own, found by the environment of this process."""
    person, script = ground.folder / "person.toml", ground.folder / "script.toml"
    person.write_text(f'[agent]\ndefault = "rehearsal"\n[limits]\nsessions = {sessions}\n')
    script.write_text(SCRIPT)
    places = {"HEDDLE_HOME": ground.folder / "state", "HEDDLE_RUNTIME_DIR": ground.folder / "run"}
    told = {**places, "HEDDLE_CONFIG": person, "HEDDLE_REHEARSAL_SCRIPT": script}
    os.environ.update({**ground.env, **{name: str(path) for name, path in told.items()}})
    try:
        yield
    finally:
        client.call("daemon.stop")
        while client.is_claimed():
            time.sleep(0.01)


def _until(kind: str, count: int) -> None:
    """Wait for so many events of a kind."""
    for event in client.follow():
        count -= event["kind"] == kind
        if count == 0:
            return


def _stop(tasks: list[str]) -> None:
    for task in tasks:
        client.call("task.stop", task=task)
    _until("workspace-removed", len(tasks))


def _cpu_s(pid: int) -> float:
    """What a process uses while nothing happens."""
    before = _used_s(pid)
    time.sleep(WATCHED_S)
    return _used_s(pid) - before


def _used_s(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _agent() -> tuple[float, float]:
    """The agent without anything around it: seconds until it answers its first message, and KiB then."""
    began, command = time.perf_counter(), [sys.executable, "-m", "heddle.rehearsal"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":1}}\n')
        process.stdin.flush()
        process.stdout.readline()
        started_s, used_kb = time.perf_counter() - began, memory_kb(process.pid)
        process.kill()
    return started_s, used_kb
