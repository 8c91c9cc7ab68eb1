"""A landing that moves the branch from wherever it is."""

import pytest

from heddle.adapters.git.landing import Landing
from heddle.adapters.git.process import Dialogue


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """The compare-and-swap compares with what it finds, not with what was validated."""
    prepare = Landing._prepare

    async def careless(self: Landing, refs: Dialogue, actual: str) -> None:
        await prepare(self, refs, await self._store.ref(self._ref))

    monkeypatch.setattr(Landing, "_prepare", careless)
