"""An engine that believes the agent."""

from dataclasses import replace
from typing import Any

import pytest

from heddle.adapters.workspaces import results
from heddle.ports import Change, Changes, Collected


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """A result without a change counts as one."""
    real = results.collect

    async def believing(*args: Any) -> Collected:
        return replace(await real(*args), changes=Changes((Change("b.txt", "added"),)))

    monkeypatch.setattr(results, "collect", believing)
