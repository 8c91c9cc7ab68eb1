"""One passage of one task through the cycle, as a fold of its facts."""

from dataclasses import dataclass
from typing import TypeAlias

from heddle.core import events as e
from heddle.core.claim import Claim
from heddle.core.gate import Colour, Verdict
from heddle.core.plan import Plan, digest
from heddle.core.scope import Scope
from heddle.core.task import UNDO, Lane, Stage, Task


@dataclass(frozen=True, slots=True)
class Unstarted:
    """The task is in the tracker; nobody asked for it to run."""


@dataclass(frozen=True, slots=True)
class ClosedFor:
    """The task is settled without a run."""

    why: str


@dataclass(frozen=True, slots=True)
class Idle:
    """The next attempt of the stage may start."""


@dataclass(frozen=True, slots=True)
class Active:
    """An attempt is under way; its intent is recorded under `key`."""

    key: str


@dataclass(frozen=True, slots=True)
class AtGate:
    """The stage is done; its gate is open. `digest` is what a decision is bound to."""

    digest: str


@dataclass(frozen=True, slots=True)
class HeldUp:
    """Only a person can move the run on."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class LandedAt:
    """The result is on the branch."""

    commit: str


@dataclass(frozen=True, slots=True)
class StoppedFor:
    """The run ended without landing."""

    why: str


Activity: TypeAlias = Unstarted | ClosedFor | Idle | Active | AtGate | HeldUp | LandedAt | StoppedFor


@dataclass(frozen=True, slots=True)
class Landing:
    """The intent of a landing: ref, from, to."""

    number: int
    branch: str
    old: str
    new: str
    tree: str


PLAN = "plan"
"""Stands for the session of a question that the plan asks."""

REVIEWED = "reviewer"
"""The reason of a hold because a reviewer says no of what is green, as often as a run tries by itself."""

GO_ON, END = "go on", "stop"
"""What a person may answer about a frozen session: it goes on with more room, or its attempt ends."""


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """A question that nobody answered yet. `frozen`: Heddle asks it, about the session, which does not run meanwhile."""

    id: str
    text: str
    options: tuple[str, ...]
    default: str
    session: str
    frozen: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """Everything that decides what happens next, and what people are shown.

    `attempts` counts starts per stage, `failures` counts attempts that came to nothing since a person last looked.
    `ticket` is the place in the landing queue (the position of the fact that entered it). `decided`: by question, what
    a person answered about frozen sessions; it is no answer for an agent. `given`: which answers to what they asked by their
    tools sessions were told, and when. `progress` is what the session at work last said of how far it has come; `reports`
    counts how often one did. `parked`: the session of the attempt under way has no process; its conversation waits. `reviewer`: the
    session that judged, or judges, a result. `meets_anyway`: a person lets it begin whatever is
    predicted. `claim` is held by somebody outside of a run; `claims` is the token of the
    newest one ever.
    """

    task: Task
    activity: Activity = Unstarted()
    stage: Stage = Stage.RESEARCH
    number: int = 0
    base: str = ""
    attempts: tuple[tuple[Stage, int], ...] = ()
    failures: tuple[tuple[Stage, int], ...] = ()
    evidence: str = ""
    research: str = ""
    plan: Plan | None = None
    approved: str = ""
    approved_by: str = ""
    cleared: str = ""
    result: e.ResultDelivered | None = None
    verdict: Verdict | None = None
    landing: Landing | None = None
    ticket: int | None = None
    replans: int = 0
    questions: tuple[OpenQuestion, ...] = ()
    answers: tuple[tuple[str, str], ...] = ()
    decided: tuple[tuple[str, str], ...] = ()
    given: tuple[e.AnswersGiven, ...] = ()
    progress: str = ""
    reports: int = 0
    session: e.SessionStarted | None = None
    reviewer: e.SessionStarted | None = None
    parked: e.SessionParked | None = None
    rivals: tuple[str, ...] = ()
    workspaces: tuple[e.WorkspaceCreated, ...] = ()
    kept: tuple[tuple[str, str], ...] = ()
    visits: tuple[e.WorkspaceEntered, ...] = ()
    violations: tuple[str, ...] = ()
    paused: bool = False
    meets_anyway: bool = False
    stopping: str = ""
    landed: e.Landed | None = None
    claim: Claim | None = None
    claims: int = 0
    seq: int = 0

    def attempt(self, stage: Stage) -> int:
        """How often the stage was started in this run."""
        return dict(self.attempts).get(stage, 0)

    def failed(self, stage: Stage) -> int:
        """How many attempts at the stage came to nothing since a person last released the run."""
        return dict(self.failures).get(stage, 0)

    @property
    def over(self) -> bool:
        """Whether nothing more will happen by itself."""
        return isinstance(self.activity, LandedAt | StoppedFor | ClosedFor)

    @property
    def settled_well(self) -> bool:
        """Whether what was asked is there, so that what waited for it may go on."""
        return isinstance(self.activity, LandedAt | ClosedFor)

    @property
    def unbegun(self) -> bool:
        """Whether a run was asked for and nothing of it has begun."""
        return isinstance(self.activity, Idle) and not self.attempts

    @property
    def under_way(self) -> bool:
        """Whether a run of it has begun and is not over."""
        return self.number > 0 and not self.over

    @property
    def scope(self) -> Scope:
        """What it may write: as its plan says, or else as was asked."""
        return self.plan.scope if self.plan else Scope(self.task.scope)

    @property
    def checks(self) -> tuple[str, ...]:
        """The commands that a validation runs."""
        planned = self.plan.commands if self.plan else ()
        return tuple(dict.fromkeys((*self.task.checks, *planned)))

    @property
    def settled(self) -> tuple[tuple[str, str], ...]:
        """What the plan asked, each with the person's answer or else its default."""
        answers = dict(self.answers)
        asked = enumerate(self.plan.questions if self.plan else (), start=1)
        return tuple((one.text, answers.get(f"{PLAN}-{n}", one.default)) for n, one in asked)

    @property
    def faulted(self) -> bool:
        """Whether a reviewer said no of the last result, and nothing was tried since."""
        review = self.verdict.review if self.verdict else None
        last = self.result is not None and self.result.attempt == self.attempt(Stage.EXECUTE)
        return last and review is not None and review.colour is Colour.RED

    @property
    def to_review(self) -> bool:
        """Whether a reviewer has yet to judge the result, once its checks are green: in the lane full, and each result once."""
        if self.task.lane is not Lane.FULL or self.stage is not Stage.VALIDATE or self.result is None:
            return False
        known = self.verdict.review if self.verdict else None
        judged = known is not None and known.result == self.result.commit and known.colour is not Colour.UNKNOWN
        return not judged and self.cleared != self.result.commit and self.task.role != UNDO

    @property
    def key(self) -> str:
        """The name of the next attempt at the current stage."""
        return f"{self.task.id}-{self.number}-{self.stage}-{self.attempt(self.stage) + 1}"

    @property
    def at_work(self) -> e.SessionStarted | None:
        """The session of the attempt that was begun last at the current stage; None until it is on record."""
        at = self.reviewer if self.stage is Stage.VALIDATE else self.session
        return at if at is not None and (at.stage, at.attempt) == (self.stage, self.attempt(self.stage)) else None

    def bound(self) -> str:
        """The digest that an approval of the plan must carry at this moment."""
        return digest(self.plan, self.base) if self.plan else ""
