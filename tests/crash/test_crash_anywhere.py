"""W6: kill -9 the daemon before and after every journal commit, start it again, finish: the same journal, the same refs.

One uninterrupted life counts N commits; then each commit is died at once, before and after it. Nothing may be done
twice, nothing forgotten, and no process may be left.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

LIFE = Path(__file__).with_name("life.py")
LEAST = 40


def live(when: str, number: int) -> dict[str, Any]:
    """One life in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="hd-", dir="/tmp") as folder:
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, str(LIFE), f"{folder}/life", when, str(number)]
        Path(folder, "life").mkdir()
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=120)
        assert done.returncode == 0, f"{when} {number}: {done.stderr[-3000:]}"
        told: dict[str, Any] = json.loads(done.stdout)
        return told


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("when", ["before", "after"])
def test_w6_a_kill_at_any_journal_commit_changes_nothing(
    when: str, record_property: Callable[[str, object], None]
) -> None:
    whole = live("never", 0)
    assert whole["status"] == "landed"
    assert whole["commits"] >= LEAST
    for number in range(1, whole["commits"] + 1):
        told = live(when, number)
        assert told["starts"] == 2, f"{when} {number}"
        assert told["status"] == "landed", f"{when} {number}"
        assert told["facts"] == whole["facts"], f"{when} {number}"
        assert told["refs"] == whole["refs"], f"{when} {number}"
        assert told["left"] == [], f"{when} {number}"
    count = whole["commits"]
    record_property("crash suite", f"N={count} commits; {count} kills {when} a commit, all recovered")
