"""Something red that names nobody it breaks with."""

import pytest

from heddle.core.gate import Verdict
from heddle.core.run import Run
from heddle.engine.ejecting import Ejection
from heddle.engine.validation import Validation


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks for it, in the landing queue and in a validation."""

    async def nobody(self: Ejection, run: Run) -> str:
        return ""

    async def shrug(self: Validation, verdict: Verdict) -> Verdict:
        return verdict

    monkeypatch.setattr(Ejection, "_culprit", nobody)
    monkeypatch.setattr(Validation, "_blame", shrug)
