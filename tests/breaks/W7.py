"""A removal that keeps nothing."""

import pytest

from heddle.adapters.workspaces import recovery


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """No recovery ref is written before a workspace goes."""

    async def nothing(*_: object) -> str:
        return ""

    monkeypatch.setattr(recovery, "keep_unkept", nothing)
