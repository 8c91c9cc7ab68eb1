"""A result that takes everything."""

from typing import Any

import pytest

from heddle.adapters.workspaces.private import PrivateWorkspace
from heddle.adapters.workspaces.worktree import WorktreeWorkspace


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules of a result are those of recovery."""

    def lax(real: Any) -> Any:
        async def whole(self: object, *, whole: bool = False) -> object:
            return await real(self, whole=True)

        return whole

    monkeypatch.setattr(WorktreeWorkspace, "_snapshot", lax(WorktreeWorkspace._snapshot))
    monkeypatch.setattr(PrivateWorkspace, "_read", lax(PrivateWorkspace._read))
