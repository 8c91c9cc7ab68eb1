"""The line to the daemon: starting it, finding it, and saying truly what went wrong with it. The daemon is the real one."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from heddle import places
from repositories import Sample
from support.command_line import Ended, board, heddle
from support.stand_in import StandIn


def until(holds: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "never came true"
        os.sched_yield()


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}", b"nonsense"])
def test_half_an_answer_is_never_taken_for_one(daemon: StandIn, answer: bytes) -> None:
    daemon.answers["board"] = answer
    ended = heddle("status")
    assert (ended.status, ended.out) == (7, "")
    assert "the daemon ended before it had answered" in ended.err


def test_an_error_that_makes_no_sense_is_told_as_such(daemon: StandIn) -> None:
    daemon.answers["board"] = {"error": {"kind": "strange"}}
    ended = heddle("status")
    assert (ended.status, "no answer that makes sense" in ended.err) == (7, True)


def test_a_word_that_is_not_utf_8_reaches_the_daemon_as_json(daemon: StandIn) -> None:
    daemon.answers["task.why"] = board()
    env = os.environ | {"COLUMNS": "100"}
    command = [sys.executable, "-m", "heddle.frontends.cli", "why", b"T\xff"]
    subprocess.run(command, env=env, capture_output=True, check=False)
    assert daemon.calls("task.why") == [{"task": "T\udcff"}]


def test_the_daemon_starts_by_itself_and_stops_when_told(real_daemon: None) -> None:
    absent = heddle("daemon", "status")
    assert (absent.status, absent.out) == (1, "no daemon is running\n")
    assert heddle("daemon", "stop").status == 0
    assert not Path(places.home()).exists()

    assert heddle("status").out == 'no tasks; begin with: heddle start "..."\n'
    told = json.loads(heddle("daemon", "status", "--json").out)
    assert (told["running"], told["home"]) == (True, places.home())
    assert Path(places.home(), "daemon.log").stat().st_mode & 0o777 == 0o600

    assert json.loads(heddle("daemon", "stop", "--json").out)["running"] is False
    assert heddle("daemon", "status", "--json").status == 1


def test_the_daemon_lives_on_when_the_command_that_started_it_is_interrupted(real_daemon: None) -> None:
    heddle("status")
    pid = json.loads(heddle("daemon", "status", "--json").out)["pid"]
    assert os.getsid(pid) == pid
    assert Path(f"/proc/{pid}/cwd").readlink() == Path("/")


def test_a_daemon_in_which_nothing_happens_does_nothing(real_daemon: None) -> None:
    heddle("status")
    pid = json.loads(heddle("daemon", "status", "--json").out)["pid"]

    def switches() -> int:
        told = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/status")]
        return sum(int(text.partition("\nvoluntary_ctxt_switches:")[2].split()[0]) for text in told)

    def naps() -> int:
        before = switches()
        subprocess.run(["sleep", "0.5"], check=True)
        return switches() - before

    until(lambda: naps() == 0)
    assert naps() <= 1


def test_commands_that_start_the_daemon_at_once_share_one(real_daemon: None) -> None:
    def pid(_: int) -> tuple[int, int]:
        ended = heddle("status", "--json")
        return ended.status, json.loads(heddle("daemon", "status", "--json").out)["pid"]

    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(pid, range(4)))
    assert len(set(told)) == 1
    assert told[0][0] == 0


def test_a_command_outlives_a_daemon_that_is_just_ending(real_daemon: None) -> None:
    """The lock of the old one is held for a moment longer: the one that gave way to it is started again."""
    Path(places.home()).mkdir(parents=True)
    with Path(places.home(), "daemon.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        silent = heddle("daemon", "status")
        assert (silent.status, "lives, but does not answer" in silent.err) == (7, True)
        command = [sys.executable, "-m", "heddle.frontends.cli", "status", "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            until(lambda: bool(_children(process.pid)))
            (first,) = _children(process.pid)
            until(lambda: _children(process.pid) != [first])
            fcntl.flock(lock, fcntl.LOCK_UN)
            out, _ = process.communicate(timeout=60)
    assert (process.returncode, json.loads(out)["tasks"]) == (0, [])


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_a_relative_state_folder_is_the_same_for_the_daemon(real_daemon: None, tmp_path: Path) -> None:
    ended = heddle("status", "--json", cwd=tmp_path, HEDDLE_HOME="own")
    assert ended.status == 0
    told = json.loads(heddle("daemon", "stop", "--json", cwd=tmp_path, HEDDLE_HOME="own").out)
    assert told["home"] == str(tmp_path / "own")


def test_nothing_in_the_working_folder_is_imported_by_the_daemon(real_daemon: None, tmp_path: Path) -> None:
    for name in ("heddle.py", "uvicorn.py", "sitecustomize.py"):
        (tmp_path / name).write_text("raise SystemExit(9)")
    command = [Path(sys.executable).parent / "python", "-P", "-m", "heddle.frontends.cli", "status"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, 'no tasks; begin with: heddle start "..."\n')


def test_a_daemon_that_cannot_start_says_why_with_its_own_error(real_daemon: None) -> None:
    Path(places.home()).mkdir(parents=True)
    Path(places.home(), "journal.db").write_bytes(b"not a database, though long enough to be looked at" * 99)
    ended = heddle("status")
    assert (ended.status, ended.out) == (4, "")
    assert "could not be read" in ended.err
    assert "heddle daemon start --keep-aside" in ended.err
    assert json.loads(heddle("status", "--json").out)["error"]["slug"] == "journal-unreadable"

    assert heddle("daemon", "start", "--keep-aside").status == 0
    assert heddle("status").status == 0


def test_a_daemon_that_dies_without_a_word_is_told_with_the_end_of_its_log(real_daemon: None, tmp_path: Path) -> None:
    (tmp_path / "uvicorn.py").write_text("raise RuntimeError('no such luck')")
    ended = heddle("status", PYTHONPATH=f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    assert ended.status == 4
    assert ended.err.replace(places.home(), "HOME") == snapshot("""\
error: the daemon did not start: RuntimeError: no such luck
hint: its log is 'HOME/daemon.log'
""")


def test_a_state_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = heddle("status", HEDDLE_HOME=str(tmp_path / "file" / "state"))
    assert (ended.status, ended.err.replace(str(tmp_path), "TMP")) == (
        4,
        snapshot("""\
error: no state folder 'TMP/file/state': Not a directory
hint: set HEDDLE_HOME to a folder that can be written
"""),
    )


def test_a_socket_path_that_is_too_long_is_an_error_before_anything_starts(tmp_path: Path) -> None:
    ended = heddle("status", HEDDLE_RUNTIME_DIR=str(tmp_path / ("x" * 120)))
    assert (ended.status, "set HEDDLE_RUNTIME_DIR to a shorter folder" in ended.err) == (4, True)
    assert not Path(places.home()).exists()


def test_a_runtime_folder_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="hd-") as shared:
        Path(shared).chmod(0o755)
        ended = heddle("status", HEDDLE_RUNTIME_DIR=shared)
        assert (ended.status, "is not ours alone" in ended.err) == (4, True)
        assert list(Path(shared).iterdir()) == []


@pytest.fixture
def sample() -> Iterator[Sample]:
    folder = Path(tempfile.mkdtemp(prefix="hd-"))
    yield Sample(folder)
    shutil.rmtree(folder, ignore_errors=True)


def test_a_task_goes_from_words_to_main_by_the_command_line_alone(real_daemon: None, sample: Sample) -> None:
    def ours(*words: str) -> Ended:
        return heddle(*words, cwd=sample.path, GIT_CONFIG_GLOBAL=sample.env["GIT_CONFIG_GLOBAL"])

    started = ours("start", "say hello", "--agent", "rehearsal", "--wait")
    assert (started.status, "gate-plan" in started.out) == (3, True)
    digest = json.loads(ours("plan", "show", "T1", "--json").out)["digest"]
    assert ours("approve", "T1", "--digest", "0000").status == 6
    assert ours("approve", "T1", "--digest", digest).status == 0
    waited = ours("wait", "T1", "--timeout", "90")
    while waited.status == 3:
        for one in json.loads(ours("inbox", "--json").out)["items"]:
            assert (
                ours(*(("answer", "T1", "--default") if one["kind"] == "question" else ("approve", "T1"))).status == 0
            )
        waited = ours("wait", "T1", "--timeout", "90")
    assert (waited.status, "landed" in waited.out) == (0, True), waited
    assert "Heddle-Task: T1" in sample.git("log", "-1", "--format=%B", "main")
    assert ours("diff", "T1").out.startswith("diff --git")
    assert "landed on main" in ours("why", "T1").out
    assert "landed on main" in ours("task", "show", "T1").out
    assert ours("watch", "T1").err == "T1 is over; see: heddle why T1\n"
    assert len(ours("session", "list", "T1").out.splitlines()) >= 3
    assert ours("events").out.count("session-started") >= 3
    assert ours("config", "explain", "limits.sessions").out.startswith("limits.sessions = 5")
    assert ours("stop", "T1").status == 2
    assert ours("why", "T99").err == snapshot("""\
error: there is no task 'T99'
hint: list tasks with: heddle status --all
""")


def test_an_agent_that_asks_the_daemon_from_within_its_session_is_told_no(
    daemon: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEDDLE_SESSION", "T1-1-plan-1.1")
    ended = heddle("approve", "T1")
    assert (ended.status, "decisions are the person's" in ended.err) == (6, True)
    assert daemon.calls("inbox.approve") == []
