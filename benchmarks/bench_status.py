"""What polling costs: the CPU of `heddle status --json` on a living daemon against that of `python -c pass`."""

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HEDDLE = (sys.executable, "-m", "heddle.frontends.cli")
BARE = (sys.executable, "-c", "pass")
STATUS = (*HEDDLE, "status", "--json")
GOAL = 4.0


def run(quick: bool) -> dict[str, Any]:
    """Rows with `ours` and `baseline` in CPU seconds a call; `ratio` is ours to baseline and should be at most `goal`."""
    with tempfile.TemporaryDirectory(prefix="hd-") as place:
        env = os.environ | {"HEDDLE_HOME": f"{place}/state", "HEDDLE_RUNTIME_DIR": f"{place}/run", "HOME": place}
        try:
            _add_tasks(Path(place) / "repository", 5 if quick else 50, env)
            rounds = 10 if quick else 40
            pairs = [[_cpu_s(command, env) for command in (BARE, STATUS)] for _ in range(rounds + 1)]
        finally:
            subprocess.run((*HEDDLE, "daemon", "stop"), env=env, check=True, stdout=subprocess.DEVNULL)
    # the first round fills caches
    baseline, ours = (sorted(taken)[len(taken) // 2] for taken in zip(*pairs[1:], strict=True))
    row = {"what": "heddle status --json", "baseline": baseline, "ours": ours, "ratio": ours / baseline, "goal": GOAL}
    return {"name": "status", "rows": [row]}


def _add_tasks(repository: Path, count: int, env: Mapping[str, str]) -> None:
    repository.mkdir()
    git = ("git", "-c", "user.name=Bench", "-c", "user.email=bench@example.com", "-c", "commit.gpgsign=false")
    for words in (("init", "-q", "-b", "main"), ("commit", "-q", "--allow-empty", "-m", "first")):
        subprocess.run((*git, *words), cwd=repository, env=env, check=True)
    for number in range(count):
        add = (*HEDDLE, "task", "add", f"task {number}: something that is to be done some day")
        subprocess.run(add, cwd=repository, env=env, check=True, stdout=subprocess.DEVNULL)


def _cpu_s(command: Sequence[str], env: Mapping[str, str]) -> float:
    """CPU seconds, user and system, of one run; the daemon's own are not among them: it is no child that was waited for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
