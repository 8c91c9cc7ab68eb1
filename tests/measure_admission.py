"""How many sessions of the real Claude Code this machine admits: `HEDDLE_TEST_CLAUDE=... python tests/measure_admission.py`.

Tasks are started until one waits for room, each session in a box of its own and in the middle of a turn, which the model
server of the tests holds back. Prints how many live, what each takes, and what is left.
"""

import asyncio
import json
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from heddle.adapters.agents.brands import load_brand
from heddle.adapters.sandbox.headroom import memory_mb_available
from modelserver import ModelServer, Turn, When
from support.claude_brand import write_brand
from support.fleet import Heddle, heddle, make_repository

MOST = 400
PATIENCE_S = 300.0


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="hd-") as place, ModelServer() as server:
        folder = Path(place)
        os.environ |= {"HOME": place, "HEDDLE_HOME": f"{place}/state", "HEDDLE_RUNTIME_DIR": f"{place}/run"}
        server.play(When(stage="research"), Turn("# Research\n- a.py:1\n", gate="held"))
        write_brand(folder)
        config = f"[limits]\nsessions = {MOST}\nstall_s = 86400.0\n"
        before = memory_mb_available() or 0
        env = {"ANTHROPIC_BASE_URL": server.url, "ANTHROPIC_API_KEY": "test", "HEDDLE_AGENT": "claude"}
        async with heddle(folder, make_repository(folder / "repo"), None, config, **env) as fleet:
            live, why = await admitted(fleet, server)
            left = memory_mb_available() or 0
            told = {
                "sessions": live,
                "memory_mb_each": (before - left) // max(live, 1),
                "memory_mb_left": left,
                "why": why,
            }
            print(json.dumps({"memory_mb_before": before, **told}))
            server.open("held")


async def admitted(fleet: Heddle, server: ModelServer) -> tuple[int, str]:
    """Start tasks one after the other until one waits for room for good; how many work, and why no more do.

    A session that has just started counts with all that it may take; so room may come back once it has settled.
    """
    clock, size_mb = asyncio.get_running_loop().time, load_brand("claude").memory_mb
    for number in range(1, MOST):
        id, since = await fleet.start(f"task {number}"), clock()
        while True:
            with suppress(TimeoutError):
                await asyncio.to_thread(server.wait_at, "held", number, 1.0)
                break
            why = (await fleet.call("task.why", task=id))["reason"]
            if f"missing: {size_mb} MB" in why:  # for this one alone: those before it have settled
                return number - 1, why
            assert clock() - since < PATIENCE_S, why
    return MOST, "no more were asked for"


if __name__ == "__main__":
    asyncio.run(main())
