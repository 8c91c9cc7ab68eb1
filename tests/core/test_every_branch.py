"""What the state machine reaches by chance is reached here on purpose, so that coverage is the same in every run."""

from dataclasses import replace

import pytest

from heddle.core import events as e
from heddle.core.cycle import (
    ASKED,
    ATTACHED,
    PATHS,
    PROBLEM,
    Bounds,
    Hold,
    PlayStage,
    RemoveWorkspace,
    Replan,
    StartStage,
    Stop,
    Unpark,
    Wait,
    Who,
    World,
    decide,
)
from heddle.core.delegation import Delegation
from heddle.core.evolve import evolve, fold
from heddle.core.extent import Extent
from heddle.core.gate import Colour, Decider, GateRule, Gates, Verdict
from heddle.core.plan import Plan, digest
from heddle.core.prediction.admission import Ahead
from heddle.core.prediction.pairs import Meeting
from heddle.core.protected import scripts, steering
from heddle.core.role import Role
from heddle.core.run import END, GO_ON, AtGate, HeldUp, Idle, LandedAt, Run, StoppedFor, Unstarted
from heddle.core.scope import Scope
from heddle.core.task import UNDO, Lane, Stage, Status, Task
from heddle.core.timeline import left_out, timeline
from heddle.core.views import UNREADABLE, inbox, row, state

TASK = Task("T1", "r", "/r", "main", "do it", checks=("true",))
PLAN = Plan(Scope(("docs/**",)), ("true",), "text")
BOUND = digest(PLAN, "base")
RESULT = e.ResultDelivered(1, "r1", "t", "", ("docs/a",), 1, 1, (), "done")
GREEN = Verdict(Colour.GREEN, "m0", "c0", "t")
OPEN = World(gates=Gates(()), approved=frozenset({"true"}))


def test_who_is_predicted_to_meet_another_waits_before_it_begins_unless_a_person_lets_it() -> None:
    ahead = Ahead("T4", Meeting(0.82, "parser.py", 14))
    waits = decide(run_of(e.RunStarted(1, "base")), replace(OPEN, foreseen=ahead))
    assert isinstance(waits, Wait) and (waits.who, waits.other) == (Who.TASK, "T4")
    assert "both will change parser.py (0.82, 14 past commits)" in waits.detail
    assert "heddle start T1 --anyway" in waits.detail
    looks = decide(run_of(e.RunStarted(1, "base")), replace(OPEN, foreseeing=True))
    assert isinstance(looks, Wait) and looks.who is Who.MACHINE
    assert isinstance(decide(run_of(e.RunStarted(1, "base")), OPEN), StartStage)
    world = replace(OPEN, foreseen=ahead, foreseeing=True)
    let = run_of(e.RunStarted(1, "base"), e.OverlapAccepted("person:ada"))
    assert isinstance(decide(let, world), StartStage)
    assert timeline(recorded(e.OverlapAccepted("person:ada")))[0].text.startswith("begins although")
    begun = run_of(*BEGUN)
    assert decide(begun, world) == decide(begun, OPEN)
    assert not run_of(e.RunStarted(1, "b"), e.OverlapAccepted("x"), e.RunStarted(2, "b")).meets_anyway


def recorded(*events: e.Event) -> list[e.Recorded]:
    return [e.Recorded("task:T1", n, n, float(n), "heddle", "", 1, event) for n, event in enumerate(events, 1)]


def run_of(*events: e.Event, task: Task = TASK) -> Run:
    run = fold(recorded(e.TaskAdded(task), *events))
    assert run is not None
    return run


BEGUN = (
    e.RunStarted(1, "base"),
    e.StageStarted(Stage.RESEARCH, 1, "k1"),
    e.ResearchDelivered(1, "facts"),
    e.GatePassed(Stage.RESEARCH, "research-1", "nobody"),
    e.StageStarted(Stage.PLAN, 1, "k2"),
    e.PlanDelivered(1, PLAN, BOUND),
)
PLANNED = (*BEGUN, e.GatePassed(Stage.PLAN, BOUND, "person:p"))
DONE = (*PLANNED, e.StageStarted(Stage.EXECUTE, 1, "k3"), RESULT, e.GatePassed(Stage.EXECUTE, "r1", "nobody"))
JUDGED = (*DONE, e.StageStarted(Stage.VALIDATE, 1, "k4"), e.VerdictReached(1, GREEN))
CLEARED = (*JUDGED, e.GatePassed(Stage.VALIDATE, "r1", "nobody"))


def test_each_activity_has_its_decision() -> None:
    assert decide(run_of(), OPEN) == Wait(Who.PERSON, "not-started", "start it with: heddle start T1")
    assert decide(run_of(*BEGUN[:2]), OPEN) == PlayStage(Stage.RESEARCH, 1, "k1")
    assert decide(run_of(*BEGUN[:2], e.StopRequested("p", "")), OPEN) == Stop("stopped by p")
    stopped = run_of(*BEGUN[:2], e.RunStopped("enough"))
    assert decide(stopped, OPEN) == Wait(Who.NOBODY, "stopped", "enough")
    landed = run_of(*CLEARED, e.StageStarted(Stage.LAND, 1, "k5"), e.Landed("c0", "main", "updated"))
    assert decide(landed, OPEN) == Wait(Who.NOBODY, "landed", "landed as c0")
    assert decide(run_of(*BEGUN[:1], e.RunHeld("x", "y")), OPEN) == Wait(Who.PERSON, "x", "y")
    made = e.WorkspaceCreated("w", Stage.RESEARCH, "base", "base")
    assert decide(run_of(*BEGUN[:2], made, e.RunHeld("x", "y")), OPEN) == RemoveWorkspace("w")


@pytest.mark.parametrize(
    ("world", "reason"),
    [
        (World(problem="gone"), "problem"),
        (World(unapproved=("make",)), "commands"),
        (World(free_sessions=0), "sessions"),
    ],
)
def test_an_idle_run_waits_for_a_named_reason(world: World, reason: str) -> None:
    assert decide(run_of(*BEGUN[:1]), world).reason == reason  # type: ignore[union-attr]


def test_a_paused_run_waits_for_the_person() -> None:
    assert decide(run_of(*BEGUN[:1], e.RunPaused("p")), OPEN).reason == "paused"  # type: ignore[union-attr]
    assert isinstance(run_of(*BEGUN[:1], e.RunPaused("p"), e.RunResumed("p")).activity, Idle)


def test_too_many_failures_or_replans_are_a_hold() -> None:
    failed = e.StageFailed(Stage.RESEARCH, 1, "stalled", "no")
    run = run_of(*BEGUN[:1], failed)
    assert decide(run, World(bounds=Bounds(1, 1))) == Hold("attempts-exhausted", "research failed 1 times; last: no")
    silent = replace(run, evidence="")
    assert decide(silent, World(bounds=Bounds(1, 1))).detail.endswith("no evidence")  # type: ignore[union-attr]
    planned = run_of(*PLANNED, e.PlanOutdated("m1", "moved"))
    assert decide(planned, World(bounds=Bounds(1, 0))).reason == "attempts-exhausted"  # type: ignore[union-attr]
    red = e.VerdictReached(1, replace(GREEN, colour=Colour.RED, reason="red"))
    assert decide(run_of(*DONE, red), World(bounds=Bounds(1, 1))).reason == "red"  # type: ignore[union-attr]


def test_execute_starts_only_apart_from_others_and_on_a_base_that_holds() -> None:
    run = run_of(*PLANNED)
    assert decide(run, replace(OPEN, outdated=("m1", "moved"))) == Replan("m1", "moved")
    assert decide(run, replace(OPEN, meets=("T0", "a", "b"))).reason == "overlap"  # type: ignore[union-attr]
    claimed = decide(run, replace(OPEN, claimed=("T0", "docs/**", "docs/a")))
    told = "kept apart from T0: 'docs/**' meets 'docs/a', which its session claims"
    assert claimed == Wait(Who.TASK, PATHS, told, "T0")
    assert decide(replace(run, base="other"), OPEN).reason == "approval-void"  # type: ignore[union-attr]
    aged = replace(OPEN, aged=("m1", "cited"))
    assert decide(run, aged) == Replan("m1", "cited", research=True)
    assert decide(run_of(*BEGUN[:4]), aged) == Replan("m1", "cited", research=True)
    assert decide(run_of(*BEGUN[:1]), aged).stage is Stage.RESEARCH  # type: ignore[union-attr]
    assert decide(run, replace(aged, meets=("T0", "a", "b"))).reason == "overlap"  # type: ignore[union-attr]
    assert decide(run, replace(aged, outdated=("m1", "moved"))) == Replan("m1", "moved", research=True)
    again = run_of(*PLANNED, e.PlanOutdated("m1", "cited", research=True))
    assert (again.stage, again.base, again.research, again.approved) == (Stage.RESEARCH, "m1", "facts", "")
    assert "research is made anew on m1: cited" in timeline(recorded(e.PlanOutdated("m1", "cited", True)))[0].text
    quick = run_of(e.RunStarted(1, "base"), task=replace(TASK, lane=Lane.QUICK))
    assert decide(quick, OPEN).stage is Stage.EXECUTE  # type: ignore[union-attr]


def test_gates_pass_wait_or_say_why_not() -> None:
    at_plan = run_of(*BEGUN)
    assert decide(at_plan, OPEN).by == "nobody"  # type: ignore[union-attr]
    fresh = decide(at_plan, replace(OPEN, approved=frozenset(), gates=Gates(())))
    assert fresh.by == "nobody"  # type: ignore[union-attr]  # the check is the person's own
    foreign = run_of(*BEGUN, task=replace(TASK, checks=()))
    assert "never approved" in decide(foreign, World(gates=Gates(()))).detail  # type: ignore[union-attr]
    gates = Gates((GateRule(Stage.VALIDATE, Decider.DELEGATION),))
    small = Delegation("small", Stage.VALIDATE, ("docs",), max_lines=1)
    waits = decide(run_of(*JUDGED), World(gates=gates, delegations=(small,), approved=frozenset({"true"})))
    assert waits.detail == "2 changed lines, 1 are delegated"  # type: ignore[union-attr]
    research = decide(run_of(*BEGUN[:3]), World(gates=Gates((GateRule(Stage.RESEARCH, Decider.PERSON),))))
    assert research.detail == "the research is ready"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("colour", "culprit", "reason"), [(Colour.UNKNOWN, "", "verdict-unknown"), (Colour.RED, "T9", "broken-together")]
)
def test_what_only_a_person_can_judge_holds_the_run(colour: Colour, culprit: str, reason: str) -> None:
    run = run_of(*DONE, e.VerdictReached(1, replace(GREEN, colour=colour, culprit=culprit, reason="why")))
    assert run.activity == HeldUp(reason, "why")


def test_what_the_landing_queue_could_not_tell_is_validated_from_the_start() -> None:
    unknown = e.VerdictReached(1, replace(GREEN, colour=Colour.UNKNOWN, reason="no disk", results=()))
    released = run_of(*CLEARED, unknown, e.RunReleased("p", ""))
    assert (released.stage, released.activity) == (Stage.VALIDATE, Idle())  # with every check that was agreed
    assert run_of(*CLEARED, unknown, e.RunReleased("p", ""), e.VerdictReached(2, GREEN)).stage is Stage.LAND


def test_an_edited_plan_needs_a_new_approval() -> None:
    other = replace(PLAN, text="other")
    run = run_of(*BEGUN, e.PlanEdited(other, digest(other, "base")))
    assert run.activity == AtGate(digest(other, "base"))
    rejected = run_of(*BEGUN, e.GateRejected(Stage.PLAN, BOUND, "p", "no"))
    assert (rejected.stage, rejected.evidence) == (Stage.PLAN, "no")


def test_questions_come_and_go() -> None:
    asked = (*BEGUN[:2], e.QuestionAsked("q", "which?", (), "a", "s"), e.QuestionAsked("r", "and?", (), "b", "s"))
    assert [question.id for question in run_of(*asked).questions] == ["q", "r"]
    assert run_of(*asked, e.QuestionAnswered("q", "a")).answers == (("q", "a"),)
    assert [q.id for q in run_of(*asked, e.QuestionWithdrawn("q")).questions] == ["r"]


def test_a_frozen_session_is_asked_about_first_and_the_answer_is_none_for_an_agent() -> None:
    asked = (
        *BEGUN[:2],
        e.QuestionAsked("q", "which?", (), "a", "s"),
        e.SessionFrozen("w:size-1", "wrote 2 GB", "s", Extent(2 * 10**9, 1)),
    )
    run = run_of(*asked)
    decision = decide(run, OPEN)
    assert state(run, decision) == (Status.WAITING, "frozen: wrote 2 GB")
    frozen, question = inbox(run, decision)
    assert (frozen.kind, frozen.options, frozen.default) == ("frozen", (GO_ON, END), "")
    assert frozen.act == tuple(f'heddle answer T1 --question w:size-1 "{word}"' for word in (GO_ON, END))
    assert question.kind == "question"
    answered = run_of(*asked, e.QuestionAnswered("w:size-1", GO_ON))
    assert (answered.decided, answered.answers) == ((("w:size-1", GO_ON),), ())
    assert [question.id for question in answered.questions] == ["q"]
    assert state(run_of(*asked, e.QuestionWithdrawn("w:size-1")), decision)[1] == "asks: which?"


def test_a_parked_session_waits_for_its_answer_and_then_for_room() -> None:
    session = e.SessionStarted("s", "claude", "w", Stage.RESEARCH, 1, 2)
    asked = (*BEGUN[:2], session, e.QuestionAsked("s/1", "which?", (), "", "s"), e.SessionParked("s", "a"))
    run = run_of(*asked)
    decision = decide(run, OPEN)
    assert decision == Wait(Who.PERSON, ASKED, "which?")
    assert state(run, decision) == (Status.WAITING, "asks: which?")
    assert [item.kind for item in inbox(run, decision)] == ["question"]
    answered = run_of(*asked, e.QuestionAnswered("s/1", "a"))
    assert decide(answered, OPEN) == Unpark("s")
    full = decide(answered, replace(OPEN, free_sessions=0))
    assert state(answered, full) == (Status.READY, "all sessions are in use; one must end first")
    assert decide(run_of(*asked, e.QuestionAnswered("s/1", "a"), e.RunPaused("p")), OPEN) == Wait(
        Who.PERSON, "paused", "go on with: heddle resume T1"
    )
    gone_on = run_of(*asked, e.QuestionAnswered("s/1", "a"), e.SessionUnparked("s"))
    assert gone_on.parked is None and isinstance(decide(gone_on, OPEN), PlayStage)
    assert run_of(*asked, e.StageFailed(Stage.RESEARCH, 1, "x", "y")).parked is None


def test_nothing_goes_on_at_a_gate_or_out_of_a_parking_while_the_world_is_unknown() -> None:
    away = World(problem="the repository is away")  # as the engine has it: without gates, rivals or settings
    waits = Wait(Who.PERSON, PROBLEM, "the repository is away")
    at_gate = run_of(*BEGUN[:3])
    assert isinstance(at_gate.activity, AtGate)
    assert (decide(at_gate, away), state(at_gate, waits)) == (waits, (Status.WAITING, "the repository is away"))
    session = e.SessionStarted("s", "claude", "w", Stage.RESEARCH, 1, 2)
    assert decide(run_of(*BEGUN[:2], session, e.SessionParked("s", "a")), away) == waits


def test_only_the_session_of_the_attempt_under_way_can_be_parked() -> None:
    late = e.SessionStarted("old", "claude", "w", Stage.RESEARCH, 0, 2)
    assert run_of(*BEGUN[:2], e.SessionParked("s", "a")).parked is None
    assert run_of(*BEGUN[:2], late, e.SessionParked("old", "a")).parked is None


def test_a_session_that_a_person_took_over_goes_on_when_they_leave() -> None:
    session = e.SessionStarted("s", "claude", "w", Stage.RESEARCH, 1, 2)
    visit = e.WorkspaceEntered("v", "w", Stage.RESEARCH, "claude")
    taken = (*BEGUN[:2], session, visit, e.SessionParked("s", "a", "v"))
    run = run_of(*taken)
    decision = decide(run, OPEN)
    assert isinstance(decision, Wait) and decision.reason == ATTACHED
    assert state(run, decision)[0] is Status.WAITING
    assert inbox(run, decision) == ()
    assert decide(run_of(*taken, e.WorkspaceLeft("v", "w", 0, None, "exited")), OPEN) == Unpark("s")


def test_who_is_in_a_workspace_is_known_until_they_left_also_over_a_new_run() -> None:
    one, two = (e.WorkspaceEntered(visit, "w", Stage.RESEARCH, "") for visit in ("v", "v2"))
    begun = (*BEGUN[:2], one, two, e.RunStopped("enough"), e.RunStarted(2, "m1"))
    assert run_of(*begun).visits == (one, two)
    assert run_of(*begun, e.WorkspaceLeft("v", "w", 0, None, "exited")).visits == (two,)


def test_sessions_and_landings_are_remembered() -> None:
    session = e.SessionStarted("s", "rehearsal", "w", Stage.RESEARCH, 1, 0)
    assert run_of(*BEGUN[:2], session).session == session
    started = run_of(*CLEARED, e.StageStarted(Stage.LAND, 1, "k"), e.LandingStarted(1, "main", "m0", "c0", "t"))
    assert started.landing is not None
    failed = evolve(started, recorded(e.StageFailed(Stage.LAND, 1, "git-busy", "busy"))[0])
    assert failed.ticket == started.ticket
    assert run_of(e.RunPaused("p")).paused
    assert isinstance(run_of().activity, Unstarted)
    assert isinstance(run_of(*CLEARED, e.Landed("c0", "main", "updated")).activity, LandedAt)
    assert isinstance(run_of(*BEGUN[:1], e.RunStopped("x")).activity, StoppedFor)
    unmatched = run_of(*BEGUN[:1], e.CommandsApproved(("x",)), e.RepositoryAdded("r", "/r"))
    assert unmatched.stage is Stage.RESEARCH


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ((), Status.OPEN),
        (BEGUN[:2], Status.RUNNING),
        ((*BEGUN[:2], e.RunPaused("p")), Status.RUNNING),
        ((*BEGUN[:2], e.ScopeViolated(("x",))), Status.RUNNING),
        (BEGUN[:3], Status.RUNNING),
        ((*DONE, e.StageStarted(Stage.VALIDATE, 1, "k4")), Status.VALIDATING),
        ((*CLEARED, e.StageStarted(Stage.LAND, 1, "k5")), Status.QUEUED),
        ((*BEGUN[:1], e.RunHeld("x", "y")), Status.WAITING),
        ((*BEGUN[:1], e.RunStopped("x")), Status.STOPPED),
        ((*CLEARED, e.Landed("c0", "main", "updated")), Status.LANDED),
        (BEGUN[:1], Status.READY),
    ],
)
def test_each_state_has_its_word(events: tuple[e.Event, ...], status: Status) -> None:
    run = run_of(*events)
    assert state(run, decide(run, OPEN))[0] is status


def test_each_fact_has_its_line_or_none() -> None:
    session = e.SessionStarted("s", "rehearsal", "w", Stage.RESEARCH, 1, 2)
    told = timeline(
        recorded(
            e.TaskAdded(TASK),
            *CLEARED,
            session,
            e.QuestionAsked("q", "which?", (), "a", "s"),
            e.SessionFrozen("w:size-1", "wrote 2 GB", "s", Extent(2 * 10**9, 1)),
            e.RivalsStarted(("T2",)),
            e.SessionParked("s", "a"),
            e.SessionParked("s", "a", "v"),
            e.SessionUnparked("s"),
            e.AgentPassedOver(Stage.RESEARCH, 1, "codex", "not here"),
            e.WritesDiscarded(Stage.RESEARCH, ("x",)),
            e.ScopeViolated(("x",)),
            e.PlanEdited(PLAN, BOUND),
            e.StageFailed(Stage.PLAN, 1, "x", "y"),
            e.GateRejected(Stage.PLAN, "d", "p", "no"),
            e.PlanOutdated("m1", "moved"),
            e.LandingStarted(1, "main", "m0", "c0", "t"),
            e.Landed("c0", "main", "updated"),
            e.RunHeld("x", "y"),
            e.RunReleased("p", ""),
            e.RunPaused("p"),
            e.RunResumed("p"),
            e.StopRequested("p", ""),
            e.RunStopped("x"),
            e.WorkspaceKept("w", "in use"),
            e.TearDownFailed("w", "tear-down 'x' failed (exited 1)", "no such\ndatabase"),
            e.TearDownFailed("w", "tear-down 'y' failed (exited 1)", ""),
            e.ToolUsed(0, "edit", "Write a", ("a",)),
            e.WorkspaceEntered("v", "w", Stage.EXECUTE, "make test"),
            e.WorkspaceLeft("v", "w", 0, None, "exited"),
            e.WorkspaceEntered("v2", "w", Stage.EXECUTE, ""),
            e.WorkspaceLeft("v2", "w", None, 1, "stopped"),
            e.SessionEnded(0, None, "exited"),
            e.LandingAborted("main moved"),
            e.TrainAborted(1, "main", "main moved"),
            e.ChangeEjected("main", "T1", "t", "r"),
        )
    )
    assert len(told) == 1 + len(CLEARED) + 30


def test_what_a_result_leaves_out_is_named() -> None:
    huge = tuple((f"{n}.bin", "too large") for n in range(5))
    assert left_out(()) == ""
    assert left_out(huge[:1]) == "; left out: 0.bin (too large)"
    assert left_out(huge).endswith("2.bin (too large) and 2 more")


def test_a_result_is_validated_when_there_is_room() -> None:
    assert decide(run_of(*DONE), OPEN).stage is Stage.VALIDATE  # type: ignore[union-attr]


def test_a_gate_and_a_held_run_are_items_with_commands() -> None:
    at_plan = run_of(*BEGUN)
    (item,) = inbox(at_plan, decide(at_plan, World(gates=Gates((GateRule(Stage.PLAN, Decider.PERSON),)))))
    assert item.digest == BOUND
    assert f"heddle approve T1 --digest {BOUND}" in item.act
    assert state(at_plan, Wait(Who.PERSON, "gate", "ready"))[0] is Status.WAITING
    judged = run_of(*JUDGED)
    (item,) = inbox(judged, Wait(Who.PERSON, "gate", "ready"))
    assert "heddle approve T1" in item.act
    assert inbox(run_of(*BEGUN[:1]), Wait(Who.PERSON, "gate", "no gate"))[0].digest == ""


def test_c4_a_run_whose_facts_cannot_be_read_is_unknown() -> None:
    run = run_of(*BEGUN)
    assert state(run, Wait(Who.PERSON, UNREADABLE, "a hole")) == (Status.UNKNOWN, "a hole")


def test_names_of_events_and_odd_globs() -> None:
    assert e.kind_of(e.RunPaused("p")) == "run-paused"
    assert Scope(("a/**/b",)).meeting(Scope(("a/**",))) is not None
    assert Scope(("**/b",)).meeting(Scope(("**/c/b",))) is not None
    assert Scope(("a",)).meeting(Scope(("**/b/a",))) is not None


def test_an_attempt_without_an_agent_yet_is_told_as_that() -> None:
    """Installing what a lockfile names may take minutes."""
    begun = run_of(*BEGUN[:2])
    assert state(begun, decide(begun, OPEN)) == (Status.RUNNING, "research, attempt 1: its workspace is made ready")
    works = run_of(*BEGUN[:2], e.SessionStarted("s", "claude", "w", Stage.RESEARCH, 1, 2))
    assert state(works, decide(works, OPEN)) == (Status.RUNNING, "research, attempt 1")


def test_what_steers_agents_or_builds_is_a_persons_to_let_land() -> None:
    steering_one = replace(RESULT, steers=("AGENTS.md",))
    facts = [steering_one if fact is RESULT else fact for fact in JUDGED]
    run = run_of(*facts)
    assert decide(run, OPEN) == Wait(Who.PERSON, "gate", "it changes 'AGENTS.md', which steers agents or builds")
    assert row(run, decide(run, OPEN), 0.0, None).flags == ("steers",)
    undone = run_of(*facts, task=replace(TASK, role=UNDO))
    assert decide(undone, OPEN).by == "nobody"  # type: ignore[union-attr]


def test_which_paths_steer_and_which_scripts_a_manifest_has() -> None:
    assert steering(("a/AGENTS.md", "a.py")) == ("a/AGENTS.md",)
    assert scripts(None) == scripts(b'{"name": "x"}') == {}
    assert scripts(b'{"scripts": {"test": "x"}}') == {"test": "x"}
    assert scripts(b"[1]") == [1]
    assert scripts(b"{") == b"{"
    assert scripts(b"[" * 100_000) == b"[" * 100_000


def test_a_role_says_what_it_is_and_how_far_it_reaches() -> None:
    role = Role("docs", "You write. Well.\nMore", scope=("docs/**",))
    assert role.about == "You write"
    assert role.objection(("docs/a.md", "docs/**")) == ""
    assert role.objection(("src/**",)) == "'src/**' lies outside of what the role 'docs' writes: docs/**"
    assert Role("feature", "x").objection(("src/**",)) == ""
