"""What a live session of each real agent takes: `HEDDLE_TEST_CLAUDE=... python tests/measure_sessions.py claude codex`.

One task per agent, in a box, in the middle of a turn that the model server of the tests holds back. Counted are all
processes that see the session's folders: the agent with its helpers, and what keeps its box. Memory is the proportional
share (PSS), processor time is of a window in which nothing happens.
"""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import gemini_cli
from modelserver import ModelServer, Turn, When
from support import claude_brand, codex_brand, opencode_brand
from support.fleet import heddle, make_repository

BRANDS = {"claude": claude_brand, "codex": codex_brand, "gemini": gemini_cli, "opencode": opencode_brand}
WINDOW_S = 10.0


def environment(url: str) -> dict[str, str]:
    """What leads every agent to the model server."""
    anthropic = {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "test"}
    openai = {"OPENAI_BASE_URL": f"{url}/v1", "CODEX_API_KEY": "test"}
    return anthropic | openai | {"LOCAL_ENDPOINT": f"{url}/v1", "LOCAL_MODEL": "coder"} | gemini_cli.environment(url)


def processes(state: Path) -> Iterator[Path]:
    """The processes that see a session's out folder at its place in the box."""
    outs = [folder.stat() for folder in state.glob("*/*/t*/out")]
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            seen = (folder / "root" / "heddle" / "out").stat()
            if any(os.path.samestat(seen, out) for out in outs):
                yield folder


def taken(state: Path) -> tuple[int, float, float]:
    """Number of processes, memory in MB, processor seconds so far."""
    count, memory_kb, ticks = 0, 0, 0
    for folder in processes(state):
        with suppress(OSError):
            rollup = (folder / "smaps_rollup").read_text()
            memory_kb += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
            count += 1
    return count, memory_kb / 1024, ticks / os.sysconf("SC_CLK_TCK")


async def measure(name: str) -> dict[str, object]:
    """One agent's session, live."""
    with tempfile.TemporaryDirectory(prefix="hd-") as place, ModelServer() as server:
        folder = Path(place)
        os.environ |= {"HOME": place, "HEDDLE_HOME": f"{place}/state", "HEDDLE_RUNTIME_DIR": f"{place}/run"}
        server.play(When(stage="research"), Turn("# Research\n- a.py:1\n", gate="held"))
        BRANDS[name].write_brand(folder)
        env = {"HEDDLE_AGENT": name, **environment(server.url)}
        async with heddle(folder, make_repository(folder / "repo"), None, "", **env) as fleet:
            id = await fleet.start("look around", agent=name)
            await asyncio.to_thread(server.wait_at, "held", 1, 120.0)
            began = taken(folder / "state")
            await asyncio.sleep(WINDOW_S)
            count, memory_mb, busy_s = taken(folder / "state")
            await fleet.call("task.stop", task=id)
            server.open("held")
    return {
        "agent": name,
        "processes": count,
        "memory_mb": round(memory_mb),
        "cpu_s_until_first_turn": round(began[2], 2),
        f"cpu_s_in_{WINDOW_S:.0f}_s_of_waiting": round(busy_s - began[2], 2),
    }


async def main() -> None:
    for name in sys.argv[1:] or BRANDS:
        print(json.dumps(await measure(name)), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
