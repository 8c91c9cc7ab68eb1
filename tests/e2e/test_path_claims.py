"""What a session claims, others keep away from: until its attempt is over, or it is silent for longer than its lease."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from heddle.adapters.journal.memory import MemoryJournal
from heddle.core import events as e
from heddle.core.claim import PathClaim
from heddle.core.task import Lane, Stage, Task
from heddle.engine.runs import Runs
from support.fleet import Heddle, heddle, make_repository, scene, writes

TIER = '[sandbox]\ntier = "0"\n'


def claims(folder: Path, minutes: float) -> list[dict[str, Any]]:
    """T1 claims what T2 is to write, and works until it is told to end; T2 writes it."""
    claimed = json.dumps({"paths": ["b.txt"], "minutes": minutes})
    waits = f"touch {folder}/claimed; until [ -e {folder}/go ]; do sleep 0.02; done"
    mine = scene(
        "execute",
        {"do": "tool", "tool": "claim_paths", "arguments": claimed},
        {"do": "run", "command": waits},
        {"do": "write", "path": "a.txt", "text": "a\n"},
        {"do": "document", "text": "done\n"},
        task="Task: T1\n",
    )
    return [mine, *writes("b.txt")]


async def claimed(fleet: Heddle, folder: Path) -> None:
    """T1's session has claimed b.txt, and T2 that is to write it was asked for."""
    await fleet.start("write a", lane="quick", scope=["a.txt"], checks=["test -s a.txt"])
    async with asyncio.timeout(30):
        while not (folder / "claimed").exists():
            await asyncio.sleep(0.02)
    await fleet.start("write b", lane="quick", scope=["b.txt"], checks=["test -s b.txt"])


async def test_c1_who_is_to_write_what_a_session_claims_waits_until_its_attempt_is_over(tmp_path: Path) -> None:
    async with heddle(tmp_path, make_repository(tmp_path / "repo"), claims(tmp_path, 30.0), TIER) as fleet:
        await claimed(fleet, tmp_path)
        assert await fleet.house.desk.fleet.up_to_date(20.0)
        waiting, holder = [await fleet.call("task.why", task=task) for task in ("T2", "T1")]
        assert (waiting["slug"], waiting["who"]) == ("paths-claimed", "task")
        assert waiting["reason"] == "kept apart from T1: 'b.txt' meets 'b.txt', which its session claims"
        assert (holder["claims"], waiting["claims"]) == (["b.txt"], [])
        (tmp_path / "go").touch()
        rows = await fleet.until("T1", "T2")
        assert [row["status"] for row in rows] == ["landed", "landed"], [row["why"] for row in rows]
        ended, began = [
            await fleet.until_kind(*wanted) for wanted in (("T1", "result-delivered"), ("T2", "stage-started"))
        ]
        assert began["position"] > ended["position"]
        assert (await fleet.call("task.why", task="T1"))["claims"] == []


async def test_a_claim_of_a_session_that_is_silent_ends_with_its_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("heddle.engine.fleet.RETRY_S", 0.1)
    async with heddle(tmp_path, make_repository(tmp_path / "repo"), claims(tmp_path, 0.03), TIER) as fleet:
        await claimed(fleet, tmp_path)
        assert (await fleet.until("T2"))[0]["status"] == "landed"
        assert "result-delivered" not in await fleet.kinds("T1")
        (tmp_path / "go").touch()
        assert (await fleet.until("T1"))[0]["status"] == "landed"


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> float:
        return self.at


async def test_a_lease_is_renewed_by_what_a_session_does_and_ends_with_its_attempt_also_after_a_restart() -> None:
    clock, session = Hand(), "T1-1-execute-1.1"
    journal = MemoryJournal(clock)
    runs = Runs(journal)
    begun = (e.RunStarted(1, "m0"), e.StageStarted(Stage.EXECUTE, 1, "T1-1-execute-1"))
    await runs.record("T1", e.TaskAdded(Task("T1", "r", "/r", "main", "do it", Lane.QUICK)), *begun)
    claim = PathClaim("T1", session, ("a.txt",), 30.0, 30.0)
    await runs.claim_paths("r", claim, 0.0)
    for clock.at in (20.0, 45.0):
        await runs.record_other(f"session:{session}", e.ToolUsed(1, "run", "make", ()))
    again = Runs(journal)
    await again.load()
    for one in (runs, again):
        assert (one.path_claims("r", 74.0), one.path_claims("r", 75.0)) == ((claim,), ())
    runs.renew(session, 70.0)
    assert runs.path_claims("r", 99.0) == (claim,)
    await runs.record("T1", e.StageFailed(Stage.EXECUTE, 1, "stalled", "no"))
    assert runs.path_claims("r", 70.0) == ()
