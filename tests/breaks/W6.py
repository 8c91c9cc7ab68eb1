"""Work that is done without its intent on record."""

import pytest

from heddle.adapters.sandbox.none import Unconfined
from heddle.ports import Command


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every start is a new one: what was begun before a crash is not found again."""
    real = Unconfined.start
    count = iter(range(1_000_000))

    async def forgetful(self: Unconfined, command: Command) -> object:
        from dataclasses import replace

        return await real(self, replace(command, key=f"{command.key}~{next(count)}"))

    monkeypatch.setattr(Unconfined, "start", forgetful)
