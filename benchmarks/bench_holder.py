"""What a holder costs: starting fifty held processes against fifty bare interpreters, and the memory of each."""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from heddle.adapters.sandbox.held import HeldProcess
from heddle.adapters.sandbox.none import Unconfined
from heddle.ports import Command


def run(quick: bool) -> dict[str, Any]:
    """Rows with `ours` and `baseline` in the same unit; `ratio` is ours to baseline and should be at most `goal`."""
    count = 20 if quick else 50
    bare_s = _bare_starts_s(count)
    with tempfile.TemporaryDirectory(prefix="hd-") as place:
        held_s, memory_kb = asyncio.run(_held_starts(Path(place), count))
    return {
        "name": "holder",
        "rows": [
            _row(f"start of {count} held processes, s", bare_s, held_s, 1.0),
            _row("memory of one holder (PSS), KiB", _bare_memory_kb(), memory_kb, 1.0),
        ],
    }


def _row(what: str, baseline: float, ours: float, goal: float) -> dict[str, Any]:
    return {"what": what, "baseline": baseline, "ours": ours, "ratio": ours / baseline, "goal": goal}


def _bare_starts_s(count: int) -> float:
    began = time.perf_counter()
    for process in [subprocess.Popen([sys.executable, "-c", "pass"]) for _ in range(count)]:
        process.wait()
    return time.perf_counter() - began


async def _held_starts(place: Path, count: int) -> tuple[float, float]:
    sandbox = Unconfined(place / "held", place / "run", os.environ)
    await (await sandbox.start(Command("warm", ("true",), "/"))).exit()
    began = time.perf_counter()
    commands = [Command(f"k{number}", ("cat",), "/", stdin="pipe") for number in range(count)]
    everyone = await asyncio.gather(*map(sandbox.start, commands))
    took_s = time.perf_counter() - began
    memory_kb = sum(map(_memory_kb, map(_holder, everyone))) / count
    await asyncio.gather(*(held.stop(grace_s=1.0) for held in everyone))
    await sandbox.close()
    return took_s, memory_kb


def _holder(held: HeldProcess) -> int:
    return int((held.folder.load(held.folder.started) or {})["holder"])


def _bare_memory_kb() -> float:
    command = [sys.executable, "-c", "print(flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        memory_kb = _memory_kb(process.pid)
        process.kill()
    return memory_kb


def _memory_kb(pid: int) -> float:
    """The proportional set size: shared pages counted by share."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return float(rollup.partition("\nPss:")[2].split()[0])
