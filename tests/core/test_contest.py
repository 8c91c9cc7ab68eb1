"""Rivals: what they share, what a validated one waits for, and who ends when one was chosen."""

from dataclasses import replace

import pytest

from heddle.core import events as e
from heddle.core.contest import Rival, best, inherited, number, player, standing
from heddle.core.cycle import RIVALS, Compete, Decision, PassGate, PlayStage, Stop, Wait, Who, World, decide
from heddle.core.evolve import fold
from heddle.core.gate import Colour, Decider, GateRule, Gates, Verdict
from heddle.core.plan import Plan, digest
from heddle.core.run import Run
from heddle.core.scope import Scope
from heddle.core.task import Lane, Stage, Status, Task
from heddle.core.timeline import timeline
from heddle.core.views import inbox, state

TASK = Task("T1", "r", "/r", "main", "do it", Lane.QUICK, checks=("true",), contest="T1", best_of=3)
RESULT = e.ResultDelivered(1, "c", "t", "", ("a",), 3, 1, (), "done")
GREEN = e.VerdictReached(1, Verdict(Colour.GREEN, "m0", "cand", "tree"))
DONE = (
    e.RunStarted(1, "m0"),
    e.RivalsStarted(("T2", "T3")),
    e.StageStarted(Stage.EXECUTE, 1, "k"),
    RESULT,
    e.GatePassed(Stage.EXECUTE, "c", "nobody"),
    e.StageStarted(Stage.VALIDATE, 1, "k2"),
    GREEN,
)
OPEN = World(gates=Gates((GateRule(Stage.VALIDATE, Decider.NOBODY),)), approved=frozenset({"true"}))


def records(*events: e.Event, task: Task = TASK) -> list[e.Recorded]:
    told = (e.TaskAdded(task), *events)
    return [e.Recorded("task:T1", at, at, float(at), "p", "", 1, event) for at, event in enumerate(told, start=1)]


def run_of(*events: e.Event, **task: object) -> Run:
    run = fold(records(*events, task=replace(TASK, **task)))  # type: ignore[arg-type]
    assert run is not None
    return run


def rival(id: str, *, settled: bool = True, green: bool = True, won: bool = False, lines: int = 9) -> Rival:
    return Rival(id, settled, green, won, lines)


def decided(*rivals: Rival, **task: object) -> Decision:
    return decide(run_of(*DONE, **task), replace(OPEN, rivals=rivals))


def test_rivals_begin_once_there_is_something_to_execute() -> None:
    begun = run_of(e.RunStarted(1, "m0"))
    assert decide(begun, OPEN) == Compete()
    assert decide(run_of(*DONE[:2]), OPEN) != Compete()
    assert decide(run_of(e.RunStarted(1, "m0"), best_of=1), OPEN) != Compete()


def test_a_validated_rival_waits_for_the_others_and_then_for_the_person() -> None:
    under_way = decided(rival("T2"), rival("T3", settled=False, green=False))
    assert under_way == Wait(Who.TASK, RIVALS, "validated; its rivals are under way: T3")
    chosen = decided(rival("T2"), rival("T3"))
    assert chosen == Wait(Who.PERSON, RIVALS, "one of T1, T2, T3 is to be chosen: approve it")
    (item,) = inbox(run_of(*DONE), chosen)
    assert (item.kind, item.act) == ("rivals", ("heddle compare T1", "heddle approve T1", "heddle stop T1"))
    younger = decided(rival("T1"), rival("T3"), id="T2")
    assert younger == Wait(Who.TASK, RIVALS, "one of T1, T2, T3 is to be chosen; T1 asks")
    assert state(run_of(*DONE, id="T2"), younger) == (Status.BLOCKED, "one of T1, T2, T3 is to be chosen; T1 asks")
    assert decided(rival("T2", green=False), rival("T3", green=False)) == PassGate(Stage.VALIDATE, "c", "nobody")


@pytest.mark.parametrize(
    ("pick", "lines", "goes_on"),
    [("first", 1, True), ("smallest", 9, True), ("smallest", 4, True), ("smallest", 3, False)],
)
def test_a_rule_lets_one_go_on(pick: str, lines: int, goes_on: bool) -> None:
    """Of two that are as small the eldest goes on."""
    found = decided(rival("T2", lines=lines), rival("T3"), pick=pick)
    waits = Wait(Who.TASK, RIVALS, "T2 is smaller and goes on")
    assert found == (PassGate(Stage.VALIDATE, "c", "nobody") if goes_on else waits)


def test_first_waits_for_nobody() -> None:
    found = decided(rival("T2", settled=False, green=False), pick="first")
    assert found == PassGate(Stage.VALIDATE, "c", "nobody")


def test_the_others_end_when_one_was_chosen() -> None:
    assert decided(rival("T2", won=True), rival("T3")) == Stop("T2 was chosen")
    executing = run_of(*DONE[:3])
    assert isinstance(decide(executing, OPEN), PlayStage)
    assert decide(executing, replace(OPEN, rivals=(rival("T2", won=True),))) == Stop("T2 was chosen")
    won = run_of(*DONE, e.GatePassed(Stage.VALIDATE, "c", "p"))
    assert standing(won).won
    assert not isinstance(decide(won, replace(OPEN, rivals=(rival("T2", won=True),))), Stop)
    over = run_of(*DONE, e.RunStopped("x"))
    assert not isinstance(decide(over, replace(OPEN, rivals=(rival("T2", won=True),))), Stop)


def test_how_a_run_stands() -> None:
    assert standing(run_of(*DONE)) == Rival("T1", True, True, False, 4)
    assert standing(run_of(*DONE[:3])) == Rival("T1", False, False, False, 0)
    assert standing(run_of(*DONE[:3], e.RunHeld("x", "y"))).settled
    assert standing(run_of(*DONE[:3], e.RunStopped("x"))).settled
    assert best([rival("T3", lines=2), rival("T10", lines=2), rival("T2")]).id == "T3"
    assert (number("T12"), number("odd")) == (12, 0)
    assert player("codex:gpt:1") == ("codex", "gpt:1")


def test_rivals_inherit_how_the_plan_came_about_and_nothing_else() -> None:
    plan = Plan(Scope(("a",)), ("true",), "text")
    bound = digest(plan, "m0")
    shared = (
        e.RunStarted(2, "m0"),
        e.StageStarted(Stage.RESEARCH, 1, "k1"),
        e.ResearchDelivered(1, "facts"),
        e.GatePassed(Stage.RESEARCH, "research-1", "nobody"),
        e.StageStarted(Stage.PLAN, 1, "k2"),
        e.PlanDelivered(1, plan, bound),
        e.QuestionAnswered("plan-1", "yes"),
        e.GatePassed(Stage.PLAN, bound, "person:p"),
    )
    own = (e.SessionStarted("s", "a", "w", Stage.PLAN, 1, 2), e.WorkspaceCreated("w", Stage.PLAN, "m0", "m0"))
    told = records(
        e.RunStarted(1, "old"), e.RunStopped("x"), *shared[:5], *own, e.QuestionAnswered("s/1", "no"), *shared[5:]
    )
    assert inherited(told) == shared
    first, heir = fold(told), fold(records(*inherited(told)))
    assert first is not None and heir is not None
    for name in ("activity", "stage", "plan", "approved", "base", "research", "attempts", "number"):
        assert getattr(first, name) == getattr(heir, name), name


def test_a_timeline_names_the_rivals() -> None:
    assert [line.text for line in timeline(records(*DONE[:2]))][-1] == "T2, T3 compete with it"
