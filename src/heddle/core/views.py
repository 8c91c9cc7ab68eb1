"""What people are shown, folded from runs and decisions. One function says what state a task is in, and why."""

from dataclasses import dataclass
from typing import assert_never

from heddle.core.cycle import (
    ASKED,
    ATTACHED,
    CLAIMED,
    DEPENDENCY,
    LOST,
    PROBLEM,
    RIVALS,
    Decision,
    Wait,
    Who,
    parked_for,
)
from heddle.core.links import Link
from heddle.core.queue_events import MainFoundRed
from heddle.core.rot import Rot
from heddle.core.run import Active, AtGate, ClosedFor, HeldUp, Idle, LandedAt, Run, StoppedFor, Unstarted
from heddle.core.task import Stage, Status

UNREADABLE = "unreadable"
"""The reason of a wait for a person because facts of the run cannot be read: its state is unknown."""


@dataclass(frozen=True, slots=True)
class Row:
    """A task on the board."""

    id: str
    title: str
    status: Status
    stage: str
    attempt: int
    why: str
    agent: str
    tier: int | None
    lane: str
    repository: str
    root: str
    changed: str = ""
    commit: str = ""
    since: float = 0.0
    usd: float | None = None
    flags: tuple[str, ...] = ()
    priority: int = 2
    links: tuple[Link, ...] = ()
    claimed_by: str = ""
    source: str = ""
    rot: Rot | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """Something that only a person can settle. `act` lists the commands that do."""

    id: str
    kind: str
    task: str
    title: str
    text: str
    options: tuple[str, ...] = ()
    default: str = ""
    act: tuple[str, ...] = ()
    digest: str = ""


def state(run: Run, decision: Decision) -> tuple[Status, str]:
    """The status of a task and the reason for it: the one answer that every front end shows."""
    if isinstance(decision, Wait) and decision.reason == UNREADABLE:
        return Status.UNKNOWN, decision.detail
    if run.questions and isinstance(run.activity, Active):
        first = run.questions[0]
        return Status.WAITING, f"{'frozen' if first.frozen else 'asks'}: {first.text}"
    match run.activity:
        case Unstarted():
            return _open(decision)
        case ClosedFor(why):
            return Status.CLOSED, why
        case LandedAt(commit):
            return Status.LANDED, f"landed as {commit[:12]}"
        case StoppedFor(why):
            return Status.STOPPED, why
        case HeldUp(_, detail):
            return Status.WAITING, detail
        case AtGate():
            if isinstance(decision, Wait) and decision.who is not Who.NOBODY:
                return _idle(decision, run)
            return Status.RUNNING, "at its gate"
        case Active():
            return _active(run, decision)
        case Idle():
            return _idle(decision, run)
        case _:  # pragma: no cover
            assert_never(run.activity)


def _open(decision: Decision) -> tuple[Status, str]:
    if isinstance(decision, Wait) and decision.reason in (DEPENDENCY, LOST):
        return Status.BLOCKED, decision.detail
    if isinstance(decision, Wait) and decision.reason == CLAIMED:
        return Status.CLAIMED, decision.detail
    return Status.OPEN, "not started"


def _active(run: Run, decision: Decision) -> tuple[Status, str]:
    if run.parked is not None:
        return _idle(parked_for(run) or decision, run)
    if isinstance(decision, Wait) and decision.reason == PROBLEM:
        return Status.WAITING, decision.detail
    note = " (pausing after this stage)" if run.paused else ""
    match run.stage:
        case Stage.VALIDATE:
            doing = "a reviewer judges it" if run.at_work else "Heddle runs the checks"
            return Status.VALIDATING, f"{doing}{note}"
        case Stage.LAND:
            return Status.QUEUED, f"landing{note}"
        case Stage.RESEARCH | Stage.PLAN | Stage.EXECUTE:
            if run.violations:
                return Status.RUNNING, f"wrote outside its scope: {run.violations[0]}"
            attempt = run.attempt(run.stage)
            ready = "" if run.at_work else ": its workspace is made ready"
            told = f": {run.progress}" if run.progress else ""
            return Status.RUNNING, f"{run.stage}, attempt {attempt}{ready}{note}{told}"
        case _:  # pragma: no cover
            assert_never(run.stage)


def _idle(decision: Decision, run: Run) -> tuple[Status, str]:
    if not isinstance(decision, Wait):
        return Status.READY, f"{run.stage} is next"
    match decision.who:
        case Who.PERSON:
            return Status.WAITING, decision.detail
        case Who.QUEUE:
            return Status.QUEUED, decision.detail
        case Who.TASK:
            return Status.BLOCKED, decision.detail
        case Who.MACHINE | Who.NOBODY:
            return Status.READY, decision.detail
        case _:  # pragma: no cover
            assert_never(decision.who)


ROT_SHOWN = 10
"""From this score on a board says that a session has come apart from what is."""


def row(run: Run, decision: Decision, since: float, usd: float | None, rot: Rot | None = None) -> Row:
    """The task on the board. `rot` is of the session at work; None when there is none, or nobody looked."""
    status, why = state(run, decision)
    result = run.result
    changed = f"{len(result.paths)} files +{result.insertions} -{result.deletions}" if result else ""
    flags = []
    if run.verdict and run.verdict.edited_tests:
        flags.append("edited-tests")
    if result and result.steers:
        flags.append("steers")
    if run.violations:
        flags.append("outside-scope")
    if run.kept:
        flags.append("kept-workspace")
    if run.visits:
        flags.append("person-inside")
    if rot is not None and rot.score >= ROT_SHOWN:
        flags.append(f"rot {rot.score}: {', '.join(sign.reason for sign in rot.signs)}")
    return Row(
        id=run.task.id,
        title=run.task.title,
        status=status,
        stage=str(run.stage) if run.number else "",
        attempt=run.attempt(run.stage),
        why=why,
        agent=run.session.agent if run.session else run.task.agent,
        tier=run.session.tier if run.session else None,
        lane=run.task.lane,
        repository=run.task.repository,
        root=run.task.root,
        changed=changed,
        commit=run.landed.commit if run.landed else "",
        since=since,
        usd=usd,
        flags=tuple(flags),
        priority=run.task.priority,
        links=run.task.links,
        claimed_by=run.claim.name if run.claim else "",
        source=run.task.source,
        rot=rot,
    )


def inbox(run: Run, decision: Decision) -> tuple[Item, ...]:
    """What the person must settle for this run."""
    items = [_question_item(run, question.id) for question in run.questions]
    if isinstance(decision, Wait) and decision.who is Who.PERSON and not isinstance(run.activity, Unstarted):
        item = _wait_item(run, decision)
        if item is not None:
            items.append(item)
    return tuple(items)


def repair(run: Run, red: MainFoundRed) -> tuple[Item, ...]:
    """What the person must settle about a branch that is red by itself, while nobody works on its repair."""
    if not isinstance(run.activity, Unstarted) or run.claim is not None:
        return ()
    text = f"{red.branch} itself fails '{red.check}' at {red.commit[:12]}; what is to land waits for this task"
    act = (f"heddle start {run.task.id}", f"heddle task close {run.task.id}")
    return (Item(run.task.id, "main-red", run.task.id, run.task.title, text, act=act),)


def _question_item(run: Run, id: str) -> Item:
    question = next(question for question in run.questions if question.id == id)
    task = run.task.id
    which = f" --question {id}" if len(run.questions) > 1 else ""
    words = question.options if question.frozen else ("...",)
    act = tuple(f'heddle answer {task}{which} "{word}"' for word in words)
    kind = "frozen" if question.frozen else "question"
    return Item(task, kind, task, run.task.title, question.text, question.options, question.default, act, question.id)


def _wait_item(run: Run, wait: Wait) -> Item | None:
    task = run.task.id
    approve, reject = f"heddle approve {task}", f'heddle reject {task} --reason "..."'
    if wait.reason == "gate":
        bound = run.activity.digest if isinstance(run.activity, AtGate) else ""
        read = f"{approve} --digest {bound}"  # binds the approval to what was read
        act = (f"heddle plan show {task}", read, reject) if run.stage is Stage.PLAN else (approve, reject)
        return Item(task, f"gate-{run.stage}", task, run.task.title, wait.detail, act=act, digest=bound)
    if wait.reason == "commands":
        return Item(task, "commands", task, run.task.title, wait.detail, act=(approve, f"heddle stop {task}"))
    if wait.reason in ("paused", ASKED, ATTACHED):  # asked for, told by the question itself, or they are in it
        return None
    if wait.reason in (DEPENDENCY, LOST):
        first = "heddle doctor" if wait.reason == LOST else f"heddle start {wait.other}"
        act = (first, f"heddle task dep {task} --remove {wait.other}", f"heddle stop {task}")
        return Item(task, "dependency", task, run.task.title, wait.detail, act=act)
    if wait.reason == RIVALS:
        act = (f"heddle compare {task}", approve, f"heddle stop {task}")
        return Item(task, "rivals", task, run.task.title, wait.detail, act=act)
    act = (f"heddle why {task}", "heddle doctor" if wait.reason == PROBLEM else approve, f"heddle stop {task}")
    return Item(task, f"held-{wait.reason}", task, run.task.title, wait.detail, act=act)
