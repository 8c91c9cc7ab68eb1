"""Roles narrow what holds anyway, and say which lane there is for them."""

import pytest

from heddle.core import events as e
from heddle.core.cycle import World, decide
from heddle.core.errors import UserError
from heddle.core.evolve import REPORTED, fold
from heddle.core.gate import Decider, GateRule, Gates
from heddle.core.role import Role, instructions
from heddle.core.run import AtGate, ClosedFor, Run
from heddle.core.settings import AgentRule, Settings
from heddle.core.task import Lane, Stage, Status, Task
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
    assert (narrow.checks, narrow.needs, narrow.network) == (("a", "b"), ("mcp",), True)
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


def test_a_run_that_reports_ends_at_its_gate_and_says_that_nothing_landed() -> None:
    reported = (e.StageStarted(Stage.RESEARCH, 1, "k"), e.ResearchDelivered(1, "seen"))
    assert isinstance(reporting(*reported).activity, AtGate)
    run = reporting(*reported, e.GatePassed(Stage.RESEARCH, "research-1", "person:p"))
    assert run.activity == ClosedFor(REPORTED) and run.settled_well and run.stage is Stage.RESEARCH
    assert state(run, decide(run, World())) == (Status.CLOSED, REPORTED)
