"""A failure that is always the change's own."""

from collections.abc import Sequence

import pytest

from heddle.core.gate import CheckResult
from heddle.core.task import Task
from heddle.engine.mainline import Mainline


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks at the branch itself."""

    async def trust(self: Mainline, task: Task, onto: str, results: Sequence[CheckResult]) -> str:
        return ""

    monkeypatch.setattr(Mainline, "blamed", trust)
