"""W6: kill -9 the daemon before and after every journal commit, start it again, finish: the same journal, the same refs.

One uninterrupted life counts N commits; then each commit is died at, before and after it. Nothing may be done twice,
nothing forgotten, and no process may be left. A life dies several times, STRIDE commits apart: each death must have
changed nothing for the end to be that of the uninterrupted life, and every commit is died at in one of the lives.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

LIFE = Path(__file__).with_name("life.py")
LEAST = 40
STRIDE = 7
"""Of as many commits one is died at in each of the interrupted lives."""


def live(when: str, *deaths: int) -> dict[str, Any]:
    """One life in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="hd-", dir="/tmp") as folder:
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, str(LIFE), f"{folder}/life", when, *map(str, deaths)]
        Path(folder, "life").mkdir()
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=240)
        assert done.returncode == 0, f"{when} {deaths}: {done.stderr[-3000:]}"
        told: dict[str, Any] = json.loads(done.stdout)
        return told


@lru_cache
def uninterrupted() -> dict[str, Any]:
    """The life that all others are compared with."""
    return live("never")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", range(1, STRIDE + 1))
@pytest.mark.parametrize("when", ["before", "after"])
def test_w6_a_kill_at_any_journal_commit_changes_nothing(
    when: str, first: int, record_property: Callable[[str, object], None]
) -> None:
    whole = uninterrupted()
    assert whole["status"] == "landed"
    assert whole["commits"] >= LEAST
    deaths = range(first, whole["commits"] + 1, STRIDE)
    told = live(when, *deaths)
    assert told["died"] == [number for number in deaths if number <= told["commits"]]
    assert told["starts"] == 1 + len(told["died"])
    assert told["status"] == "landed"
    assert told["commits"] >= LEAST  # the same facts, but a commit may hold more of them
    assert told["facts"] == whole["facts"]
    assert told["refs"] == whole["refs"]
    assert told["left"] == []
    record_property(
        f"crash suite, {when} a commit", f"{len(told['died'])} of {whole['commits']}, {first} and on: all recovered"
    )
