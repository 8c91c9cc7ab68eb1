"""A workspace that is made again when it is gone."""

from pathlib import Path

import pytest

from heddle.adapters.workspaces.private import PrivateWorkspace
from heddle.adapters.workspaces.worktree import WorktreeWorkspace


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody asks whether the tree is still the one that was made."""

    async def made_anew(self: WorktreeWorkspace) -> None:
        Path(self.tree).mkdir(exist_ok=True)

    def here(self: PrivateWorkspace) -> None:
        Path(self.tree).mkdir(exist_ok=True)

    monkeypatch.setattr(WorktreeWorkspace, "_require_here", made_anew)
    monkeypatch.setattr(PrivateWorkspace, "require_here", here)
