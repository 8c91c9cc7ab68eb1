"""Every kept promise is proved by tests that were seen to fail under its deliberate break."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from promises import PROMISES

ROOT = Path(__file__).parents[1]
IDS = {
    *(f"W{n}" for n in range(1, 12)),
    *(f"C{n}" for n in range(1, 8)),
    *(f"S{n}" for n in range(1, 8)),
    *(f"D{n}" for n in range(1, 7)),
    *(f"M{n}" for n in range(1, 9)),
    *(f"P{n}" for n in range(1, 5)),
    *(f"X{n}" for n in range(1, 8)),
}
BOXED = {"D4", "M6", "P2", "X4"}
"""Proved in boxes."""
KEPT = sorted(id for id, promise in PROMISES.items() if promise.tests)


def test_all_fifty_promises_are_listed_and_each_is_kept_or_owed() -> None:
    assert set(PROMISES) == IDS
    assert len(IDS) == 50
    for id, promise in PROMISES.items():
        assert bool(promise.tests) != bool(promise.owed), id


def test_every_break_belongs_to_a_kept_promise() -> None:
    breaks = {path.stem for path in (ROOT / "tests/breaks").glob("[A-Z]*.py")}
    assert set(KEPT) <= breaks
    assert breaks <= IDS


def run(nodes: tuple[str, ...], broken: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", "-q", "--timeout", "100", "-o", "addopts=", "--import-mode=importlib"]
    for plugin in ("cacheprovider", "xdist", "hypothesispytest", "inline_snapshot", "anyio"):  # a third of the start
        command += ["-p", f"no:{plugin}"]
    command += ["--break", broken, *nodes]
    env = os.environ | {"HEDDLE_TEST_BROKEN": broken}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=env)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "id", [pytest.param(id, marks=pytest.mark.needs("boxes") if id in BOXED else ()) for id in KEPT]
)
def test_the_proof_fails_under_its_break(id: str) -> None:
    promise = PROMISES[id]
    for node in promise.tests:
        assert (ROOT / node.partition("::")[0]).is_file(), node
    status, told = run(promise.tests, id)
    assert status == 1, told[-2000:]
    failed = {match.split("[")[0] for match in re.findall(r"^FAILED (\S+)", told, re.MULTILINE)}
    assert failed == set(promise.tests), told[-2000:]
