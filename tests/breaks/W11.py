"""A landing that brings the checkout to the new commit whatever the person has there."""

import pytest

from heddle.adapters.git.checkouts import Obstacle, TwoTreeUpdate


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is ever in the way: the checkout is reset."""

    async def in_the_way(self: TwoTreeUpdate) -> Obstacle | None:
        return None

    async def read_tree(self: TwoTreeUpdate, option: str, old: str, new: str) -> Obstacle | None:
        if option == "-u":
            await self._store.git.run("read-tree", "--reset", "-u", new, place=self._place)
        return None

    monkeypatch.setattr(TwoTreeUpdate, "_in_the_way", in_the_way)
    monkeypatch.setattr(TwoTreeUpdate, "_read_tree", read_tree)
