"""Who works on a task outside of a run: a fenced, time-limited right to it.

Each claim on a task has the next number as its token, also when the same name claims again. Every write that the
claimant makes names its token, and a token that is not the newest is refused: whoever was late has lost, not the one who
came after. An overdue claim only allows somebody else to take over; until then its token holds.
"""

from dataclasses import dataclass

from heddle.core.errors import Refused


@dataclass(frozen=True, slots=True)
class Claim:
    """`until`: Unix seconds from which on somebody else may take over."""

    token: int
    name: str
    until: float


def require_token(task: str, claim: Claim | None, newest: int, token: int, now: float) -> None:
    """Whether a write may be made under `token` (0: none). `newest`: the last token given out for the task.

    Raises Refused: `stale-token` for one that is not the newest, `task-claimed` for none while a claim is in force.
    """
    if token and (claim is None or token != newest):
        why = "the claim was given up" if token == newest else f"the newest is {newest}"
        raise Refused(
            f"token {token} of '{task}' counts no more: {why}",
            slug="stale-token",
            hint=f"see who works on it: heddle task show {task}",
            newest=newest,
        )
    if not token and claim is not None and claim.until > now:
        raise Refused(
            f"'{task}' is claimed by {claim.name}",
            slug="task-claimed",
            hint=f"the claimant names the token; to end the claim: heddle task release {task}",
            name=claim.name,
            until=claim.until,
        )
