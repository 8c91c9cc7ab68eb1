"""Tokens of a turn, and the limits of those who sell them."""

from heddle.adapters.agents.codex.wire import Standing, Tokens, TokenUsage, Window
from heddle.core.session import ContextSeen, LimitKind, Usage

_WORDS = {
    "rateLimitExceeded": LimitKind.THROTTLE,
    "serverOverloaded": LimitKind.OUTAGE,
    "internalServerError": LimitKind.OUTAGE,
    "flexUnavailable": LimitKind.OUTAGE,
    "policyCapacityUnavailable": LimitKind.OUTAGE,
    "unauthorized": LimitKind.AUTHENTICATION,
}

_CONNECTION = (
    "httpConnectionFailed",
    "responseStreamConnectionFailed",
    "responseStreamDisconnected",
    "responseTooManyFailedAttempts",
)
"""Words that come with the status of the vendor's answer, or with none when there was no answer."""

_STATUSES = {
    401: LimitKind.AUTHENTICATION,
    402: LimitKind.BILLING,
    403: LimitKind.AUTHENTICATION,
    429: LimitKind.THROTTLE,
}

SPENT = "usageLimitExceeded"
"""The word for a spent quota and for an unpaid bill alike: the account's standing tells them apart."""


class Account:
    """Where the account stands, from what was told of it so far."""

    def __init__(self) -> None:
        self._told = Standing()
        self._has_windows = False

    def learn(self, standing: Standing) -> None:
        """A new standing."""
        self._told = standing
        self._has_windows = self._has_windows or bool(standing.primary or standing.secondary)

    def limit(self, info: object) -> tuple[LimitKind, float | None] | None:
        """Which limit an error means, and when it ends if that is known; None when it means none."""
        if info == SPENT:
            return self._spent()
        if isinstance(info, str):
            return (_WORDS[info], None) if info in _WORDS else None
        for word, more in info.items() if isinstance(info, dict) else ():
            if word in _CONNECTION:
                kind = _of_status(more.get("httpStatusCode") if isinstance(more, dict) else None)
                return (kind, None) if kind else None
        return None

    def _spent(self) -> tuple[LimitKind, float | None]:
        reached = self._told.rate_limit_reached_type or ""
        if reached.endswith("credits_depleted") or self._told.spend_control_reached:
            return LimitKind.BILLING, None
        if not self._has_windows:  # an account without windows pays by use
            return LimitKind.BILLING, None
        windows = (self._told.primary, self._told.secondary)
        ends = [window.resets_at for window in windows if _is_used_up(window) and window and window.resets_at]
        return LimitKind.QUOTA, max(ends, default=None)


def _is_used_up(window: Window | None) -> bool:
    return window is not None and window.used_percent >= 100


def _of_status(status: object) -> LimitKind | None:
    if not isinstance(status, int):
        return LimitKind.OUTAGE
    return LimitKind.OUTAGE if status >= 500 else _STATUSES.get(status)


class Meter:
    """Adds up what the requests of a turn used. The same is told twice at times, always with the same total."""

    def __init__(self) -> None:
        self._total: Tokens | None = None
        self._used: Usage | None = None

    def read(self, told: TokenUsage) -> None:
        """What the last request used."""
        if told.total == self._total:
            return
        self._total = told.total
        last = told.last
        cached = last.cached_input_tokens + last.cache_write_input_tokens
        used = Usage(
            max(0, last.input_tokens - cached),
            last.output_tokens,
            last.cached_input_tokens,
            last.cache_write_input_tokens,
            None,
        )
        self._used = used if self._used is None else self._used.plus(used)

    def taken(self) -> Usage | None:
        """The spend since it was last taken; None when nothing was told of it."""
        used, self._used = self._used, None
        return used


def context_of(told: TokenUsage) -> tuple[ContextSeen, ...]:
    """How full the context is, where the program says how much it holds: the next request begins with all of the last."""
    used = told.last.input_tokens + told.last.output_tokens
    return (ContextSeen(used, told.window),) if told.window and told.window > 0 else ()
