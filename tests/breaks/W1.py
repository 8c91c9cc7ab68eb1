"""A removal that thinks everything is kept already."""

import pytest

from heddle.adapters.workspaces.worktree import WorktreeWorkspace
from heddle.ports import Snapshot


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """No recovery ref is written."""

    async def nothing(self: WorktreeWorkspace, snapshot: Snapshot) -> str:
        return ""

    monkeypatch.setattr(WorktreeWorkspace, "_keep", nothing)
