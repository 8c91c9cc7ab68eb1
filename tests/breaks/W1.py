"""A removal that thinks everything is kept already."""

import pytest

from heddle.adapters.workspaces.private import PrivateWorkspace
from heddle.adapters.workspaces.worktree import WorktreeWorkspace


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """No recovery ref is written."""

    async def nothing(self: object, *held: object) -> str:
        return ""

    for kind in (WorktreeWorkspace, PrivateWorkspace):
        monkeypatch.setattr(kind, "_keep", nothing)
