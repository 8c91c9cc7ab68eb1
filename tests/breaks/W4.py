"""A workspace that is never in use."""

import pytest

from heddle.adapters.workspaces.worktree import WorktreeWorkspace


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody asks whether something lives in it."""

    async def idle(self: WorktreeWorkspace) -> None:
        return

    monkeypatch.setattr(WorktreeWorkspace, "_require_idle", idle)
