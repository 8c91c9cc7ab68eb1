"""A validation that asks no further when the merged tree is red."""

import pytest

from heddle.core.gate import Verdict
from heddle.engine.validation import Validation


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks for what it breaks with."""

    async def shrug(self: Validation, verdict: Verdict) -> Verdict:
        return verdict

    monkeypatch.setattr(Validation, "_blame", shrug)
