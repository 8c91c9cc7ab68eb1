"""What follows what happens: rows of tool calls, the board that draws itself anew, and a tmux of Heddle's own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from support.command_line import board, event, heddle, row
from support.fleet import make_repository, scene, write_script
from support.stand_in import StandIn
from support.visitor import Visitor

HEDDLE = (sys.executable, "-m", "heddle.frontends.cli")


def tool(position: int, kind: str, title: str, task: str = "T7") -> dict[str, Any]:
    return event("tool-used", position, f"session:{task}-1-execute-1.1", kind=kind, title=title)


CALLS = (
    tool(5, "read", "Read a.py"),
    tool(6, "read", "Read b.py"),
    tool(7, "run", "pytest -q"),
    tool(8, "edit", "Write c.py", "T8"),
    tool(9, "edit", "Edit a.py"),
    event("landed", 10, commit="0123456789abcdef", branch="main"),
)


def test_calls_of_one_task_in_a_row_are_one_line(daemon: StandIn) -> None:
    daemon.answers |= {"daemon": {"position": 4}, "board": board(row())}
    daemon.events = CALLS
    ended = heddle("watch")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out == snapshot("""\
00:00:00  T7    3 calls (2 read, 1 run), last run: pytest -q
00:00:00  T8    edit: Write c.py
00:00:00  T7    edit: Edit a.py
00:00:00  T7    landed on main as 0123456789ab
""")
    assert len(heddle("watch", "--each").out.splitlines()) == 6
    assert len(heddle("watch", "--json").out.splitlines()) == 6


def test_on_a_terminal_the_line_grows(daemon: StandIn) -> None:
    daemon.answers |= {"daemon": {"position": 4}, "board": board(row())}
    daemon.events = CALLS
    visitor = Visitor([*HEDDLE, "watch"], size=(30, 60))
    try:
        visitor.see(r"\r\x1b\[K00:00:00  T7    read: Read a.py")
        visitor.see(r"\r\x1b\[K00:00:00  T7    2 calls \(2 read\), last read: Read b.py")
        visitor.see(r"\r\x1b\[K00:00:00  T7    3 calls \(2 read, 1 run\), last run: pytest -q\r\n")
        visitor.see("landed on main")
        assert visitor.left() == 0
    finally:
        visitor.close()


def test_the_board_is_drawn_anew_until_it_shows_the_last_fact(daemon: StandIn) -> None:
    """Facts that came while it was drawn are on it already."""
    positions = iter((4, 7, 9))
    boards = iter(("first", "second", "third"))
    daemon.answers["daemon"] = lambda asked: {"position": next(positions)}
    daemon.answers["board"] = lambda asked: board(row(title=next(boards)))
    daemon.events = [event("tool-used", number) for number in range(5, 10)]
    visitor = Visitor([*HEDDLE, "status", "--follow"])
    try:
        for title in ("first", "second", "third"):
            visitor.see(rf"\x1b\[H\x1b\[2J.*\n.*{title}")
        assert visitor.left() == 7  # this daemon ends after its last event
    finally:
        visitor.close()


def test_a_board_that_follows_needs_a_terminal(daemon: StandIn) -> None:
    ended = heddle("status", "--follow")
    assert (ended.status, ended.err.splitlines()[0]) == (2, "error: a board that follows needs a terminal")
    assert heddle("attach", "T7").status == 2


# ----------------------------------------------------------------------------------------- the real thing


class Own:
    """Heddle's own tmux, looked at from outside."""

    def __init__(self) -> None:
        self.socket = str(Path(os.environ["HEDDLE_RUNTIME_DIR"]) / "tmux.sock")

    def run(self, *words: str) -> str:
        done = subprocess.run(("tmux", "-S", self.socket, *words), capture_output=True, text=True, check=True)
        return done.stdout

    def panes(self) -> dict[str, str]:
        """What each pane shows, by what it is for."""
        listed = self.run("list-panes", "-s", "-t", "heddle", "-F", "#{pane_id} #{@heddle-task}").splitlines()
        return {
            name: self.run("capture-pane", "-p", "-t", pane) for pane, _, name in (e.partition(" ") for e in listed)
        }

    def see(self, holds: Callable[[dict[str, str]], bool]) -> dict[str, str]:
        """Wait until the panes are as they should be."""
        deadline = time.monotonic() + 30
        while not holds(panes := self.panes()):
            assert time.monotonic() < deadline, panes
            time.sleep(0.05)
        return panes


@pytest.fixture
def fleet(real_daemon: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Own]:
    """T1 and T2 execute and ask; whatever tmux server of ours was started is ended."""
    (tmp_path / "person.toml").write_text('[agent]\ndefault = "rehearsal"\n')
    steps = [
        {"do": "write", "path": "{task}.txt", "text": "hello\n"},
        {"do": "ask", "text": "go on?", "default": "yes"},
    ]
    scenes = [scene("execute", *steps, {"do": "document", "text": "done\n"})]
    monkeypatch.setenv("HEDDLE_CONFIG", str(tmp_path / "person.toml"))
    monkeypatch.setenv("HEDDLE_REHEARSAL_SCRIPT", str(write_script(tmp_path / "script.toml", scenes)))
    repository = make_repository(tmp_path / "app")
    for number in (1, 2):
        words = ("--lane", "quick", "--scope", f"{number}/**", "--check", "true", "--wait")
        assert heddle("start", f"write {number}", *words, cwd=repository).status == 3
    own = Own()
    yield own
    subprocess.run(("tmux", "-S", own.socket, "kill-server"), capture_output=True, check=False)
    for id in ("T1", "T2"):
        heddle("stop", id)
    heddle("wait", "T1", "T2", "--timeout", "30")


@pytest.mark.needs("tmux")
def test_live_tasks_are_laid_out_on_a_tmux_of_our_own(fleet: Own, tmp_path: Path) -> None:
    theirs = ("tmux", "-S", str(tmp_path / "theirs"), "-f", os.devnull)
    subprocess.run((*theirs, "new-session", "-d", "-s", "mine", "cat"), check=True)
    try:
        told = json.loads(heddle("tmux", "--json").out)
        assert told == {"schema": "heddle.tmux/1", "socket": fleet.socket, "panes": ["T1", "T2"]}
        panes = fleet.see(lambda panes: panes and all("asks: go on?" in text for text in panes.values()))
        assert list(panes) == ["overview", "T1", "T2"]
        assert json.loads(heddle("tmux", "--json").out)["panes"] == ["T1", "T2"]  # nothing is laid out twice
        heddle("stop", "T2")
        fleet.see(lambda panes: list(panes) == ["overview", "T1"])
        listed = subprocess.run((*theirs, "list-panes", "-a", "-F", "#{session_name}"), capture_output=True, text=True)
        assert listed.stdout == "mine\n"
    finally:
        subprocess.run((*theirs, "kill-server"), check=True)


@pytest.mark.needs("tmux")
def test_control_mode_speaks_to_a_terminal_that_draws_panes_itself(fleet: Own) -> None:
    visitor = Visitor([*HEDDLE, "tmux", "--control"])
    try:
        visitor.see(r"%begin \d+")
        visitor.see(r"%session-changed \$\d+ heddle")
        visitor.type("\r")  # an empty line detaches
        visitor.see("%exit")
    finally:
        visitor.close()


@pytest.mark.needs("tmux")
def test_an_agents_screen_outlives_the_terminal_it_was_opened_from(fleet: Own) -> None:
    visitor = Visitor([*HEDDLE, "attach", "T1", "--tmux"])
    try:
        visitor.see("rehearsal, session")
        visitor.hang_up()
    finally:
        visitor.close()
    assert "attach-T1" in fleet.run("list-windows", "-t", "heddle", "-F", "#{window_name}").split()
    again = Visitor([*HEDDLE, "attach", "T1", "--tmux"])
    try:
        again.see("rehearsal, session")
        again.type("run echo still $((1 + 1)) here\r")
        again.see("still 2 here")
        again.type("quit\r")
        deadline = time.monotonic() + 30
        while "attach-T1" in fleet.run("list-windows", "-t", "heddle", "-F", "#{window_name}"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        again.process.send_signal(signal.SIGTERM)
        again.close()
