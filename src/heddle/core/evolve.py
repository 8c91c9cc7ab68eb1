"""How facts change a run: `fold` makes one of its stream, `evolve` takes one fact more. Pure and total."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeAlias, assert_never

from heddle.core import events as e
from heddle.core.claim import Claim
from heddle.core.gate import Colour, Verdict
from heddle.core.plan import Plan
from heddle.core.run import (
    END,
    GO_ON,
    PLAN,
    REVIEWED,
    Active,
    AtGate,
    ClosedFor,
    HeldUp,
    Idle,
    LandedAt,
    Landing,
    OpenQuestion,
    Run,
    StoppedFor,
)
from heddle.core.task import STAGES, Stage, first_stage, stage_after

_PassedBy: TypeAlias = (
    e.TaskAdded
    | e.TearDownFailed
    | e.AgentPassedOver
    | e.RulesGiven
    | e.DriftGiven
    | e.WritesDiscarded
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
    | e.TrainJudged
    | e.TrainDeparted
    | e.TrainLanded
    | e.TrainAborted
    | e.ChangeEjected
    | e.MainFoundRed
    | e.RadarFound
    | e.RadarTold
)
"""What changes nothing about a run."""


def fold(records: Iterable[e.Recorded]) -> Run | None:
    """The run that a task's stream tells of; None while the stream holds no task."""
    run: Run | None = None
    for record in records:
        if isinstance(record.event, e.TaskAdded):
            run = Run(task=record.event.task, seq=record.seq)
        elif run is not None:
            run = evolve(run, record)
    return run


def evolve(run: Run, record: e.Recorded) -> Run:
    """The run after one more fact. Total: a fact that does not fit leaves the run as it is."""
    after = _evolve(run, record.event, record.position)
    parked = after.parked if isinstance(after.activity, Active) else None
    return replace(after, seq=record.seq, parked=parked)


def _evolve(run: Run, event: e.Event, position: int) -> Run:
    if isinstance(event, _PassedBy):
        return run
    match event:
        case e.TaskEdited() | e.TaskClosed() | e.TaskClaimed() | e.ClaimReleased():
            return _tracked(run, event)
        case e.RunStarted() | e.RunRebased() | e.RivalsStarted():
            return _begun(run, event)
        case e.StageStarted(stage, attempt, key):
            return replace(run, activity=Active(key), attempts=_put(run.attempts, stage, attempt), progress="")
        case (
            e.ResearchDelivered()
            | e.PlanDelivered()
            | e.PlanEdited()
            | e.ResultDelivered()
            | e.VerdictReached()
            | e.StageFailed()
            | e.PlanOutdated()
        ):
            return _outcome(run, event, position)
        case e.GatePassed() | e.GateRejected():
            return _gate(run, event)
        case e.LandingStarted() | e.MainMoved() | e.LandingAborted() | e.Landed():
            return _landing(run, event)
        case e.QuestionAsked() | e.SessionFrozen() | e.QuestionAnswered() | e.QuestionWithdrawn():
            return _question(run, event)
        case (
            e.RunHeld()
            | e.RunReleased()
            | e.RunPaused()
            | e.RunResumed()
            | e.OverlapAccepted()
            | e.StopRequested()
            | e.RunStopped()
        ):
            return _steer(run, event)
        case e.WorkspaceCreated() | e.WorkspaceRemoved() | e.WorkspaceKept() | e.SessionStarted() | e.ScopeViolated():
            return _place(run, event)
        case (
            e.SessionParked()
            | e.SessionUnparked()
            | e.WorkspaceEntered()
            | e.WorkspaceLeft()
            | e.AnswersGiven()
            | e.ProgressReported()
        ):
            return _presence(run, event)
        case _:  # pragma: no cover
            assert_never(event)


def _tracked(run: Run, event: e.TaskEdited | e.TaskClosed | e.TaskClaimed | e.ClaimReleased) -> Run:
    match event:
        case e.TaskEdited(task):  # which stages there are stays as it is while one of them is played
            return replace(run, task=replace(task, lane=run.task.lane) if run.under_way else task)
        case e.TaskClosed(_, why):
            return run if run.under_way else replace(run, activity=ClosedFor(why), stopping="", claim=None)
        case e.TaskClaimed(token, name, until):
            return replace(run, claim=Claim(token, name, until), claims=token)
        case e.ClaimReleased(token):
            return replace(run, claim=None) if run.claim and run.claim.token == token else run
        case _:  # pragma: no cover
            assert_never(event)


def _begun(run: Run, event: e.RunStarted | e.RunRebased | e.RivalsStarted) -> Run:
    match event:
        case e.RunStarted(number, base):
            stage = first_stage(run.task.lane)
            kept = Run(run.task, workspaces=run.workspaces, visits=run.visits, claims=run.claims)
            return replace(kept, activity=Idle(), stage=stage, number=number, base=base)
        case e.RunRebased(base):
            return replace(run, base=base) if run.unbegun else run
        case e.RivalsStarted(tasks):
            return replace(run, rivals=tasks)
        case _:  # pragma: no cover
            assert_never(event)


def _outcome(
    run: Run,
    event: e.ResearchDelivered
    | e.PlanDelivered
    | e.PlanEdited
    | e.ResultDelivered
    | e.VerdictReached
    | e.StageFailed
    | e.PlanOutdated,
    position: int,
) -> Run:
    match event:
        case e.ResearchDelivered(attempt, text):
            return replace(run, activity=AtGate(f"research-{attempt}"), research=text, evidence="")
        case e.PlanDelivered(_, plan, bound) | e.PlanEdited(plan, bound):
            fresh = replace(_without_plan_questions(run), activity=AtGate(bound), plan=plan, evidence="")
            return replace(fresh, approved="", approved_by="", questions=(*fresh.questions, *_plan_questions(plan)))
        case e.ResultDelivered():
            return replace(run, activity=AtGate(event.commit), result=event, evidence="", verdict=None, violations=())
        case e.VerdictReached(_, verdict):
            return _judged(run, verdict, position)
        case e.StageFailed(stage, _, reason, detail, evidence):
            blamed = reason != e.MAIN_RED
            failures = _put(run.failures, stage, run.failed(stage) + 1) if blamed else run.failures
            ticket = None if stage is not Stage.LAND else run.ticket
            idle = replace(run, activity=Idle(), failures=failures, evidence=evidence or detail, violations=())
            return replace(idle, ticket=ticket, landing=None)
        case e.PlanOutdated(base, why, research):
            planned = Stage.PLAN in STAGES[run.task.lane] and not research
            stage = Stage.PLAN if planned else first_stage(run.task.lane)
            open = _without_plan_questions(run)
            fresh = replace(open, activity=Idle(), stage=stage, base=base, evidence=why, approved="", approved_by="")
            return replace(fresh, replans=run.replans + 1, ticket=None, result=None, verdict=None)
        case _:  # pragma: no cover
            assert_never(event)


def _plan_questions(plan: Plan) -> tuple[OpenQuestion, ...]:
    """What a plan asks; a person may answer until the plan is approved, then the defaults hold."""
    asked = enumerate(plan.questions, start=1)
    return tuple(OpenQuestion(f"{PLAN}-{n}", one.text, one.options, one.default, PLAN) for n, one in asked)


def _without_plan_questions(run: Run) -> Run:
    """The run without what an earlier plan asked and was answered."""
    questions = tuple(question for question in run.questions if question.session != PLAN)
    answers = tuple((id, text) for id, text in run.answers if not id.startswith(f"{PLAN}-"))
    return replace(run, questions=questions, answers=answers)


def _judged(run: Run, verdict: Verdict, position: int) -> Run:
    """Green goes to the gate before landing; red returns to execute with its evidence; unknown waits for a person."""
    judged = replace(run, verdict=verdict)
    if verdict.colour is Colour.GREEN:
        ticket = position if run.ticket is None else run.ticket
        result = run.result.commit if run.result else ""
        if (
            run.cleared == result
        ):  # main moved and the same result was validated again: its gate was passed, whatever a reviewer said
            return replace(judged, activity=Idle(), stage=Stage.LAND, ticket=ticket, evidence="")
        if verdict.review is not None and verdict.review.colour is Colour.RED:
            return _sent_back(judged, f"the reviewer says no:\n{verdict.review.text}")
        return replace(judged, activity=AtGate(result), ticket=ticket, evidence="")
    if verdict.colour is Colour.UNKNOWN or verdict.culprit:
        reason = "broken-together" if verdict.culprit else "verdict-unknown"
        return replace(judged, activity=HeldUp(reason, verdict.reason), evidence=verdict.reason, ticket=None)
    return _sent_back(judged, verdict.reason)


def _sent_back(run: Run, evidence: str) -> Run:
    """To execute, as a failed attempt at it."""
    failures = _put(run.failures, Stage.EXECUTE, run.failed(Stage.EXECUTE) + 1)
    return replace(run, activity=Idle(), stage=Stage.EXECUTE, failures=failures, evidence=evidence, ticket=None)


def _gate(run: Run, event: e.GatePassed | e.GateRejected) -> Run:
    if not isinstance(run.activity, AtGate) or event.digest != run.activity.digest or event.stage is not run.stage:
        return run
    match event:
        case e.GatePassed(stage, bound, by):
            after = stage_after(stage, run.task.lane)
            if after is None:
                return replace(run, activity=ClosedFor(REPORTED), questions=(), claim=None)
            passed = replace(run, activity=Idle(), stage=after)
            if stage is Stage.PLAN:
                asked = tuple(question for question in run.questions if question.session != PLAN)
                return replace(passed, approved=bound, approved_by=by, questions=asked)
            return replace(passed, cleared=event.digest) if stage is Stage.VALIDATE else passed
        case e.GateRejected(stage, _, _, reason):
            back = Stage.EXECUTE if stage is Stage.VALIDATE else stage
            kept = _without_plan_questions(run) if stage is Stage.PLAN else run
            return replace(kept, activity=Idle(), stage=back, evidence=reason, ticket=None)
        case _:  # pragma: no cover
            assert_never(event)


def _landing(run: Run, event: e.LandingStarted | e.MainMoved | e.LandingAborted | e.Landed) -> Run:
    match event:
        case e.LandingStarted(number, branch, old, new, tree):
            return replace(run, landing=Landing(number, branch, old, new, tree))
        case e.MainMoved():
            return replace(run, activity=Idle(), stage=Stage.VALIDATE, landing=None)
        case e.LandingAborted():
            return run if run.over else replace(run, activity=Idle(), landing=None)
        case e.Landed(commit, _, _):
            return replace(run, activity=LandedAt(commit), landed=event, ticket=None, evidence="", stopping="")
        case _:  # pragma: no cover
            assert_never(event)


def _question(run: Run, event: e.QuestionAsked | e.SessionFrozen | e.QuestionAnswered | e.QuestionWithdrawn) -> Run:
    others = tuple(question for question in run.questions if question.id != event.question)
    match event:
        case e.QuestionAsked(question, text, options, default, session):
            return replace(run, questions=(*others, OpenQuestion(question, text, options, default, session)))
        case e.SessionFrozen(question, why, session, _):
            asked = OpenQuestion(question, why, (GO_ON, END), "", session, frozen=True)
            return replace(run, questions=(asked, *others))
        case e.QuestionAnswered(question, answer) if any(one.frozen and one.id == question for one in run.questions):
            return replace(run, questions=others, decided=(*run.decided, (question, answer)))
        case e.QuestionAnswered(question, answer):
            return replace(run, questions=others, answers=(*run.answers, (question, answer)))
        case e.QuestionWithdrawn():
            return replace(run, questions=others)
        case _:  # pragma: no cover
            assert_never(event)


def _steer(
    run: Run,
    event: e.RunHeld | e.RunReleased | e.RunPaused | e.RunResumed | e.OverlapAccepted | e.StopRequested | e.RunStopped,
) -> Run:
    match event:
        case e.RunHeld(reason, detail):
            return replace(run, activity=HeldUp(reason, detail), ticket=None, landing=None)
        case e.RunReleased(_, note):
            return _released(run, note)
        case e.RunPaused():
            return replace(run, paused=True)
        case e.RunResumed():
            return replace(run, paused=False)
        case e.OverlapAccepted():
            return replace(run, meets_anyway=True)
        case e.StopRequested(by, why):
            return run if run.over else replace(run, stopping=why or f"stopped by {by}")
        case e.RunStopped(why):
            return replace(run, activity=StoppedFor(why), stopping="", questions=(), ticket=None, claim=None)
        case _:  # pragma: no cover
            assert_never(event)


def _released(run: Run, note: str) -> Run:
    """A person sends a held run on: to the stage that can mend what held it, with the note as evidence."""
    if not isinstance(run.activity, HeldUp):
        return run
    if (
        run.activity.reason == REVIEWED and run.result is not None
    ):  # they decide at its gate, whatever the reviewer says
        gate = AtGate(run.result.commit)
        return replace(run, activity=gate, stage=Stage.VALIDATE, failures=(), evidence=note)
    stage = _MENDED_BY.get(run.activity.reason, run.stage)
    evidence = "\n".join(part for part in (run.evidence, note) if part)
    return replace(run, activity=Idle(), stage=stage, failures=(), evidence=evidence, replans=0)


REPORTED = "its report is in; it wrote nothing, so nothing lands"
"""Why a run of the lane `report` is closed."""

_MENDED_BY = {
    "broken-together": Stage.EXECUTE,
    "verdict-unknown": Stage.VALIDATE,  # also in the landing queue: there, nobody knows any more which checks were agreed
    "red": Stage.EXECUTE,
    "approval-void": Stage.PLAN,
}


def _place(
    run: Run, event: e.WorkspaceCreated | e.WorkspaceRemoved | e.WorkspaceKept | e.SessionStarted | e.ScopeViolated
) -> Run:
    match event:
        case e.WorkspaceCreated():
            return replace(run, workspaces=(*run.workspaces, event))
        case e.WorkspaceRemoved(workspace, _):
            return replace(run, workspaces=tuple(w for w in run.workspaces if w.workspace != workspace))
        case e.WorkspaceKept(workspace, why):
            rest = tuple(w for w in run.workspaces if w.workspace != workspace)
            return replace(run, workspaces=rest, kept=(*run.kept, (workspace, why)))
        case e.SessionStarted():
            reviews = event.stage is Stage.VALIDATE
            return replace(run, reviewer=event) if reviews else replace(run, session=event)
        case e.ScopeViolated(paths):
            return replace(run, violations=tuple(dict.fromkeys((*run.violations, *paths))))
        case _:  # pragma: no cover
            assert_never(event)


def _presence(
    run: Run,
    event: e.SessionParked
    | e.SessionUnparked
    | e.WorkspaceEntered
    | e.WorkspaceLeft
    | e.AnswersGiven
    | e.ProgressReported,
) -> Run:
    match event:
        case e.SessionParked(session):
            return replace(run, parked=event) if run.at_work and run.at_work.session == session else run
        case e.SessionUnparked():
            return replace(run, parked=None)
        case e.WorkspaceEntered():
            return replace(run, visits=(*run.visits, event))
        case e.WorkspaceLeft(visit):
            return replace(run, visits=tuple(open for open in run.visits if open.visit != visit))
        case e.AnswersGiven():
            return replace(run, given=(*run.given, event))
        case e.ProgressReported(session, text):
            mine = run.at_work and run.at_work.session == session
            return replace(run, progress=text, reports=run.reports + 1) if mine else run
        case _:  # pragma: no cover
            assert_never(event)


def _put(counts: tuple[tuple[Stage, int], ...], stage: Stage, count: int) -> tuple[tuple[Stage, int], ...]:
    return tuple(sorted({**dict(counts), stage: count}.items()))
