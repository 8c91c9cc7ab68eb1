"""What whoever comes next is told: always under the same heads, and never more than is read."""

from dataclasses import replace

from heddle.core import events as e
from heddle.core.cycle import Wait, Who
from heddle.core.evolve import fold
from heddle.core.gate import Colour, Verdict
from heddle.core.handoff import MOST_LINES, handoff
from heddle.core.plan import Plan, Question, digest
from heddle.core.run import Run
from heddle.core.scope import Scope
from heddle.core.task import Stage, Task

TASK = Task("T1", "r", "/r", "main", "do it\nwell", checks=("true",))
PLAN = Plan(Scope(("docs/**",)), ("make",), "text", (Question("which?", "a", ("a", "b")),))
BOUND = digest(PLAN, "base")
PATHS = tuple(f"docs/{n}" for n in range(12))
RESULT = e.ResultDelivered(1, "r1", "t", "", PATHS, 3, 1, (), "wrote it\nwith care")
BEGUN = (
    e.RunStarted(1, "base"),
    e.StageStarted(Stage.RESEARCH, 1, "k1"),
    e.QuestionAsked("s/1", "really?", (), "", "s"),
    e.QuestionAnswered("s/1", "yes"),
    e.ResearchDelivered(1, "facts"),
    e.GatePassed(Stage.RESEARCH, "research-1", "nobody"),
    e.StageStarted(Stage.PLAN, 1, "k2"),
    e.PlanDelivered(1, PLAN, BOUND),
)
EXECUTING = (*BEGUN, e.GatePassed(Stage.PLAN, BOUND, "person:p"), e.StageStarted(Stage.EXECUTE, 1, "k3"))
JUDGED = (
    *EXECUTING,
    RESULT,
    e.GatePassed(Stage.EXECUTE, "r1", "nobody"),
    e.StageStarted(Stage.VALIDATE, 1, "k4"),
    e.VerdictReached(1, Verdict(Colour.GREEN, "m0", "c0", "t")),
)


def run_of(*events: e.Event, task: Task = TASK) -> Run:
    facts = (e.TaskAdded(task), *events)
    run = fold([e.Recorded("task:T1", n, n, 0.0, "", "", 1, fact) for n, fact in enumerate(facts, 1)])
    assert run is not None
    return run


def test_a_task_that_has_not_begun() -> None:
    assert handoff(run_of(task=replace(TASK, checks=()))) == (
        "T1: do it\nnot begun; lane standard; role feature\nlands on main\nmay write: (not declared)\n"
        "checks: (none known)\n\nAsked:\ndo it\nwell"
    )


def test_what_was_done_decided_and_is_open() -> None:
    waits = Wait(Who.PERSON, "gate", "the plan is ready")
    told = handoff(run_of(*BEGUN), waits)
    assert f"Done:\n- research\n- plan {BOUND}, not approved\n" in told
    assert "Decided:\n- which? a\n- s/1: yes\n" in told
    assert "Open:\n- asked: which?\n- waits for person: the plan is ready\n" in told
    assert told.endswith("Research:\nfacts")


def test_what_a_session_that_is_under_way_left() -> None:
    told = handoff(run_of(*EXECUTING, e.ScopeViolated(("src/x",))), Wait(Who.PERSON, "x", "y"))
    assert "stage execute, attempt 1; lane standard; role feature\nlands on main; begun on base\n" in told
    assert "may write: docs/**\nchecks: true; make" in told
    assert "Decided:\n- the plan was approved by person:p\n" in told
    assert "Open:\n- wrote outside its scope: src/x\n" in told and "waits" not in told


def test_what_landed_and_what_did_not_hold() -> None:
    landed = (e.GatePassed(Stage.VALIDATE, "r1", "p"), e.StageStarted(Stage.LAND, 1, "k5"), e.Landed("c0", "main", "x"))
    told = handoff(run_of(*JUDGED, *landed))
    assert (
        "- result r1: +3 -1 in docs/0, docs/1, docs/2, docs/3, docs/4, docs/5, docs/6, docs/7, docs/8, docs/9 and more\n"
        in told
    )
    assert "- verdict green\n- landed as c0" in told
    assert told.endswith("Handoff:\nwrote it\nwith care")
    few = replace(RESULT, paths=("docs/a",))
    failed = e.StageFailed(Stage.VALIDATE, 1, "red", "no", "make: error\nline 2")
    assert "in docs/a\n" in handoff(run_of(*EXECUTING, few)) + "\n"
    assert "Evidence:\nmake: error\nline 2" in handoff(run_of(*EXECUTING, failed))


def test_what_is_long_is_cut_and_says_so() -> None:
    long = "\n".join(map(str, range(150)))
    told = handoff(run_of(task=replace(TASK, text=long)))
    assert told.endswith("59\n[90 lines more]")
    events = [replace(fact, text=long) if isinstance(fact, e.ResearchDelivered) else fact for fact in EXECUTING]
    failed = e.StageFailed(Stage.EXECUTE, 1, "red", "no", long)
    whole = handoff(run_of(*events, replace(RESULT, handoff=long), failed, task=replace(TASK, text=long))).splitlines()
    assert len(whole) == MOST_LINES and whole[-1] == "[cut here]"
