"""Approvals that are bound to nothing."""

import pytest

from heddle.api import inbox, methods


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """The digest that a person read is dropped."""

    real = inbox.approve

    async def careless(desk: object, asked: inbox.Approve) -> object:
        return await real(desk, inbox.Approve(asked.task))  # type: ignore[arg-type]

    monkeypatch.setitem(methods.METHODS, "inbox.approve", (careless, inbox.Approve))
