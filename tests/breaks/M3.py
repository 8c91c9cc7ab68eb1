"""A merge that takes whatever git says, and however it ended, for an answer."""

from typing import Any

import pytest

from heddle.adapters.git import merge
from heddle.adapters.git.commands import Output
from heddle.adapters.git.process import Git
from heddle.ports import Conflicted, Merged


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every status is fine: a tree is a merge, anything else a conflict."""
    run = Git.run

    async def any_status(self: Git, *args: str, **named: Any) -> Output:
        if args[0] == "merge-tree":
            named["ok"] = range(-64, 256)
        return await run(self, *args, **named)

    def read(answer: Output, args: tuple[str, ...]) -> Merged | Conflicted:
        return Conflicted((), "") if answer.status or not answer.fields else Merged(answer.fields[0])

    monkeypatch.setattr(Git, "run", any_status)
    monkeypatch.setattr(merge, "_read", read)
