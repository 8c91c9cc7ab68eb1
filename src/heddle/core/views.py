"""What people are shown, folded from runs and decisions. One function says what state a task is in, and why."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import assert_never

from heddle.core import events as e
from heddle.core.cycle import ASKED, ATTACHED, PROBLEM, RIVALS, Decision, Wait, Who, parked_for
from heddle.core.gate import Colour
from heddle.core.run import Active, AtGate, HeldUp, Idle, LandedAt, Run, StoppedFor, Unstarted
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


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a timeline."""

    at: float
    text: str
    by: str


def state(run: Run, decision: Decision) -> tuple[Status, str]:
    """The status of a task and the reason for it: the one answer that every front end shows."""
    if isinstance(decision, Wait) and decision.reason == UNREADABLE:
        return Status.UNKNOWN, decision.detail
    if run.questions and isinstance(run.activity, Active):
        first = run.questions[0]
        return Status.WAITING, f"{'frozen' if first.frozen else 'asks'}: {first.text}"
    match run.activity:
        case Unstarted():
            return Status.OPEN, "not started"
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


def _active(run: Run, decision: Decision) -> tuple[Status, str]:
    if run.parked is not None:
        return _idle(parked_for(run) or decision, run)
    if isinstance(decision, Wait) and decision.reason == PROBLEM:
        return Status.WAITING, decision.detail
    note = " (pausing after this stage)" if run.paused else ""
    match run.stage:
        case Stage.VALIDATE:
            return Status.VALIDATING, f"Heddle runs the checks{note}"
        case Stage.LAND:
            return Status.QUEUED, f"landing{note}"
        case Stage.RESEARCH | Stage.PLAN | Stage.EXECUTE:
            if run.violations:
                return Status.RUNNING, f"wrote outside its scope: {run.violations[0]}"
            attempt, at = run.attempt(run.stage), run.session
            begun = at is not None and (at.stage, at.attempt) == (run.stage, attempt)
            ready = "" if begun else ": its workspace is made ready"
            return Status.RUNNING, f"{run.stage}, attempt {attempt}{ready}{note}"
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


def row(run: Run, decision: Decision, since: float, usd: float | None) -> Row:
    """The task on the board."""
    status, why = state(run, decision)
    result = run.result
    changed = f"{len(result.paths)} files +{result.insertions} -{result.deletions}" if result else ""
    flags = []
    if run.verdict and run.verdict.edited_tests:
        flags.append("edited-tests")
    if run.violations:
        flags.append("outside-scope")
    if run.kept:
        flags.append("kept-workspace")
    if run.visits:
        flags.append("person-inside")
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
    )


def inbox(run: Run, decision: Decision) -> tuple[Item, ...]:
    """What the person must settle for this run."""
    items = [_question_item(run, question.id) for question in run.questions]
    if isinstance(decision, Wait) and decision.who is Who.PERSON and not isinstance(run.activity, Unstarted):
        item = _wait_item(run, decision)
        if item is not None:
            items.append(item)
    return tuple(items)


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
    if wait.reason == RIVALS:
        act = (f"heddle compare {task}", approve, f"heddle stop {task}")
        return Item(task, "rivals", task, run.task.title, wait.detail, act=act)
    act = (f"heddle why {task}", "heddle doctor" if wait.reason == PROBLEM else approve, f"heddle stop {task}")
    return Item(task, f"held-{wait.reason}", task, run.task.title, wait.detail, act=act)


def timeline(records: Iterable[e.Recorded]) -> tuple[Line, ...]:
    """The story of a task, a line per fact that people care about."""
    lines = ((record, _told(record.event)) for record in records)
    return tuple(Line(record.at, text, record.by) for record, text in lines if text)


def left_out(refused: Sequence[tuple[str, str]]) -> str:
    """The end of a sentence about a result: which paths it does not hold, and why; empty when it holds all."""
    more = f" and {len(refused) - 3} more" if refused[3:] else ""
    named = ", ".join(f"{path} ({why})" for path, why in refused[:3])
    return f"; left out: {named}{more}" if refused else ""


def _told(event: e.Event) -> str:  # noqa: C901 - one flat table, a line per fact
    match event:
        case e.TaskAdded(task):
            return f"asked: {task.title}"
        case e.RunStarted(number, base):
            return f"run {number} begins on {base[:12]}"
        case e.StageStarted(stage, attempt, _):
            return f"{stage} begins (attempt {attempt})"
        case e.SessionStarted() | e.SessionFrozen() | e.SessionParked() | e.SessionUnparked() | e.AgentPassedOver():
            return _of_session(event)
        case e.RivalsStarted(tasks):
            return f"{', '.join(tasks)} compete with it"
        case e.QuestionAsked(_, text, _, _, _):
            return f"asks: {text}"
        case e.QuestionAnswered(_, answer):
            return f"answered: {answer}"
        case e.WritesDiscarded(stage, paths):
            return f"{stage} wrote {len(paths)} files that were discarded: {', '.join(paths[:3])}"
        case e.ScopeViolated(paths):
            return f"wrote outside its scope: {', '.join(paths[:3])}"
        case e.ResearchDelivered():
            return "research is done"
        case e.PlanDelivered(_, plan, bound):
            return f"plan {bound} is ready: scope {', '.join(plan.scope.globs)}"
        case e.PlanEdited(_, bound):
            return f"plan was edited, now {bound}"
        case e.ResultDelivered(_, _, _, _, paths, insertions, deletions, refused, _):
            return f"result: {len(paths)} files, +{insertions} -{deletions}{left_out(refused)}"
        case e.VerdictReached(_, verdict):
            return f"verdict {verdict.colour}" + (f": {verdict.reason}" if verdict.colour is not Colour.GREEN else "")
        case e.StageFailed(stage, attempt, _, detail, _):
            return f"{stage} failed (attempt {attempt}): {detail}"
        case e.GatePassed(stage, _, by):
            return f"{stage} gate passed by {by}"
        case e.GateRejected(stage, _, _, reason):
            return f"{stage} rejected: {reason}"
        case e.PlanOutdated(base, why):
            return f"plan is made anew on {base[:12]}: {why}"
        case e.LandingStarted(_, branch, _, new, _):
            return f"landing {new[:12]} on {branch}"
        case e.MainMoved(onto):
            return f"the branch moved to {onto[:12]}: validated again"
        case e.Landed(commit, branch, checkout):
            return f"landed on {branch} as {commit[:12]} (checkout {checkout})"
        case e.RunHeld() | e.RunReleased() | e.RunPaused() | e.RunResumed() | e.StopRequested() | e.RunStopped():
            return _steered(event)
        case e.WorkspaceRemoved() | e.WorkspaceKept() | e.TearDownFailed() | e.WorkspaceEntered() | e.WorkspaceLeft():
            return _of_workspace(event)
        case e.WorkspaceCreated() | e.QuestionWithdrawn() | e.RepositoryAdded() | e.CommandsApproved():
            return ""
        case e.AgentAnswered() | e.ToolUsed() | e.PermissionDecided() | e.UsageRecorded() | e.LimitRecorded():
            return ""  # what a session did is in its transcript
        case e.TurnRecorded() | e.SessionEnded():
            return ""
        case _:  # pragma: no cover
            assert_never(event)


def _steered(
    event: e.RunHeld | e.RunReleased | e.RunPaused | e.RunResumed | e.StopRequested | e.RunStopped,
) -> str:
    match event:
        case e.RunHeld(_, detail):
            return f"waits for a person: {detail}"
        case e.RunReleased(_, note):
            return "sent on by a person" + (f": {note}" if note else "")
        case e.RunPaused() | e.RunResumed():
            return "paused" if isinstance(event, e.RunPaused) else "resumed"
        case e.StopRequested(_, why):
            return f"stop requested: {why}" if why else "stop requested"
        case e.RunStopped(why):
            return f"stopped: {why}"
        case _:  # pragma: no cover
            assert_never(event)


def _of_session(
    event: e.SessionStarted | e.SessionFrozen | e.SessionParked | e.SessionUnparked | e.AgentPassedOver,
) -> str:
    match event:
        case e.SessionStarted(_, agent, _, _, _, tier):
            return f"{agent} works on it (sandbox tier {tier}{', none' if tier == 0 else ''})"
        case e.SessionFrozen(_, why, _, _):
            return f"frozen: {why}"
        case e.SessionParked(_, _, visit):
            return "its session is parked while a person talks to the agent" if visit else "its session is parked"
        case e.SessionUnparked():
            return "its session goes on"
        case e.AgentPassedOver(_, _, agent, why):
            return f"agent {agent} was not taken: {why}"
        case _:  # pragma: no cover
            assert_never(event)


def _of_workspace(
    event: e.WorkspaceRemoved | e.WorkspaceKept | e.TearDownFailed | e.WorkspaceEntered | e.WorkspaceLeft,
) -> str:
    match event:
        case e.WorkspaceRemoved(_, recovery):
            return f"workspace removed; its work is kept in {recovery}" if recovery else ""
        case e.WorkspaceKept(workspace, why):
            return f"workspace {workspace} was kept: {why}"
        case e.TearDownFailed(_, detail, output):
            return detail + (f": {output.splitlines()[-1]}" if output.strip() else "")
        case e.WorkspaceEntered(_, workspace, _, command):
            return f"a person entered {workspace}" + (f": {command}" if command else "")
        case e.WorkspaceLeft(_, workspace, _, _, why):
            return f"the person left {workspace}" + ("" if why == "exited" else f" ({why})")
        case _:  # pragma: no cover
            assert_never(event)
