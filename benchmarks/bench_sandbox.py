"""What a box costs: its start, commands in it, its memory, and the work done inside, against the same without one."""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.ground import Ground, below, delete, median, memory_kb, row, run_to_end, say, timed, timed_async

from heddle.adapters.sandbox.box import Box
from heddle.adapters.sandbox.none import Unconfined
from heddle.adapters.workspaces.instant.provider import InstantWorkspaces
from heddle.adapters.workspaces.instant.workspace import InstantWorkspace
from heddle.ports import Command, Workspace

FILES = {True: 2_000, False: 27_000}
MANY = 50
TRUE = "/bin/true"
FURTHER_S = 0.005
FIRST_COMMANDS_S = 3.0
LOAD = "git status --porcelain >/dev/null && python3 -m compileall -q -f -x '/part[1-9]' src && git status --porcelain"
"""Reads every file's facts twice and writes some 800 files."""

Rows = list[dict[str, Any]]


def run(quick: bool) -> dict[str, Any]:
    """Rows with `ours` and `baseline` in the same unit; `ratio` is ours to baseline and should be at most `goal`."""
    say(f"a repository of {FILES[quick]} files")
    with tempfile.TemporaryDirectory(prefix="hd-") as place:
        rows = asyncio.run(_rows(Ground(Path(place), FILES[quick]), quick))
        delete(Path(place) / "workspaces")
    return {"name": "sandbox", "rows": rows}


async def _rows(ground: Ground, quick: bool) -> Rows:
    times = 5 if quick else 15
    bare_s = timed(lambda: subprocess.run([TRUE], check=True), 20)
    async with ground.house() as house:
        await ground.lay_base(house)
        rows = [*await _first_commands(ground, house, times)]
        rows += await _further_commands(ground, house, bare_s, times)
        rows.append(await _load(ground, house, 1 if quick else 3))
    return rows


async def _first_commands(ground: Ground, house: InstantWorkspaces, times: int) -> Rows:
    """From nothing: a workspace, its box, a command that ends; one, and MANY at once."""

    async def start() -> None:
        await run_to_end(await house.create(ground.order()), ground.command(TRUE))

    await start()  # the zygote lives from now on
    one_s = await timed_async(start, times)
    began = time.perf_counter()
    made = await asyncio.gather(*(house.create(ground.order()) for _ in range(MANY)))
    await asyncio.gather(*(run_to_end(workspace, ground.command(TRUE)) for workspace in made))
    many_s = time.perf_counter() - began
    box = house.boxes
    assert isinstance(box, Box)
    session_kb = await _session_kb(ground, box, made)
    add_s = timed(ground.add_worktree, 3)
    goal = 1 / 40 if ground.files > 20_000 else 0.3
    return [
        row(f"{ground.files}: first command from nothing, s (1 add)", add_s, one_s, goal),
        row(f"{ground.files}: {MANY} of them at once, s (1 add, scaled)", add_s * MANY, many_s, goal),
        row(f"{ground.files}: {MANY} of them, s, of what is promised", FIRST_COMMANDS_S, many_s, 1.0),
        row(f"memory of each of {MANY} waiting, PSS, KiB (1 python)", _idle_python_kb(), session_kb, 3.5),
    ]


async def _further_commands(ground: Ground, house: InstantWorkspaces, bare_s: float, times: int) -> Rows:
    """In a box that lives, and without any box."""
    box = house.boxes
    assert isinstance(box, Box)
    workspace = await house.create(ground.order())
    assert isinstance(workspace, InstantWorkspace)
    seen = workspace.view()
    start_s = await timed_async(lambda: box.run_in(seen, (TRUE,)))
    further_s = await timed_async(lambda: box.run_in(seen, (TRUE,)), 4 * times)
    held_s = await timed_async(lambda: run_to_end(workspace, ground.command(TRUE)), times)
    bare_held_s = await _held_bare_s(ground, times)
    return [
        row("box made, first command run in it, s (bare)", bare_s, start_s, 50.0),
        row("further command, s (bare)", bare_s, further_s, 10.0),
        row("further command, s, of what is promised", FURTHER_S, further_s, 1.0),
        row("held command, s (held without a box)", bare_held_s, held_s, 1.5),
    ]


async def _held_bare_s(ground: Ground, times: int) -> float:
    sandbox = Unconfined(ground.folder / "bare", ground.runtime, ground.env)

    async def hold() -> None:
        ground.made += 1
        await (await sandbox.start(Command(f"bare{ground.made}", (TRUE,), "/"))).exit()

    await hold()
    held_s = await timed_async(hold, times)
    await sandbox.close()
    return held_s


async def _session_kb(ground: Ground, box: Box, made: Sequence[Workspace]) -> float:
    """All that lives because of one session that waits: two holders, the init, the minder, and a sleeper of its own."""
    sleepers = await asyncio.gather(*(workspace.enter(ground.command("sleep", "1000")) for workspace in made))
    held = [box.of(key) for key in (*await box.live(), *await box.live(boxes=True))]
    holders = [(one.folder.load(one.folder.started) or {})["holder"] for one in held]
    total_kb = sum(memory_kb(pid) for holder in holders for pid in (holder, *below(holder)))
    await asyncio.gather(*(sleeper.stop(0) for sleeper in sleepers))
    return total_kb / len(made)


async def _load(ground: Ground, house: InstantWorkspaces, times: int) -> dict[str, Any]:
    """Work on the tree, in a fresh box each time and in a fresh worktree."""
    words = ("sh", "-ec", LOAD)
    pairs = []
    for _ in range(times):
        workspace, tree = await house.create(ground.order()), ground.add_worktree()
        ground.git("status", cwd=tree)
        await run_to_end(workspace, ground.command("git", "status"))
        bare = partial(subprocess.run, words, cwd=tree, env=ground.env, check=True, capture_output=True)
        pairs.append((timed(bare), await timed_async(partial(run_to_end, workspace, ground.command(*words)))))
    baseline, ours = (median(list(taken)) for taken in zip(*pairs, strict=True))
    return row(f"{ground.files}: git status, compileall, git status, s", baseline, ours, 1.25)


def _idle_python_kb() -> float:
    command = [sys.executable, "-c", "print(flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        used_kb = memory_kb(process.pid)
        process.kill()
    return used_kb
