"""Every provider of workspaces, with a repository to make them of."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from heddle.ports import Workspace, Workspaces
from repositories import Sample
from support.yard import PROVIDERS, Yard

KINDS = [
    pytest.param(kind, marks=pytest.mark.needs("boxes") if kind == "instant" else ()) for kind in sorted(PROVIDERS)
]


@pytest_asyncio.fixture(params=KINDS)
async def yard(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Yard]:
    sample = Sample(tmp_path)
    sample.commit({".gitignore": "*.log\nkept/\n.env\n", "tool.sh": "#!/bin/sh\n"}, "second")
    made = Yard(request.param, tmp_path / "state", Path(os.environ["HEDDLE_RUNTIME_DIR"]), sample)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def house(yard: Yard) -> Workspaces:
    return await yard.open()


@pytest_asyncio.fixture
async def workspace(yard: Yard, house: Workspaces) -> Workspace:
    return await yard.make(house)
