"""Whatever the person has there: a landing brings the checkout to the new commit, rules are written over it."""

from collections.abc import Iterable

import pytest

from heddle.adapters.git.checkouts import Obstacle, TwoTreeUpdate
from heddle.api import rules
from heddle.core.rules.syncing import Write
from heddle.ports import RulesCheckout


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is ever in the way: the checkout is reset."""

    async def in_the_way(self: TwoTreeUpdate) -> Obstacle | None:
        return None

    async def read_tree(self: TwoTreeUpdate, option: str, old: str, new: str) -> Obstacle | None:
        if option == "-u":
            await self._store.git.run("read-tree", "--reset", "-u", new, place=self._place)
        return None

    async def require_nothing(checkout: RulesCheckout, writes: Iterable[Write]) -> None:
        return None

    monkeypatch.setattr(rules, "_require_committed", require_nothing)
    monkeypatch.setattr(TwoTreeUpdate, "_in_the_way", in_the_way)
    monkeypatch.setattr(TwoTreeUpdate, "_read_tree", read_tree)
