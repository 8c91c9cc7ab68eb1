"""Work that is done without its intent on record."""

from dataclasses import replace
from typing import Any

import pytest

from heddle.adapters.sandbox.holders import Holders
from heddle.ports import Command


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every start is a new one: what was begun before a crash is not found again."""
    real = Holders.hold
    count = iter(range(1_000_000))

    async def forgetful(self: Holders, command: Command, **how: Any) -> object:
        return await real(self, replace(command, key=f"{command.key}~{next(count)}"), **how)

    monkeypatch.setattr(Holders, "hold", forgetful)
