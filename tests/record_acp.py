"""Record what agents say over ACP: `python tests/record_acp.py`. Writes tests/fixtures/acp/*.jsonl, the bare transcripts.

The rehearsal agent plays its default script; the reference is the agent made with the official SDK.
"""

import asyncio
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from heddle.core.session import Access, Brief
from support.acp_driver import driven

FIXTURES = Path(__file__).parent / "fixtures" / "acp"
AGENTS = {
    "rehearsal": ("-m", "heddle.rehearsal"),
    "reference": (str(Path(__file__).parent / "support" / "sdk_agent.py"),),
}
PERSON = "/home/person"


async def record(name: str, folder: Path) -> None:
    """One turn in an empty folder, every request granted."""
    tree, out = folder / "repo", folder / "out"
    for path in (tree, out):
        path.mkdir(parents=True)
    prompt = f"Task: T1\nStage: execute\nAttempt: 1\nOut: {out}\nDocument: handoff.md\n\nGo"
    brief = Brief("T1.1", prompt, Access.WRITE, str(tree), str(out))
    async with driven((sys.executable, *AGENTS[name]), brief, env=dict(os.environ)) as agent:
        await agent.turn()
    said = b"".join(line + b"\n" for line in agent.transcript)
    FIXTURES.mkdir(parents=True, exist_ok=True)
    (FIXTURES / f"{name}.jsonl").write_bytes(said.replace(str(folder).encode(), PERSON.encode()))


async def main() -> None:
    """Record every agent."""
    for name in AGENTS:
        with tempfile.TemporaryDirectory() as folder:
            await record(name, Path(folder) / "person")


if __name__ == "__main__":
    asyncio.run(main())
