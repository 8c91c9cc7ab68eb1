"""Tokens and money of a turn."""

from math import isfinite

from heddle.adapters.agents.acp.wire import Table, table
from heddle.core.session import ContextSeen, Usage

MOST = 2**40
"""No context holds so many tokens: a larger number is none."""


class Meter:
    """Turns a running total of cost into what each turn added. A total that cannot be compared is unknown, not zero.

    A resumed session goes on counting where it had been, so its first total is no delta.
    """

    def __init__(self, *, resumed: bool) -> None:
        self._total = None if resumed else 0.0
        self._added: float | None = 0.0
        self._told = False

    def begin(self) -> None:
        """A turn begins."""
        self._added, self._told = 0.0, False

    def read(self, update: Table) -> None:
        """A usage_update; it may tell no cost at all."""
        if update.get("cost") is None:
            return
        before, self._total, self._told = self._total, _usd(table(update["cost"])), True
        if before is None or self._total is None or self._total < before or self._added is None:
            self._added = None
        else:
            self._added += self._total - before

    def usage(self, counts: object) -> Usage | None:
        """The spend of the turn, with the token counts of its answer; None when nothing was told of it."""
        if not self._told and not isinstance(counts, dict):
            return None

        def count(name: str) -> int:
            value = table(counts).get(name)
            return value if isinstance(value, int) else 0

        read, written = count("cachedReadTokens"), count("cachedWriteTokens")
        usd = self._added if self._told else None
        return Usage(count("inputTokens"), count("outputTokens"), read, written, usd)


def context_of(update: Table) -> tuple[ContextSeen, ...]:
    """How full the context is, where a usage_update says so."""
    used, size = update.get("used"), update.get("size")
    if not (isinstance(used, int) and isinstance(size, int)) or not (0 <= used < MOST and 0 < size < MOST):
        return ()
    return (ContextSeen(used, size),)


def _usd(cost: Table) -> float | None:
    amount = cost.get("amount")
    if isinstance(amount, bool) or not isinstance(amount, int | float) or cost.get("currency") != "USD":
        return None
    try:
        usd = float(amount)
    except OverflowError:
        return None
    return usd if isfinite(usd) else None
