"""What a look at all pairs costs in CPU: one of 50 sessions changed, and all at once, against a git process for each pair."""

import asyncio
import random
import resource
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from benchmarks.ground import LINE, PER_FOLDER, Ground, row

from heddle.adapters.git import GitRepository, open_repository
from heddle.engine.comparison import Comparison, Line

FILES = 700
SESSIONS, FEW = 50, 12
HOT = 40
"""One in so many changes is to a file that several sessions change."""


def run(quick: bool) -> dict[str, Any]:
    """Rows with `ours` and `baseline` in CPU seconds, children included; `ratio` is ours to baseline and should be at most `goal`."""
    with tempfile.TemporaryDirectory(prefix="hd-") as place:
        return asyncio.run(_run(Ground(Path(place), FILES), FEW if quick else SESSIONS, 2 if quick else 5))


async def _run(ground: Ground, sessions: int, rounds: int) -> dict[str, Any]:
    repository, dice = await open_repository(ground.checkout, ground.env), random.Random(50)
    made = [_side(ground, dice) for _ in range(sessions)]
    lines = [Line(f"T{n}", ground.base, tree, "main") for n, (_, tree) in enumerate(made, start=1)]

    async def each(number: int) -> None:
        for other, _ in made[:number] + made[number + 1 :]:
            await _spawn(repository, made[number][0], other)

    async def all_pairs() -> None:
        for number in range(sessions):
            for other, _ in made[number + 1 :]:
                await _spawn(repository, made[number][0], other)

    comparison = Comparison(repository)
    whole = await _cpu_s(lambda: comparison.drifts(lines))
    whole_baseline = await _cpu_s(all_pairs)
    found = list((await comparison.drifts(lines)).values())
    ours, baseline = [], []
    for _ in range(rounds):
        number = dice.randrange(sessions)
        made[number] = _side(ground, dice)
        lines[number] = Line(lines[number].task, ground.base, made[number][1], "main")
        ours.append(await _cpu_s(lambda: comparison.drifts(lines)))
        baseline.append(await _cpu_s(lambda number=number: each(number)))
    rows = [
        row(f"one of {sessions} sessions changed", sorted(baseline)[rounds // 2], sorted(ours)[rounds // 2], 0.1),
        row(f"all {sessions} sessions at once", whole_baseline, whole, 0.1),
    ]
    met = sum(drift.level != 0 for drift in found)
    return {"name": f"radar ({met} of {sessions * (sessions - 1) // 2} pairs share a file)", "rows": rows}


async def _cpu_s(action: Callable[[], Awaitable[object]]) -> float:
    before = _used()
    await action()
    return _used() - before


def _used() -> float:
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, kinds))


async def _spawn(repository: GitRepository, one: str, other: str) -> None:
    await repository.store.run("merge-tree", "--write-tree", "--name-only", one, other, ok=(0, 1))


def _side(ground: Ground, dice: random.Random) -> tuple[str, str]:
    """A commit on the base that changes a line in each of four files, and its tree."""
    ground.made += 1
    ref = f"refs/heads/side{ground.made}"
    told = [
        b"commit %s\ncommitter Bench <bench@example.com> 1700000001 +0000\ndata 4\nside\nfrom %s\n"
        % (ref.encode(), ground.base.encode())
    ]
    for _ in range(4):
        number = dice.randrange(3) if dice.randrange(HOT) == 0 else dice.randrange(FILES)
        lines = [LINE % (number, line) for line in range(16 + number % 48)]
        lines[dice.randrange(len(lines))] += b"# side %d\n" % ground.made
        folder, data = number // PER_FOLDER, b"".join(lines)
        path = b"src/part%d/group%d/file%d.py" % (folder // 20, folder, number)
        told.append(b"M 100644 inline %s\ndata %d\n%s\n" % (path, len(data), data))
    ground.git("fast-import", "--quiet", stdin=b"".join(told))
    commit, tree = ground.git("rev-parse", ref, f"{ref}^{{tree}}").decode().split()
    return commit, tree
