"""What happens next: `decide(run, world)` names one action, or what the run waits for. Pure, total, and repeatable.

The Decider pattern turned to process management: facts in, one decision out. Actions carry the key of the attempt,
so that carrying one out again after a crash finds what was begun instead of beginning anew.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias, assert_never

from heddle.core.contest import Pick, Rival, best, number, standing
from heddle.core.delegation import Delegation
from heddle.core.events import MAIN_RED
from heddle.core.gate import Decider, Gates
from heddle.core.prediction.admission import Ahead
from heddle.core.run import REVIEWED, Active, AtGate, ClosedFor, HeldUp, Idle, LandedAt, Run, StoppedFor, Unstarted
from heddle.core.task import UNDO, WITH_AGENT, Stage

ROOM = "room"
"""The reason of a wait for memory or disk."""

DEPENDENCY = "dependency"
"""The reason of a wait for another task."""

LOST = "dependency-lost"
"""The reason of a wait for another task whose facts cannot be read: nobody knows whether it is settled."""

CLAIMED = "claimed"
"""The reason of a wait for somebody who works on the task outside of a run."""

PATHS = "paths-claimed"
"""The reason of a wait for a session that claims what the run may write."""

ATTACHED = "attached"
"""The reason of a wait for a person who took a session over."""

RIVALS = "rivals"
"""The reason of a wait for rivals, or for the choice among them."""

ASKED = "question"
"""The reason of a wait for the answer to what a parked session asked."""

QUEUE = "queue"
"""The reason of a wait in the landing queue: a train takes it along."""

FORESEEN = "foreseen"
"""The reason of a wait for a task that is predicted to change the same file."""

FORESEEING = "foreseeing"
"""The reason of a wait until it is predicted what the task will change."""

PROBLEM = "problem"
"""The reason of a wait because something outside keeps the work from going on; the person can mend it."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How often a run tries by itself before it asks a person."""

    attempts: int = 3
    replans: int = 3


@dataclass(frozen=True, slots=True)
class Blocker:
    """A task that must be settled first; `ended`: it was stopped, and nothing more will come of it by itself. `lost`: its
    facts cannot be read, so that nobody knows whether it is settled.
    """

    task: str
    ended: bool = False
    lost: bool = False


@dataclass(frozen=True, slots=True)
class World:
    """What a decision needs to know beyond the run. All of it is data; time comes in as `now` (Unix seconds).

    `unapproved`: commands of the repository's configuration that no person allowed yet. `approved`: all that one did.
    `free_sessions`, `free_validations`: what may still start. `no_room`: what the machine lacks. `queue`: how it stands in the landing queue.
    `main_red`: the task that is to repair the branch, when that fails the repository's checks by itself.
    `meets`: (task, our glob, their glob) of a running task that may write what this one may. `claimed`: the same of one whose session claims it.
    `outdated`: (new base, why) when main changed what the plan rests on; `aged`: the same of what the research cites.
    `foreseen`: the task that goes first because both will change the same; `foreseeing`: that is being looked at.
    `rivals`: the others that compete with the run. `blockers`: what must be settled before it. `moved`: where main is,
    when that is not the base of a run that has not begun.
    """

    gates: Gates = field(default_factory=Gates)
    delegations: tuple[Delegation, ...] = ()
    approved: frozenset[str] = frozenset()
    unapproved: tuple[str, ...] = ()
    free_sessions: int = 1
    free_validations: int = 1
    no_room: str = ""
    queue: str = ""
    main_red: str = ""
    meets: tuple[str, str, str] | None = None
    claimed: tuple[str, str, str] | None = None
    outdated: tuple[str, str] | None = None
    aged: tuple[str, str] | None = None
    bounds: Bounds = Bounds()
    problem: str = ""
    now: float = 0.0
    foreseen: Ahead | None = None
    foreseeing: bool = False
    rivals: tuple[Rival, ...] = ()
    blockers: tuple[Blocker, ...] = ()
    moved: str = ""


class Who(StrEnum):
    """Who or what a wait ends on."""

    PERSON = "person"
    QUEUE = "queue"
    MACHINE = "machine"
    TASK = "task"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do now. `reason` is a slug, `detail` says what would change it, `other` is the task it is about, if any."""

    who: Who
    reason: str
    detail: str
    other: str = ""


@dataclass(frozen=True, slots=True)
class StartStage:
    """Record the intent to play a stage."""

    stage: Stage
    attempt: int
    key: str


@dataclass(frozen=True, slots=True)
class Rebase:
    """Begin a run, of which nothing has begun, on main as it is now."""

    base: str


@dataclass(frozen=True, slots=True)
class PlayStage:
    """Carry out, or carry on, the attempt whose intent is recorded."""

    stage: Stage
    attempt: int
    key: str


@dataclass(frozen=True, slots=True)
class Unpark:
    """Let the attempt of a parked session go on."""

    session: str


@dataclass(frozen=True, slots=True)
class PassGate:
    """Let the run go on without a person."""

    stage: Stage
    digest: str
    by: str


@dataclass(frozen=True, slots=True)
class Compete:
    """Begin the rivals of a task whose plan is approved."""


@dataclass(frozen=True, slots=True)
class Replan:
    """Make the plan anew on another base; with `research`, that first."""

    base: str
    why: str
    research: bool = False


@dataclass(frozen=True, slots=True)
class Hold:
    """Ask a person; the run cannot go on by itself."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Stop:
    """End what is under way and the run with it."""

    why: str


@dataclass(frozen=True, slots=True)
class RemoveWorkspace:
    """Put a workspace that is done with into the trash."""

    workspace: str


Work: TypeAlias = PlayStage | Stop | RemoveWorkspace
"""What takes long, and is carried out under the dispatcher."""

Decision: TypeAlias = StartStage | Rebase | Unpark | Compete | PassGate | Replan | Hold | Work | Wait


def decide(run: Run, world: World) -> Decision:
    """The next action for the run, or what it waits for."""
    if run.stopping and run.landing is None:  # a landing is over in a moment, and either way then
        return Stop(run.stopping)
    winner = next((rival.id for rival in world.rivals if rival.won), "")
    if winner and not run.cleared and not run.over:
        return Stop(f"{winner} was chosen")
    spent = _spent_workspace(run)
    match run.activity:
        case Unstarted():
            return _unstarted(run, world)
        case Active(key):
            return _parked(run, world) if run.parked else PlayStage(run.stage, run.attempt(run.stage), key)
        case LandedAt(commit):
            return RemoveWorkspace(spent) if spent else Wait(Who.NOBODY, "landed", f"landed as {commit[:12]}")
        case StoppedFor(why):
            return RemoveWorkspace(spent) if spent else Wait(Who.NOBODY, "stopped", why)
        case ClosedFor(why):
            return RemoveWorkspace(spent) if spent else Wait(Who.NOBODY, "closed", why)
        case HeldUp(reason, detail):
            return RemoveWorkspace(spent) if spent else Wait(Who.PERSON, reason, detail)
        case AtGate(bound):
            return RemoveWorkspace(spent) if spent else _at_gate(run, world, bound)
        case Idle():
            return RemoveWorkspace(spent) if spent else _idle(run, world)
        case _:  # pragma: no cover
            assert_never(run.activity)


def _unstarted(run: Run, world: World) -> Wait:
    if run.claim is not None:  # overdue or not: its token holds until somebody takes over
        return Wait(Who.NOBODY, CLAIMED, f"{run.claim.name} works on it")
    return _blocked(world) or Wait(Who.PERSON, "not-started", f"start it with: heddle start {run.task.id}")


def _blocked(world: World) -> Wait | None:
    """What must be settled first. Only a person can help when that was given up."""
    for blocker in world.blockers:
        if blocker.lost:
            return Wait(Who.PERSON, LOST, f"waits for {blocker.task}, which cannot be read", blocker.task)
        if blocker.ended:
            return Wait(Who.PERSON, DEPENDENCY, f"waits for {blocker.task}, which was stopped", blocker.task)
    if not world.blockers:
        return None
    return Wait(Who.TASK, DEPENDENCY, f"waits for {', '.join(blocker.task for blocker in world.blockers)}")


def _spent_workspace(run: Run) -> str:
    """A workspace that nothing needs any more: throw-away ones at once, the executing one when the run is over."""
    executing = [made for made in run.workspaces if made.stage is Stage.EXECUTE]
    for made in run.workspaces:
        if run.over or made.stage is not Stage.EXECUTE or made is not executing[-1]:
            return made.workspace
    return ""


def _at_gate(run: Run, world: World, bound: str) -> Decision:
    if world.problem:  # who decides is not known then, and nobody is not the answer
        return Wait(Who.PERSON, PROBLEM, world.problem)
    if world.rivals and run.stage is Stage.VALIDATE:
        unchosen = _unchosen(run, world.rivals)
        if unchosen:
            return unchosen
    if run.stage is Stage.VALIDATE and run.result and run.result.steers and run.task.role != UNDO:
        return Wait(Who.PERSON, "gate", f"it changes '{run.result.steers[0]}', which steers agents or builds")
    decider = world.gates.decider(run.task, run.stage, run.plan)
    if decider is Decider.NOBODY and run.stage is Stage.PLAN:
        fresh = _fresh_checks(run, world)
        if fresh:  # a command that an agent wrote runs only after a person saw it
            return Wait(Who.PERSON, "gate", f"check '{fresh[0]}' was never approved by a person")
    if decider is Decider.NOBODY:
        return PassGate(run.stage, bound, "nobody")
    objections = []
    if decider is Decider.DELEGATION:
        lines = run.result.insertions + run.result.deletions if run.result else 0
        for delegation in world.delegations:
            if delegation.stage is not run.stage:
                continue
            objection = delegation.objection(run.task, run.plan, world.approved, world.now, lines)
            if not objection:
                return PassGate(run.stage, bound, f"delegation:{delegation.name}")
            objections.append(objection)
    return Wait(Who.PERSON, "gate", objections[0] if objections else _ready(run))


def _ready(run: Run) -> str:
    review = run.verdict.review if run.verdict and run.stage is Stage.VALIDATE else None
    return f"the {run.stage} is ready" + (f"; {review.line}" if review else "")


def _parked(run: Run, world: World) -> Decision:
    """A conversation without a process goes on once what it waits for is there, and as a new session would: with room."""
    problem = Wait(Who.PERSON, PROBLEM, world.problem) if world.problem else None
    return parked_for(run) or problem or _room(run, world) or Unpark(run.parked.session if run.parked else "")


def parked_for(run: Run) -> Wait | None:
    """The person for whom a parked session waits; None when it may go on."""
    session, visit = (run.parked.session, run.parked.visit) if run.parked else ("", "")
    if any(open.visit == visit for open in run.visits):
        return Wait(Who.PERSON, ATTACHED, "a person talks to the agent; it goes on when they leave")
    asked = [question for question in run.questions if question.session == session]
    if asked:
        return Wait(Who.PERSON, ASKED, asked[0].text)
    return Wait(Who.PERSON, "paused", f"go on with: heddle resume {run.task.id}") if run.paused else None


def _unchosen(run: Run, rivals: tuple[Rival, ...]) -> Wait | None:
    """What a validated rival waits for; None when it is the one that goes on."""
    me, pick = standing(run), Pick(run.task.pick)
    under_way = [rival.id for rival in rivals if not rival.settled]
    if pick is Pick.FIRST:
        return None
    if under_way:
        return Wait(Who.TASK, RIVALS, f"validated; its rivals are under way: {', '.join(under_way)}")
    green = sorted((me, *(rival for rival in rivals if rival.green)), key=lambda rival: number(rival.id))
    if pick is Pick.SMALLEST:
        smallest = best(green)
        return None if smallest == me else Wait(Who.TASK, RIVALS, f"{smallest.id} is smaller and goes on")
    listed = ", ".join(rival.id for rival in green)
    if not green[1:]:
        return None
    if green[0] == me:
        return Wait(Who.PERSON, RIVALS, f"one of {listed} is to be chosen: approve it")
    return Wait(Who.TASK, RIVALS, f"one of {listed} is to be chosen; {green[0].id} asks")


def _fresh_checks(run: Run, world: World) -> tuple[str, ...]:
    own = set(run.task.checks)
    return tuple(check for check in run.checks if check not in world.approved and check not in own)


def _idle(run: Run, world: World) -> Decision:
    if run.paused:
        return Wait(Who.PERSON, "paused", f"go on with: heddle resume {run.task.id}")
    if world.moved and (world.problem or world.unapproved):  # what stands in its way may not be there any more
        return Rebase(world.moved)
    if world.problem:
        return Wait(Who.PERSON, PROBLEM, world.problem)
    if world.unapproved:
        listed = " and ".join(f"'{command}'" for command in world.unapproved)  # all: one word allows all
        pronoun = "them" if world.unapproved[1:] else "it"
        return Wait(Who.PERSON, "commands", f"the repository wants to run {listed}; nobody allowed {pronoun} yet")
    waits = _exhausted(run, world) or (None if run.stage is Stage.VALIDATE else _blocked(world))
    if waits:
        return waits
    if world.moved:
        return Rebase(world.moved)
    if run.stage is Stage.EXECUTE and run.task.role == UNDO:
        return Hold("undo-failed", f"taking it back does not hold: {_first_line(run.evidence)}")
    if run.stage is Stage.EXECUTE:
        blocked = _before_execute(run, world)
        if blocked:
            return blocked
    room = _queue(run, world) or _foreseen(run, world) or _room(run, world)
    if room:
        return room
    if world.aged is not None and run.stage in (Stage.PLAN, Stage.EXECUTE) and run.result is None:
        return Replan(*world.aged, research=True)  # only now: what keeps it waiting may change yet more
    return StartStage(run.stage, run.attempt(run.stage) + 1, run.key)


def _queue(run: Run, world: World) -> Wait | None:
    """What a run waits for whose result is there: a branch that is sound, and a train that takes it along."""
    if run.stage not in WITH_AGENT and world.main_red:
        told = f"{run.task.branch} itself is red; {world.main_red} is to repair it"
        return Wait(Who.TASK, MAIN_RED, told, world.main_red)
    return Wait(Who.QUEUE, QUEUE, world.queue or "in the landing queue") if run.stage is Stage.LAND else None


def _foreseen(run: Run, world: World) -> Wait | None:
    """Before it begins; once it has a plan, its scope tells more than any prediction."""
    if not run.unbegun or run.meets_anyway:
        return None
    if world.foreseen is not None:
        told = f"{world.foreseen.told}; let it begin anyway with: heddle start {run.task.id} --anyway"
        return Wait(Who.TASK, FORESEEN, told, world.foreseen.task)
    return Wait(Who.MACHINE, FORESEEING, "it is predicted what it will change") if world.foreseeing else None


def _exhausted(run: Run, world: World) -> Hold | None:
    failed = run.failed(run.stage)
    if failed >= world.bounds.attempts:
        if run.stage is Stage.EXECUTE and run.verdict and run.verdict.review and run.faulted:
            return Hold(REVIEWED, f"{run.verdict.review.line}; send it on to decide about it yourself")
        reason = "red" if run.stage is Stage.EXECUTE and run.verdict else "attempts-exhausted"
        return Hold(reason, f"{run.stage} failed {failed} times; last: {_first_line(run.evidence)}")
    if run.replans > world.bounds.replans:
        return Hold("attempts-exhausted", f"the plan went out of date {run.replans} times; last: {run.evidence}")
    return None


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0] or "no evidence"


def _before_execute(run: Run, world: World) -> Decision | None:
    """The plan must still hold: approved as it stands, on a base that main did not overtake, apart from others."""
    if world.outdated is not None and run.result is None:
        return Replan(*world.outdated, research=world.aged is not None)
    if run.plan is not None and run.approved != run.bound():
        return Hold("approval-void", "the plan, its scope, its checks or its base changed after the approval")
    if run.task.best_of > 1 and not run.rivals:
        return Compete()
    if world.meets is not None:
        task, ours, theirs = world.meets
        return Wait(Who.TASK, "overlap", f"kept apart from {task}: '{ours}' meets its '{theirs}'")
    if world.claimed is not None:
        task, ours, theirs = world.claimed
        told = f"kept apart from {task}: '{ours}' meets '{theirs}', which its session claims"
        return Wait(Who.TASK, PATHS, told, task)
    return None


def _room(run: Run, world: World) -> Wait | None:
    if (run.stage in WITH_AGENT or run.to_review) and world.free_sessions <= 0:
        return Wait(Who.MACHINE, "sessions", "all sessions are in use; one must end first")
    if world.no_room:
        return Wait(Who.MACHINE, ROOM, world.no_room)
    if run.stage is Stage.VALIDATE and world.free_validations <= 0:
        return Wait(Who.MACHINE, "validations", "as many validations run as the machine has room for")
    return None
