"""A result that takes everything."""

import pytest

from heddle.adapters.workspaces.worktree import WorktreeWorkspace
from heddle.ports import Snapshot


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules of a result are those of recovery."""
    real = WorktreeWorkspace._snapshot

    async def whole(self: WorktreeWorkspace, *, whole: bool = False) -> Snapshot:
        return await real(self, whole=True)

    monkeypatch.setattr(WorktreeWorkspace, "_snapshot", whole)
