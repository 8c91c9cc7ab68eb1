"""A removal that looks once and deletes."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from heddle.adapters.workspaces.private import PrivateWorkspace
from heddle.adapters.workspaces.worktree import WorktreeWorkspace
from heddle.ports import Removal


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was seen first is kept; then the folder is deleted at once."""

    async def remove(self: Any) -> Removal:
        if isinstance(self, WorktreeWorkspace):
            ref = await self._keep(await self._snapshot(whole=True))
        else:
            ref = await self._keep(*await self._read(whole=True))
        self._house.trash.mkdir(parents=True, exist_ok=True)
        (self._house.trash / self.id / "tree" / "nested").mkdir(parents=True)
        shutil.rmtree(Path(self.tree).parent)
        return Removal(ref, trashed=False)

    for kind in (WorktreeWorkspace, PrivateWorkspace):
        monkeypatch.setattr(kind, "remove", remove)
