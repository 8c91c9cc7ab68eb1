"""An engine that believes the agent."""

import pytest

from heddle.adapters.workspaces.worktree import WorktreeWorkspace
from heddle.ports import Change, Changes, Collected


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """A result without a change counts as one."""
    real = WorktreeWorkspace.collect

    async def believing(self: WorktreeWorkspace, message: str) -> Collected:
        got = await real(self, message)
        return Collected(got.commit, got.tree, Changes((Change("b.txt", "added"),)), got.own)

    monkeypatch.setattr(WorktreeWorkspace, "collect", believing)
