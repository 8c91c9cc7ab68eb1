"""Reading what a live instant workspace holds, by several at once: nobody is told half of another's answer."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from heddle.adapters.sandbox.box import Box
from heddle.ports import Ran
from repositories import Sample
from support.yard import Yard


@pytest_asyncio.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    made = Yard("instant", tmp_path / "state", Path(os.environ["HEDDLE_RUNTIME_DIR"]), Sample(tmp_path))
    yield made
    await made.close()


async def test_a_look_between_reading_and_fetching_costs_the_session_nothing(
    yard: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = await yard.make(await yard.open())
    await yard.run(workspace, "echo 1 > first")
    run_in = Box.run_in
    looks: list[asyncio.Task[Any]] = []

    async def disturbed(self: Box, *told: Any, **more: Any) -> Ran:
        ran = await run_in(self, *told, **more)
        if not looks:  # the session goes on, and a person looks, before what was read is fetched
            await yard.run(workspace, "echo 2 > second")
            looks.append(asyncio.create_task(workspace.export(tmp_path / "look")))
            await asyncio.wait(looks, timeout=1.0)
        return ran

    monkeypatch.setattr(Box, "run_in", disturbed)
    collected = await workspace.collect("result")
    assert [change.path for change in collected.changes.paths] == ["first"]
    await asyncio.gather(*looks)
    assert (tmp_path / "look" / "second").read_text() == "2\n"
