"""Tokens and money of a turn, and the limits of those who sell them."""

from heddle.adapters.agents.claude.wire import Message, Result
from heddle.core.session import ContextSeen, LimitKind, Usage

_FAULTS = {
    "rate_limit": LimitKind.THROTTLE,
    "authentication_failed": LimitKind.AUTHENTICATION,
    "oauth_org_not_allowed": LimitKind.AUTHENTICATION,
    "billing_error": LimitKind.BILLING,
    "overloaded": LimitKind.OUTAGE,
    "server_error": LimitKind.OUTAGE,
}

_STATUSES = {
    401: LimitKind.AUTHENTICATION,
    402: LimitKind.BILLING,
    403: LimitKind.AUTHENTICATION,
    429: LimitKind.THROTTLE,
}


def limit_kind(status: int | None, fault: str | None) -> LimitKind | None:
    """Which limit an error of the vendor means, by its status and the program's word for it; None: none."""
    if fault in _FAULTS:
        return _FAULTS[fault]
    if status is None:
        return None
    return LimitKind.OUTAGE if status >= 500 else _STATUSES.get(status)


class Meter:
    """Turns what results say into deltas. `total`: what this conversation had cost before; None when unknown.

    A resumed conversation goes on counting its cost where it had been, so its first total is no delta.
    """

    def __init__(self, total: float | None) -> None:
        self._total = total

    def usage(self, result: Result) -> Usage | None:
        """The spend since the last result; None when the result tells none."""
        before, self._total = self._total, result.total_cost_usd
        if result.model_usage_since_last_result is not None:
            return _summed(result)
        if result.usage is None:
            return None
        known = before is not None and self._total is not None
        usd = max(0.0, (self._total or 0.0) - (before or 0.0)) if known else None
        told = result.usage
        return Usage(
            told.input_tokens,
            told.output_tokens,
            told.cache_read_input_tokens,
            told.cache_creation_input_tokens,
            usd,
        )


class Context:
    """How full the main conversation's context is. Each message says what it holds, and only results what it can hold:
    until the first one that is unknown.
    """

    def __init__(self) -> None:
        self._model, self._used = "", 0
        self._windows: dict[str, int] = {}

    def hear(self, message: Message) -> tuple[ContextSeen, ...]:
        """A message of the main conversation."""
        told = message.usage
        if told is None:
            return ()
        cached = told.cache_read_input_tokens + told.cache_creation_input_tokens
        self._model, self._used = message.model, told.input_tokens + cached + told.output_tokens
        return self._seen()

    def learn(self, result: Result) -> tuple[ContextSeen, ...]:
        """A result."""
        models = (result.model_usage_since_last_result or {}).items()
        self._windows.update({name: model.window for name, model in models})
        return self._seen()

    def _seen(self) -> tuple[ContextSeen, ...]:
        most = self._windows.get(self._model, 0)
        return (ContextSeen(self._used, most),) if self._used > 0 and most > 0 else ()


def _summed(result: Result) -> Usage | None:
    models = (result.model_usage_since_last_result or {}).values()
    if not models:
        return None
    costs = [model.usd for model in models if model.usd is not None]
    return Usage(
        sum(model.input_tokens for model in models),
        sum(model.output_tokens for model in models),
        sum(model.cache_read_input_tokens for model in models),
        sum(model.cache_creation_input_tokens for model in models),
        sum(costs) if len(costs) == len(models) else None,
        "list-price" if any(model.basis == "list" for model in models) else "reported",
    )
