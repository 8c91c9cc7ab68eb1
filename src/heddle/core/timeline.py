"""The story of a task for people: a line per fact that they care about."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from heddle.core import events as e
from heddle.core.gate import Colour, Verdict
from heddle.core.task import Stage

_Silent: TypeAlias = (
    e.WorkspaceCreated
    | e.QuestionWithdrawn
    | e.RepositoryAdded
    | e.CommandsApproved
    | e.ListKept
    | e.MirrorSet
    | e.TaskMirrored
    | e.AgentAnswered
    | e.ToolUsed
    | e.PermissionDecided
    | e.UsageRecorded
    | e.ContextRecorded
    | e.RulesLoaded
    | e.LimitRecorded
    | e.TurnRecorded
    | e.SessionEnded
    | e.NoteWritten
    | e.NotesGiven
    | e.PathsClaimed
    | e.AnswersGiven
    | e.ProgressReported
    | e.TrainJudged
    | e.TrainDeparted
    | e.TrainLanded
    | e.TrainAborted
    | e.ChangeEjected
    | e.MainFoundRed
    | e.RadarFound
    | e.RadarTold
)
"""What a session did is in its transcript, and what it was told or said of its progress is shown elsewhere; so is what
befell the landing queue.
"""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a timeline."""

    at: float
    text: str
    by: str


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
    if isinstance(event, _Silent):
        return ""
    match event:
        case e.TaskAdded(task):
            return f"asked: {task.title}"
        case e.TaskEdited() | e.TaskClosed() | e.TaskClaimed() | e.ClaimReleased():
            return _tracked(event)
        case e.RunStarted(number, base):
            return f"run {number} begins on {base[:12]}"
        case e.RunRebased(base):
            return f"main moved before it began: it begins on {base[:12]}"
        case e.StageStarted(stage, attempt, _):
            return f"{stage} begins (attempt {attempt})"
        case e.SessionStarted() | e.SessionFrozen() | e.SessionParked() | e.SessionUnparked():
            return _of_session(event)
        case e.AgentPassedOver() | e.RulesGiven() | e.DriftGiven():
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
        case e.PlanDelivered() | e.PlanEdited() | e.PlanOutdated():
            return _planned(event)
        case e.ResultDelivered(_, _, _, _, paths, insertions, deletions, refused, _):
            return f"result: {len(paths)} files, +{insertions} -{deletions}{left_out(refused)}"
        case e.VerdictReached(_, verdict):
            return _judged(verdict)
        case e.StageFailed(stage, attempt, _, detail, _):
            return f"{stage} failed (attempt {attempt}): {detail}"
        case e.GatePassed(stage, _, by):
            return f"{stage} gate passed by {by}"
        case e.GateRejected(stage, _, _, reason):
            return f"{stage} rejected: {reason}"
        case e.LandingStarted() | e.MainMoved() | e.LandingAborted() | e.Landed():
            return _landing(event)
        case (
            e.RunHeld()
            | e.RunReleased()
            | e.RunPaused()
            | e.RunResumed()
            | e.OverlapAccepted()
            | e.StopRequested()
            | e.RunStopped()
        ):
            return _steered(event)
        case e.WorkspaceRemoved() | e.WorkspaceKept() | e.TearDownFailed() | e.WorkspaceEntered() | e.WorkspaceLeft():
            return _of_workspace(event)
        case _:  # pragma: no cover
            assert_never(event)


def _tracked(event: e.TaskEdited | e.TaskClosed | e.TaskClaimed | e.ClaimReleased) -> str:
    match event:
        case e.TaskEdited(task):
            links = ", ".join(f"{link.kind} {link.task}" for link in task.links)
            return f"edited: {task.title}" + (f" ({links})" if links else "")
        case e.TaskClosed(_, why):
            return f"closed: {why}"
        case e.TaskClaimed(token, name, _):
            return f"claimed by {name} under token {token}"
        case e.ClaimReleased(token, why):
            return f"claim {token} ended: {why}"
        case _:  # pragma: no cover
            assert_never(event)


def _judged(verdict: Verdict) -> str:
    reviewed = f"; {verdict.review.line}" if verdict.review else ""
    return f"verdict {verdict.colour}" + (f": {verdict.reason}" if verdict.colour is not Colour.GREEN else reviewed)


def _planned(event: e.PlanDelivered | e.PlanEdited | e.PlanOutdated) -> str:
    match event:
        case e.PlanDelivered(_, plan, bound):
            return f"plan {bound} is ready: scope {', '.join(plan.scope.globs)}"
        case e.PlanEdited(_, bound):
            return f"plan was edited, now {bound}"
        case e.PlanOutdated(base, why, research):
            return f"{'research' if research else 'plan'} is made anew on {base[:12]}: {why}"
        case _:  # pragma: no cover
            assert_never(event)


def _landing(event: e.LandingStarted | e.MainMoved | e.LandingAborted | e.Landed) -> str:
    match event:
        case e.LandingStarted(_, branch, _, new, _):
            return f"landing {new[:12]} on {branch}"
        case e.MainMoved(onto):
            return f"the branch moved to {onto[:12]}: validated again"
        case e.LandingAborted(why):
            return f"back in the landing queue: {why}"
        case e.Landed(commit, branch, checkout):
            return f"landed on {branch} as {commit[:12]} (checkout {checkout})"
        case _:  # pragma: no cover
            assert_never(event)


def _steered(
    event: e.RunHeld | e.RunReleased | e.RunPaused | e.RunResumed | e.OverlapAccepted | e.StopRequested | e.RunStopped,
) -> str:
    match event:
        case e.RunHeld(_, detail):
            return f"waits for a person: {detail}"
        case e.RunReleased(_, note):
            return "sent on by a person" + (f": {note}" if note else "")
        case e.RunPaused() | e.RunResumed():
            return "paused" if isinstance(event, e.RunPaused) else "resumed"
        case e.OverlapAccepted():
            return "begins although it is predicted to meet another task"
        case e.StopRequested(_, why):
            return f"stop requested: {why}" if why else "stop requested"
        case e.RunStopped(why):
            return f"stopped: {why}"
        case _:  # pragma: no cover
            assert_never(event)


def _of_session(
    event: e.SessionStarted
    | e.SessionFrozen
    | e.SessionParked
    | e.SessionUnparked
    | e.AgentPassedOver
    | e.RulesGiven
    | e.DriftGiven,
) -> str:
    match event:
        case e.SessionStarted(_, agent, _, stage, _, tier):
            does = "judges" if stage is Stage.VALIDATE else "works on"
            return f"{agent} {does} it (sandbox tier {tier}{', none' if tier == 0 else ''})"
        case e.SessionFrozen(_, why, _, _):
            return f"frozen: {why}"
        case e.SessionParked(_, _, visit):
            return "its session is parked while a person talks to the agent" if visit else "its session is parked"
        case e.SessionUnparked():
            return "its session goes on"
        case e.AgentPassedOver(_, _, agent, why):
            return f"agent {agent} was not taken: {why}"
        case e.DriftGiven(_, _, commit, paths):
            return f"its agent is told how main changed {', '.join(paths[:3])} up to {commit[:12]}"
        case e.RulesGiven(_, _, commit):
            return f"its agent is told how the rules changed up to {commit[:12]}"
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
