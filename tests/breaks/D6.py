"""A workspace that is made again when it is gone."""

from pathlib import Path

import pytest

from heddle.adapters.workspaces.worktree import WorktreeWorkspace


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody asks whether the tree is still the one that was made."""

    async def here(self: WorktreeWorkspace) -> None:
        Path(self.tree).mkdir(exist_ok=True)

    monkeypatch.setattr(WorktreeWorkspace, "_require_here", here)
