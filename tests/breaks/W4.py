"""A workspace that is never in use."""

import pytest

from heddle.adapters.workspaces.clone.workspace import CloneWorkspace
from heddle.adapters.workspaces.worktree import WorktreeWorkspace


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody asks whether something lives in it."""

    async def idle(self: object) -> None:
        return

    monkeypatch.setattr(WorktreeWorkspace, "_require_idle", idle)
    monkeypatch.setattr(CloneWorkspace, "require_idle", idle)
