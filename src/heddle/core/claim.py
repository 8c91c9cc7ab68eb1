"""Fenced, time-limited rights: to a task, for who works on it outside of a run; to paths, for a session.

Each claim on a task has the next number as its token, also when the same name claims again. Every write that the
claimant makes names its token, and a token that is not the newest is refused: whoever was late has lost, not the one who
came after. An overdue claim only allows somebody else to take over; until then its token holds.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from heddle.core.errors import Refused
from heddle.core.scope import Scope


@dataclass(frozen=True, slots=True)
class Claim:
    """`until`: Unix seconds from which on somebody else may take over."""

    token: int
    name: str
    until: float


def require_claim(task: str, claim: Claim | None, newest: int, token: int, now: float) -> None:
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


@dataclass(frozen=True, slots=True)
class PathClaim:
    """What a session says it is about to write, or nothing any more. It holds until `until` (Unix seconds), and for
    `lease_s` more seconds from each sign of life of the session; naming the paths again begins a new lease.
    """

    task: str
    session: str
    paths: tuple[str, ...]
    until: float
    lease_s: float = 0.0

    def meets(self, other: "PathClaim") -> tuple[str, str] | None:
        """A glob of ours and one of theirs that some path can match both of; what claims nothing meets nothing."""
        return Scope(self.paths).meeting(Scope(other.paths)) if self.paths and other.paths else None


def attempt_of(session: str) -> str:
    """The key of the attempt that a session plays. A conversation that goes on in the attempt's next session goes on
    with what it claimed.
    """
    return session.rpartition(".")[0] or session


@dataclass(slots=True)
class PathClaims:
    """What is claimed in one repository: of each attempt the newest claim, and until when it holds."""

    _claims: dict[str, PathClaim] = field(default_factory=dict)
    _until: dict[str, float] = field(default_factory=dict)

    def take(self, claim: PathClaim) -> None:
        """A claim in the place of the attempt's earlier one."""
        attempt = attempt_of(claim.session)
        self._claims[attempt], self._until[attempt] = claim, claim.until

    def renew(self, session: str, at: float) -> None:
        """A sign of life. A lease that has run out stays so: somebody else may have relied on it."""
        attempt = attempt_of(session)
        if self._until.get(attempt, 0.0) > at:
            self._until[attempt] = max(self._until[attempt], at + self._claims[attempt].lease_s)

    def holding(self, now: float) -> tuple[PathClaim, ...]:
        """Those whose lease has not run out."""
        return tuple(claim for attempt, claim in self._claims.items() if claim.paths and self._until[attempt] > now)


def require_free(wanted: PathClaim, held: Iterable[PathClaim]) -> None:
    """Raises Refused(slug="paths-claimed") naming who holds what meets the wanted paths. The same task's is no obstacle."""
    for other in held:
        meeting = wanted.meets(other) if other.task != wanted.task else None
        if meeting is not None:
            raise Refused(
                f"{other.task} claims '{meeting[1]}', which meets '{meeting[0]}'",
                slug="paths-claimed",
                hint="work on something else first, or leave it a note; its claim ends with its work",
                task=other.task,
            )
