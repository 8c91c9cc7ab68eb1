"""A removal that takes a path for a proof."""

import os
from pathlib import Path
from typing import Any

import pytest

from heddle.adapters.workspaces import worktree
from heddle.adapters.workspaces.private import PrivateWorkspace, provider
from heddle.ports import Removal


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever lies at the path goes, and workspaces may lie anywhere."""

    async def remove(self: Any) -> Removal:
        house = self._house
        house.trash.mkdir(parents=True, exist_ok=True)
        os.rename(Path(self.tree).parent, house.trash / self.id)
        return Removal("", trashed=True)

    async def anywhere(*told: object) -> None:
        return

    for kind, module in ((worktree.WorktreeWorkspace, worktree), (PrivateWorkspace, provider)):
        monkeypatch.setattr(kind, "remove", remove)
        monkeypatch.setattr(module, "require_outside", anywhere)
