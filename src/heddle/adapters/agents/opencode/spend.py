"""Tokens and money of a turn, and the limits of those who sell them."""

from heddle.adapters.agents.opencode.wire import Fault, Part, Status
from heddle.core.session import LimitKind, Usage

_STATUSES = {
    401: LimitKind.AUTHENTICATION,
    402: LimitKind.BILLING,
    403: LimitKind.AUTHENTICATION,
    429: LimitKind.THROTTLE,
}

_REASONS = {"free_tier_limit": LimitKind.QUOTA, "account_rate_limit": LimitKind.QUOTA}
"""What the program says of the limits of its maker's own service."""


def limit_of(fault: Fault) -> LimitKind | None:
    """Which limit an error means, by its name and the status of the vendor's answer; None when it means none."""
    if fault.name == "ProviderAuthError":
        return LimitKind.AUTHENTICATION
    if fault.name != "APIError":
        return None
    status = fault.data.status_code
    if status is None:
        return LimitKind.OUTAGE if fault.data.is_retryable else None
    return LimitKind.OUTAGE if status >= 500 else _STATUSES.get(status)


def retried(status: Status) -> tuple[LimitKind, float | None]:
    """Which limit a retry means, and when it ends. A plain one bears words alone, and words are not evidence."""
    kind = _REASONS.get(status.action.reason, LimitKind.UNKNOWN) if status.action is not None else LimitKind.UNKNOWN
    return kind, status.next / 1000 if kind is LimitKind.QUOTA and status.next else None


class Meter:
    """Adds up the steps of a turn, those of its sub-agents too; each once, however often it is told."""

    def __init__(self) -> None:
        self._counted: set[str] = set()
        self._used: Usage | None = None

    def read(self, step: Part) -> None:
        """A step that is over."""
        if step.id in self._counted or step.tokens is None:
            return
        self._counted.add(step.id)
        told = step.tokens
        used = Usage(
            max(0, told.input),
            max(0, told.output + told.reasoning),
            max(0, told.cache.read),
            max(0, told.cache.write),
            # to the program a model without a known price costs nothing; here that is unknown
            step.cost if step.cost > 0 else None,
        )
        self._used = used if self._used is None else self._used.plus(used)

    def taken(self) -> Usage | None:
        """The spend since it was last taken; None when nothing was told of it."""
        used, self._used = self._used, None
        return used
