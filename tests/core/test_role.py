"""Roles narrow what holds anyway, and say which lane there is for them."""

from dataclasses import replace

import pytest

from heddle.core import events as e
from heddle.core.cycle import Bounds, Hold, StartStage, Wait, Who, World, decide
from heddle.core.errors import UserError
from heddle.core.evolve import REPORTED, evolve, fold
from heddle.core.gate import Colour, Decider, GateRule, Gates, Review, Verdict
from heddle.core.permission import permission
from heddle.core.plan import Plan, digest
from heddle.core.role import Role, instructions
from heddle.core.run import REVIEWED, AtGate, ClosedFor, Idle, Run
from heddle.core.scope import Scope
from heddle.core.session import OWN, Access, Allow, Deny, PermissionAsked
from heddle.core.settings import AgentRule, Settings
from heddle.core.task import Lane, Stage, Status, Task
from heddle.core.timeline import timeline
from heddle.core.views import state

READS = Role("security", "You look.", writes=False)


def recorded(*events: e.Event) -> list[e.Recorded]:
    return [e.Recorded("task:T1", n, n, float(n), "heddle", "", 1, event) for n, event in enumerate(events, 1)]


def reporting(*events: e.Event) -> Run:
    task = Task("T1", "r", "/r", "main", "look", Lane.REPORT, "security")
    run = fold(recorded(e.TaskAdded(task), e.RunStarted(1, "base"), *events))
    assert run is not None
    return run


def test_a_role_takes_no_gate_check_or_need_away() -> None:
    person, delegated = GateRule(Stage.PLAN, Decider.PERSON), GateRule(Stage.PLAN, Decider.DELEGATION, role="docs")
    settings = Settings(gates=Gates((person,)), checks=("a",), needs=("mcp",), agent="claude", fallbacks=("codex",))
    task = Task("T1", "r", "/r", "main", "x", role="docs")
    role = Role("docs", "x", gates=(delegated, GateRule(Stage.EXECUTE, Decider.PERSON)), checks=("b", "a"))
    narrow = role.narrowed(settings)
    assert narrow.gates.decider(task, Stage.PLAN, None) is Decider.PERSON
    assert narrow.gates.decider(task, Stage.EXECUTE, None) is Decider.PERSON
    assert (narrow.every_check, narrow.needs, narrow.network) == (("a", "b"), ("mcp",), True)
    assert narrow.checks == ("a",) and narrow.commands == (
        "a",
        "b",
    )  # what a role adds says nothing of the branch itself
    assert narrow.candidates(task, Stage.PLAN) == (("claude", ""), ("codex", ""))
    chosen = Role("docs", "x", agents=(AgentRule("gemini:pro", role="docs"),), fallbacks=("claude",), network=False)
    assert chosen.narrowed(settings).candidates(task, Stage.PLAN) == (("gemini", "pro"), ("claude", ""))
    assert not chosen.narrowed(settings).network


def test_a_role_says_more_at_the_stage_that_it_is_for() -> None:
    role = Role("x", "Be.", ((Stage.PLAN, "Plan."),))
    assert (role.text_at(Stage.PLAN), role.text_at(Stage.EXECUTE)) == ("Be.\n\nPlan.", "Be.")


def test_who_writes_nothing_has_the_lane_that_lands_nothing() -> None:
    assert (READS.lane(""), READS.lane("report")) == (Lane.REPORT, Lane.REPORT)
    assert (Role("x", "x").lane(""), Role("x", "x").lane("report")) == (Lane.STANDARD, Lane.REPORT)
    for role, lane, slug in ((READS, "quick", "role-reads-only"), (READS, "slow", "no-such-lane")):
        with pytest.raises(UserError) as caught:
            role.lane(lane)
        assert caught.value.slug == slug


def test_sentences_and_points_are_counted_and_what_is_shown_is_not() -> None:
    text = "Do a. Do b.\n\n# A heading. Two\n- c\n- d; e.\n+++\nf = 1\n+++\n```\ng.\n```\nv1.2 is one"
    assert instructions(text) == 5


def test_heddles_own_tools_are_there_where_nothing_may_be_written() -> None:
    asked = PermissionAsked("1", OWN, "mcp__heddle__file_task")
    assert isinstance(permission(asked, Access.READ, "/t", "/o", Scope()), Allow)
    other = replace(asked, kind="other")
    assert isinstance(permission(other, Access.READ, "/t", "/o", Scope()), Deny)


def test_a_run_that_reports_ends_at_its_gate_and_says_that_nothing_landed() -> None:
    reported = (e.StageStarted(Stage.RESEARCH, 1, "k"), e.ResearchDelivered(1, "seen"))
    assert isinstance(reporting(*reported).activity, AtGate)
    run = reporting(*reported, e.GatePassed(Stage.RESEARCH, "research-1", "person:p"))
    assert run.activity == ClosedFor(REPORTED) and run.settled_well and run.stage is Stage.RESEARCH
    assert state(run, decide(run, World())) == (Status.CLOSED, REPORTED)


PLAN = Plan(Scope(("a.txt",)), ("true",), "write a.txt")
WORKS = e.SessionStarted("T1-1-execute-1.1", "worker", "w", Stage.EXECUTE, 1, 0)
JUDGES = e.SessionStarted("T1-1-validate-1-review.1", "judge", "v", Stage.VALIDATE, 1, 0)
NO = Review(Colour.RED, "a.txt:1 is empty\nwhen it is read", JUDGES.session, "r1")


def result(attempt: int) -> e.ResultDelivered:
    return e.ResultDelivered(attempt, f"r{attempt}", "t", "", ("a.txt",), 1, 0, (), "done")


def judged(review: Review | None = None, attempt: int = 1) -> e.VerdictReached:
    return e.VerdictReached(attempt, Verdict(Colour.GREEN, "m0", "c0", "t", review=review))


def validating(*events: e.Event, lane: Lane = Lane.FULL) -> Run:
    """A run whose result is being validated."""
    task = Task("T1", "r", "/r", "main", "do it", lane)
    bound = digest(PLAN, "base")
    facts = (
        e.TaskAdded(task),
        e.RunStarted(1, "base"),
        e.ResearchDelivered(1, "facts"),
        e.GatePassed(Stage.RESEARCH, "research-1", "nobody"),
        e.PlanDelivered(1, PLAN, bound),
        e.GatePassed(Stage.PLAN, bound, "person:p"),
        e.StageStarted(Stage.EXECUTE, 1, "k"),
        WORKS,
        result(1),
        e.GatePassed(Stage.EXECUTE, "r1", "nobody"),
        e.StageStarted(Stage.VALIDATE, 1, "k"),
    )
    run = fold(recorded(*facts, *events))
    assert run is not None
    return run


def test_only_the_full_lane_has_a_review_and_each_result_one() -> None:
    due, unknown = validating(), Review(Colour.UNKNOWN, "it hung", "", "r1")
    assert due.to_review and not validating(lane=Lane.STANDARD).to_review
    assert not replace(due, stage=Stage.LAND).to_review and not replace(due, result=None).to_review
    assert not replace(due, cleared="r1").to_review
    verdict = Verdict(Colour.GREEN, "m0", "c0", "t")
    assert replace(due, verdict=verdict).to_review
    assert replace(due, verdict=replace(verdict, review=unknown)).to_review
    assert not replace(due, verdict=replace(verdict, review=NO)).to_review
    assert replace(due, verdict=replace(verdict, review=NO), result=result(2)).to_review
    idle = replace(due, activity=Idle())
    assert decide(idle, World(free_sessions=0)).reason == "sessions"  # type: ignore[union-attr]
    assert isinstance(decide(idle, World()), StartStage)


def test_who_judges_is_not_who_made_it_and_is_shown_while_it_judges() -> None:
    looked = Wait(Who.NOBODY, "x", "x")
    assert state(validating(), looked)[1] == "Heddle runs the checks"
    run = validating(JUDGES)
    assert (run.session, run.at_work) == (WORKS, JUDGES)
    assert state(run, looked)[1] == "a reviewer judges it"


def test_a_reviewers_yes_passes_no_gate_and_its_no_goes_back_as_evidence() -> None:
    yes = validating(judged(replace(NO, colour=Colour.GREEN, text="sound")))
    assert decide(yes, World()) == Wait(Who.PERSON, "gate", "the validate is ready; the reviewer found no fault: sound")
    without = validating(judged(Review(Colour.UNKNOWN, "it hung")))
    assert decide(without, World()).detail.endswith("there is no review: it hung")  # type: ignore[union-attr]
    assert decide(validating(judged()), World()).detail == "the validate is ready"  # type: ignore[union-attr]
    no = validating(judged(NO))
    assert (no.stage, no.failed(Stage.EXECUTE), no.faulted, no.ticket) == (Stage.EXECUTE, 1, True, None)
    assert no.evidence == "the reviewer says no:\na.txt:1 is empty\nwhen it is read"
    story = timeline(recorded(e.TaskAdded(no.task), JUDGES, judged(NO)))
    assert story[1].text == "judge judges it (sandbox tier 0, none)"
    assert story[-1].text == "verdict green; the reviewer says no: a.txt:1 is empty"


def test_where_a_reviewer_does_not_give_in_a_person_decides() -> None:
    no = validating(judged(NO))
    held = decide(no, World(bounds=Bounds(1, 1)))
    assert isinstance(held, Hold) and held.reason == REVIEWED and "says no: a.txt:1 is empty" in held.detail
    released = validating(judged(NO), e.RunHeld(held.reason, held.detail), e.RunReleased("p", "I read it"))
    assert released.activity == AtGate("r1") and released.stage is Stage.VALIDATE
    assert "the reviewer says no" in decide(released, World()).detail  # type: ignore[union-attr]
    passed = validating(
        judged(NO), e.RunHeld(held.reason, ""), e.RunReleased("p", ""), e.GatePassed(Stage.VALIDATE, "r1", "p")
    )
    assert passed.stage is Stage.LAND
    again = evolve(
        passed, replace(recorded(judged(NO))[0], seq=passed.seq + 1)
    )  # as the queue puts on record what lands
    assert (again.stage, again.failed(Stage.EXECUTE)) == (Stage.LAND, 0)
    later = validating(
        judged(NO), e.StageStarted(Stage.EXECUTE, 2, "k"), e.StageFailed(Stage.EXECUTE, 2, "stalled", "hung")
    )
    assert decide(later, World(bounds=Bounds(2, 1))).reason == "red"  # type: ignore[union-attr]
