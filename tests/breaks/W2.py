"""A removal that takes a path for a proof."""

import os
from pathlib import Path

import pytest

from heddle.adapters.workspaces.worktree import WorktreeWorkspace, WorktreeWorkspaces
from heddle.ports import Removal


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever lies at the path goes, and workspaces may lie anywhere."""

    async def remove(self: WorktreeWorkspace) -> Removal:
        house = self._house
        house.trash.mkdir(parents=True, exist_ok=True)
        os.rename(Path(self.tree).parent, house.trash / self.id)
        return Removal("", trashed=True)

    monkeypatch.setattr(WorktreeWorkspace, "remove", remove)
    monkeypatch.setattr(WorktreeWorkspaces, "_require_outside", lambda self: None)
