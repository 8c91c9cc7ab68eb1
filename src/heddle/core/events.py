"""Every fact that the journal can hold about tasks, repositories and sessions: frozen, past tense.

A fact that was written is never edited. A field is only ever added with a default; anything else is a new
version and a row in the journal's upcast table.
"""

import re
from dataclasses import dataclass
from typing import TypeAlias, get_args

from heddle.core.extent import Extent
from heddle.core.gate import Verdict
from heddle.core.plan import Plan
from heddle.core.queue_events import (
    ChangeEjected,
    MainFoundRed,
    TrainAborted,
    TrainDeparted,
    TrainJudged,
    TrainLanded,
)
from heddle.core.repository_events import (
    CommandsApproved,
    ListKept,
    MirrorSet,
    RepositoryAdded,
    TaskMirrored,
)
from heddle.core.session_events import (
    AgentAnswered,
    AnswersGiven,
    ContextRecorded,
    DriftGiven,
    LimitRecorded,
    NotesGiven,
    NoteWritten,
    PathsClaimed,
    PermissionDecided,
    ProgressReported,
    RadarFound,
    RadarTold,
    RulesGiven,
    RulesLoaded,
    SessionEnded,
    ToolUsed,
    TurnRecorded,
    UsageRecorded,
)
from heddle.core.task import Stage, Task
from heddle.core.workspace_events import (
    TearDownFailed,
    WorkspaceEntered,
    WorkspaceKept,
    WorkspaceLeft,
    WorkspaceRemoved,
)

# ------------------------------------------------------------------------------------ stream task:<id>


@dataclass(frozen=True, slots=True)
class TaskAdded:
    """A task entered the tracker."""

    task: Task


@dataclass(frozen=True, slots=True)
class TaskEdited:
    """What is asked, or how it hangs together with other tasks, is from here on this."""

    task: Task


@dataclass(frozen=True, slots=True)
class TaskClosed:
    """The task is settled without a run: done elsewhere, or not wanted any more."""

    by: str
    why: str


@dataclass(frozen=True, slots=True)
class TaskClaimed:
    """Somebody works on the task outside of a run, until `until` (Unix seconds); the same token again: for longer."""

    token: int
    name: str
    until: float


@dataclass(frozen=True, slots=True)
class ClaimReleased:
    """The claim with that token ended; nobody may write under it any more."""

    token: int
    why: str


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A passage through the cycle began from commit `base`."""

    number: int
    base: str


@dataclass(frozen=True, slots=True)
class RunRebased:
    """Main moved before the run's first stage began: it begins from commit `base` instead."""

    base: str


@dataclass(frozen=True, slots=True)
class StageStarted:
    """The intent to play a stage. `key` names the attempt for ever: adapters recognise a repeat by it."""

    stage: Stage
    attempt: int
    key: str


@dataclass(frozen=True, slots=True)
class WorkspaceCreated:
    """A workspace exists for the attempt."""

    workspace: str
    stage: Stage
    base: str
    start: str


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """A session of an agent works on the attempt, in a sandbox of the given tier."""

    session: str
    agent: str
    workspace: str
    stage: Stage
    attempt: int
    tier: int


@dataclass(frozen=True, slots=True)
class RivalsStarted:
    """Further attempts at the task compete with this one from here on, each as a task of its own."""

    tasks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SessionParked:
    """A session's process is ended while its conversation waits, for the answer to what it asked or for the end of a
    person's `visit` to it; `agent_session` is the id under which the attempt's next session goes on with it.
    """

    session: str
    agent_session: str
    visit: str = ""


@dataclass(frozen=True, slots=True)
class SessionUnparked:
    """What a parked session waited for is there; the attempt goes on."""

    session: str


@dataclass(frozen=True, slots=True)
class AgentPassedOver:
    """An agent that was wanted for the attempt could not be taken, and another was."""

    stage: Stage
    attempt: int
    agent: str
    why: str


@dataclass(frozen=True, slots=True)
class QuestionAsked:
    """The agent waits for an answer."""

    question: str
    text: str
    options: tuple[str, ...]
    default: str
    session: str


@dataclass(frozen=True, slots=True)
class QuestionAnswered:
    """Somebody answered: the agent goes on, or what was frozen goes on or is ended."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class QuestionWithdrawn:
    """Nobody needs to answer any more: the session ended, or what froze it is over."""

    question: str


@dataclass(frozen=True, slots=True)
class SessionFrozen:
    """Nothing of the session runs any more, and nothing of it is lost: a person is asked whether it goes on.

    `wrote` is what was counted then; after much more than the limit the count ends.
    """

    question: str
    why: str
    session: str
    wrote: Extent


@dataclass(frozen=True, slots=True)
class WritesDiscarded:
    """A read-only stage wrote to its throw-away workspace; nothing of it was kept."""

    stage: Stage
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ScopeViolated:
    """The agent wrote outside the approved scope while it worked."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ResearchDelivered:
    """Research is done; `text` is its handoff."""

    attempt: int
    text: str


@dataclass(frozen=True, slots=True)
class PlanDelivered:
    """A plan was handed in and found well-formed."""

    attempt: int
    plan: Plan
    digest: str


@dataclass(frozen=True, slots=True)
class PlanEdited:
    """A person changed the plan; earlier approvals are void because the digest is another."""

    plan: Plan
    digest: str


@dataclass(frozen=True, slots=True)
class ResultDelivered:
    """Execution is done: a tree against base, kept in `commit`; the agent's own commits end at `own`.

    `steers`: those of `paths` that steer agents or builds.
    """

    attempt: int
    commit: str
    tree: str
    own: str
    paths: tuple[str, ...]
    insertions: int
    deletions: int
    refused: tuple[tuple[str, str], ...]
    handoff: str
    steers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VerdictReached:
    """Heddle validated the result merged with main."""

    attempt: int
    verdict: Verdict


MAIN_RED = "main-red"
"""The reason of a failed attempt for which the branch itself is to blame: it does not count against the run."""


@dataclass(frozen=True, slots=True)
class StageFailed:
    """An attempt came to nothing. `reason` is a slug, `detail` one line, `evidence` what the next attempt is told."""

    stage: Stage
    attempt: int
    reason: str
    detail: str
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class GatePassed:
    """A gate let the run go on. `by` is a person, `delegation:<name>` or `nobody`."""

    stage: Stage
    digest: str
    by: str


@dataclass(frozen=True, slots=True)
class GateRejected:
    """A person sent the stage back with a reason."""

    stage: Stage
    digest: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class PlanOutdated:
    """What the plan rests on changed: it is made anew on `base`, and its approval is void. `research`: so is that."""

    base: str
    why: str
    research: bool = False


@dataclass(frozen=True, slots=True)
class LandingStarted:
    """The intent to move `branch` from `old` to `new`, whose tree was validated."""

    number: int
    branch: str
    old: str
    new: str
    tree: str


@dataclass(frozen=True, slots=True)
class MainMoved:
    """The branch moved since the validation: validate again on `onto`."""

    onto: str


@dataclass(frozen=True, slots=True)
class LandingAborted:
    """The branch did not move; the run waits in the landing queue again."""

    why: str


@dataclass(frozen=True, slots=True)
class Landed:
    """The branch is at `commit`. `checkout` tells what became of the person's checkout."""

    commit: str
    branch: str
    checkout: str


@dataclass(frozen=True, slots=True)
class RunHeld:
    """Only a person can move the run on. `reason` is a slug, `detail` one line."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class RunReleased:
    """A person sent a held run on, with a note for the next attempt."""

    by: str
    note: str


@dataclass(frozen=True, slots=True)
class RunPaused:
    """Nothing new starts for this run; a turn that is under way may end."""

    by: str


@dataclass(frozen=True, slots=True)
class RunResumed:
    """The run goes on."""

    by: str


@dataclass(frozen=True, slots=True)
class OverlapAccepted:
    """A person lets a run begin although it is predicted to change what another one changes."""

    by: str


@dataclass(frozen=True, slots=True)
class StopRequested:
    """A person wants the run to end."""

    by: str
    why: str


@dataclass(frozen=True, slots=True)
class RunStopped:
    """The run ended without landing; what it made is kept."""

    why: str


Event: TypeAlias = (
    TaskAdded
    | TaskEdited
    | TaskClosed
    | TaskClaimed
    | ClaimReleased
    | RunStarted
    | RunRebased
    | StageStarted
    | WorkspaceCreated
    | SessionStarted
    | QuestionAsked
    | QuestionAnswered
    | QuestionWithdrawn
    | AnswersGiven
    | ProgressReported
    | SessionFrozen
    | RivalsStarted
    | SessionParked
    | SessionUnparked
    | AgentPassedOver
    | RulesGiven
    | DriftGiven
    | WritesDiscarded
    | ScopeViolated
    | ResearchDelivered
    | PlanDelivered
    | PlanEdited
    | ResultDelivered
    | VerdictReached
    | StageFailed
    | GatePassed
    | GateRejected
    | PlanOutdated
    | LandingStarted
    | MainMoved
    | Landed
    | RunHeld
    | RunReleased
    | RunPaused
    | RunResumed
    | OverlapAccepted
    | StopRequested
    | RunStopped
    | WorkspaceRemoved
    | WorkspaceKept
    | TearDownFailed
    | WorkspaceEntered
    | WorkspaceLeft
    | RepositoryAdded
    | CommandsApproved
    | ListKept
    | MirrorSet
    | TaskMirrored
    | AgentAnswered
    | ToolUsed
    | PermissionDecided
    | UsageRecorded
    | ContextRecorded
    | RulesLoaded
    | LimitRecorded
    | TurnRecorded
    | SessionEnded
    | NoteWritten
    | NotesGiven
    | PathsClaimed
    | LandingAborted
    | TrainJudged
    | TrainDeparted
    | TrainLanded
    | TrainAborted
    | ChangeEjected
    | MainFoundRed
    | RadarFound
    | RadarTold
)

EVENTS: dict[str, type[Event]] = {
    re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower(): kind for kind in get_args(Event)
}
"""Every kind of event by the name it has in the journal: `task-added`, `run-started`, ..."""


def kind_of(event: Event) -> str:
    """The name of an event's kind in the journal."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", type(event).__name__).lower()


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event with its envelope: where it stands in its stream and in all, when, by whom, and what caused it."""

    stream: str
    seq: int
    position: int
    at: float
    by: str
    cause: str
    version: int
    event: Event
