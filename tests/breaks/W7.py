"""A removal that keeps nothing."""

import pytest

from heddle.adapters.workspaces.worktree import WorktreeWorkspace
from heddle.ports import Snapshot


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """No recovery ref is written before a workspace goes."""

    async def nothing(self: WorktreeWorkspace, snapshot: Snapshot) -> str:
        return ""

    monkeypatch.setattr(WorktreeWorkspace, "_keep", nothing)
