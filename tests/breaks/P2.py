"""A workspace that is the checkout itself."""

from dataclasses import replace

import pytest

from heddle.adapters.workspaces.instant import layout, workspace
from heddle.ports import Mount, View


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing lies between what a session writes and the person's files."""
    real = layout.view

    def direct(made: layout.LayerLayout, key: str, tree: str, *rest: object) -> View:
        seen = real(made, key, tree, *rest)  # type: ignore[arg-type]
        return replace(seen, mounts=(Mount("write", tree, source=tree), seen.mounts[-1]))

    monkeypatch.setattr(workspace, "view", direct)
