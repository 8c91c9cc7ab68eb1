"""How tasks wait for each other, and who may write to one that is claimed: every branch, and what is true of all."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heddle.core import events as e
from heddle.core.claim import Claim, PathClaim, PathClaims, require_claim, require_free
from heddle.core.cycle import Blocker, Rebase, StartStage, Wait, Who, World, decide
from heddle.core.errors import Refused
from heddle.core.evolve import fold
from heddle.core.gate import Colour, Gates, Verdict
from heddle.core.links import Link, LinkKind, circle, first_circle, ordered, waits_for
from heddle.core.queue_events import MainFoundRed
from heddle.core.run import AtGate, ClosedFor, Run, Unstarted
from heddle.core.task import Lane, Stage, Status, Task
from heddle.core.timeline import timeline
from heddle.core.views import inbox, repair, state

TASK = Task("T1", "r", "/r", "main", "do it", links=(Link(LinkKind.BLOCKS, "T3"),))
OPEN = World(gates=Gates(()))
KINDS = st.sampled_from(list(LinkKind))
NAMES = st.sampled_from(["T1", "T2", "T3", "T4", "T5"])
GRAPHS = st.dictionaries(NAMES, st.lists(st.builds(Link, KINDS, NAMES), max_size=3))


def blocks(*tasks: str) -> tuple[Link, ...]:
    return tuple(Link(LinkKind.BLOCKS, task) for task in tasks)


def records(*events: e.Event) -> list[e.Recorded]:
    return [e.Recorded("task:T1", n, n, float(n), "heddle", "", 1, event) for n, event in enumerate(events, 1)]


def run_of(*events: e.Event, task: Task = TASK) -> Run:
    run = fold(records(e.TaskAdded(task), *events))
    assert run is not None
    return run


def test_a_circle_is_named_from_its_start_to_its_start() -> None:
    links = {"T1": blocks("T2"), "T2": (Link(LinkKind.PARENT, "T3"),), "T3": blocks("T1")}
    assert circle(links, "T1") == ("T1", "T2", "T3", "T1")
    assert circle({"T1": blocks("T1")}, "T1") == ("T1", "T1")


def test_what_leads_nowhere_back_is_no_circle() -> None:
    found = (Link(LinkKind.DISCOVERED_FROM, "T1"),)
    diamond = {"T1": blocks("T2", "T3"), "T2": blocks("T4"), "T3": blocks("T4"), "T4": found}
    assert circle(diamond, "T1") == ()
    assert circle({"T1": blocks("T2"), "T2": blocks("T3"), "T3": blocks("T2")}, "T1") == ()


@given(GRAPHS, NAMES)
def test_a_circle_goes_along_links_that_are_there(links: dict[str, list[Link]], start: str) -> None:
    around = circle(links, start)
    for here, there in pairwise(around):
        assert any(link.task == there and link.kind is not LinkKind.DISCOVERED_FROM for link in links[here])
    assert not around or around[0] == around[-1] == start


@given(GRAPHS)
def test_what_waits_for_each_other_is_found_and_all_else_comes_in_order(links: dict[str, list[Link]]) -> None:
    order, around = ordered(links), first_circle(links)
    place = {task: at for at, task in enumerate(order)}
    for task in order:
        ahead = [link.task for link in links[task] if link.kind is not LinkKind.DISCOVERED_FROM]
        assert all(place[other] < place[task] for other in ahead if other in links)
    assert bool(around) == (len(order) < len(links))
    assert not around or (around[0] == around[-1] and not set(around) & set(order))


def test_a_circle_is_found_from_what_only_leads_into_it() -> None:
    links = {"T1": blocks("T2"), "T2": blocks("T3"), "T3": blocks("T2"), "T4": ()}
    assert first_circle(links) in (("T2", "T3", "T2"), ("T3", "T2", "T3"))
    assert ordered(links) == ("T4",)
    assert ordered({"T2": blocks("T1", "T9"), "T1": ()}) == ("T1", "T2")
    assert first_circle({"T1": ()}) == ()


def test_a_task_waits_for_what_blocks_it_and_for_what_blocks_its_parents() -> None:
    up = (Link(LinkKind.PARENT, "T2"),)
    links = {"T1": (*blocks("T9"), *up), "T2": (*blocks("T8", "T9"), Link(LinkKind.PARENT, "T3")), "T3": blocks("T7")}
    assert waits_for(links, "T1") == ("T9", "T8", "T7")
    assert waits_for({"T1": up, "T2": (Link(LinkKind.PARENT, "T1"),)}, "T1") == ()
    assert waits_for({"T1": (Link(LinkKind.DISCOVERED_FROM, "T2"),)}, "T1") == ()


def test_a_task_begins_only_when_what_it_waits_for_is_settled() -> None:
    fresh, waits = run_of(), replace(OPEN, blockers=(Blocker("T3"), Blocker("T4")))
    assert decide(fresh, waits) == Wait(Who.TASK, "dependency", "waits for T3, T4")
    assert state(fresh, decide(fresh, waits)) == (Status.BLOCKED, "waits for T3, T4")
    begun = run_of(e.RunStarted(1, "base"))
    assert state(begun, decide(begun, waits)) == (Status.BLOCKED, "waits for T3, T4")
    assert isinstance(decide(begun, OPEN), StartStage)


def test_what_must_be_settled_first_holds_a_run_also_before_it_lands() -> None:
    """A link may come while it validates: that goes on, and then it waits."""
    quick = replace(TASK, lane=Lane.QUICK)
    result = e.ResultDelivered(1, "c", "t", "c", ("a.py",), 1, 0, (), "done")
    executed = (e.RunStarted(1, "m0"), e.StageStarted(Stage.EXECUTE, 1, "k"), result)
    passed = (*executed, e.GatePassed(Stage.EXECUTE, "c", "nobody"))
    blocked = replace(OPEN, blockers=(Blocker("T3"),))
    assert decide(run_of(*passed, task=quick), blocked) == StartStage(Stage.VALIDATE, 1, "T1-1-validate-1")
    verdict = Verdict(Colour.GREEN, "m0", "n", "t")
    green = (*passed, e.StageStarted(Stage.VALIDATE, 1, "k"), e.VerdictReached(1, verdict))
    waiting = run_of(*green, task=quick).activity
    assert isinstance(waiting, AtGate)
    landing = run_of(*green, e.GatePassed(Stage.VALIDATE, waiting.digest, "nobody"), task=quick)
    assert landing.stage is Stage.LAND and decide(landing, OPEN) == Wait(Who.QUEUE, "queue", "in the landing queue")
    assert decide(landing, blocked) == Wait(Who.TASK, "dependency", "waits for T3")


def test_a_branch_that_is_red_by_itself_asks_a_person_while_nobody_repairs_it() -> None:
    red = MainFoundRed("main", "0123456789abcdef", "t", "make test", "T1")
    (item,) = repair(run_of(), red)
    assert (item.kind, item.act) == ("main-red", ("heddle start T1", "heddle task close T1"))
    assert "main itself fails 'make test' at 0123456789ab" in item.text
    assert repair(run_of(e.TaskClaimed(1, "ada", 9.0)), red) == repair(run_of(e.RunStarted(1, "m0")), red) == ()


def test_what_was_stopped_is_the_persons_to_settle() -> None:
    begun, world = run_of(e.RunStarted(1, "base")), replace(OPEN, blockers=(Blocker("T3", ended=True),))
    assert decide(begun, world) == Wait(Who.PERSON, "dependency", "waits for T3, which was stopped", "T3")
    (item,) = inbox(begun, decide(begun, world))
    assert item.act == ("heddle start T3", "heddle task dep T1 --remove T3", "heddle stop T1")
    assert inbox(run_of(), decide(run_of(), world)) == ()


def test_what_stands_in_the_way_of_a_run_that_has_not_begun_is_looked_at_on_main_as_it_is_now() -> None:
    begun = run_of(e.RunStarted(1, "m0"))
    for hindered in (replace(OPEN, problem="no settings"), replace(OPEN, unapproved=("make",))):
        assert isinstance(decide(begun, hindered), Wait)
        assert decide(begun, replace(hindered, moved="m1")) == Rebase("m1")


def test_a_run_without_a_plan_that_waits_for_room_never_has_one_go_out_of_date() -> None:
    """It would count as a plan made anew, and be held after a few landings of others."""
    run = run_of(e.RunStarted(1, "m0"), task=replace(TASK, lane=Lane.QUICK))
    world = replace(OPEN, moved="m1", outdated=("m1", "'a.py' changed"), free_sessions=0)
    assert decide(run, world) == Rebase("m1")


def test_an_edit_does_not_change_the_stages_of_a_run_that_is_under_way() -> None:
    edited = e.TaskEdited(replace(TASK, lane=Lane.QUICK, priority=0))
    begun = (e.RunStarted(1, "m0"), e.StageStarted(Stage.RESEARCH, 1, "k"), e.ResearchDelivered(1, "facts"))
    run = run_of(*begun, edited, e.GatePassed(Stage.RESEARCH, "research-1", "nobody"))
    assert (run.task.lane, run.task.priority, run.stage) == (Lane.STANDARD, 0, Stage.PLAN)
    assert run_of(edited).task.lane is Lane.QUICK


def test_c1_what_was_stopped_is_nobodys_any_more() -> None:
    run = run_of(e.TaskClaimed(1, "ada", 1e9), e.StopRequested("person", "no"), e.RunStopped("no"))
    assert (run.claim, run.claims) == (None, 1)


def test_c4_what_cannot_be_read_is_not_taken_for_settled() -> None:
    begun, world = run_of(e.RunStarted(1, "base")), replace(OPEN, blockers=(Blocker("T3", lost=True),))
    (item,) = inbox(begun, decide(begun, world))
    assert (item.text, item.act[0]) == ("waits for T3, which cannot be read", "heddle doctor")
    assert state(run_of(), decide(run_of(), world)) == (Status.BLOCKED, item.text)


def test_a_run_begins_on_main_as_it_is_then() -> None:
    begun, moved = run_of(e.RunStarted(1, "m0")), replace(OPEN, moved="m1")
    assert decide(begun, moved) == Rebase("m1")
    rebased = run_of(e.RunStarted(1, "m0"), e.RunRebased("m1"))
    assert (rebased.base, rebased.number) == ("m1", 1)
    late = run_of(e.RunStarted(1, "m0"), e.StageStarted(Stage.RESEARCH, 1, "k"), e.RunRebased("m1"))
    assert late.base == "m0"


def test_a_claim_holds_until_it_is_released_or_the_task_runs_or_closes() -> None:
    claimed = run_of(e.TaskClaimed(1, "ada", 9.0))
    assert (claimed.claim, claimed.claims) == (Claim(1, "ada", 9.0), 1)
    assert state(claimed, decide(claimed, OPEN)) == (Status.CLAIMED, "ada works on it")
    assert run_of(e.TaskClaimed(1, "ada", 9.0), e.ClaimReleased(2, "")).claim == Claim(1, "ada", 9.0)
    assert run_of(e.ClaimReleased(1, "")).claim is None
    released = run_of(e.TaskClaimed(1, "ada", 9.0), e.ClaimReleased(1, "done"))
    assert (released.claim, released.claims, state(released, decide(released, OPEN))[0]) == (None, 1, Status.OPEN)
    started = run_of(e.TaskClaimed(1, "ada", 9.0), e.RunStarted(1, "base"))
    assert (started.claim, started.claims) == (None, 1)


def test_a_closed_task_is_over_and_one_that_runs_is_not_closed() -> None:
    closed = run_of(e.TaskClosed("person:p", "done by hand"))
    assert (closed.activity, closed.over, closed.settled_well) == (ClosedFor("done by hand"), True, True)
    assert decide(closed, OPEN) == Wait(Who.NOBODY, "closed", "done by hand")
    assert state(closed, decide(closed, OPEN)) == (Status.CLOSED, "done by hand")
    running = run_of(e.RunStarted(1, "base"), e.TaskClosed("person:p", "x"))
    assert running.under_way and not running.over
    again = run_of(e.TaskClosed("person:p", "x"), e.RunStarted(1, "base"))
    assert again.under_way


def test_an_edited_task_is_another_question() -> None:
    run = run_of(e.TaskEdited(replace(TASK, text="do more", links=())))
    assert (run.task.text, run.activity) == ("do more", Unstarted())


def test_the_timeline_tells_of_the_tracker() -> None:
    told = timeline(
        records(
            e.TaskAdded(TASK),
            e.TaskEdited(TASK),
            e.TaskEdited(replace(TASK, links=())),
            e.TaskClaimed(1, "ada", 9.0),
            e.ClaimReleased(1, "given up"),
            e.TaskClosed("person:p", "done"),
            e.RunRebased("m1"),
            e.RulesGiven("s", 1, "m2"),
            e.DriftGiven("s", 1, "m2", ("a", "b")),
        )
    )
    assert [line.text for line in told] == [
        "asked: do it",
        "edited: do it (blocks T3)",
        "edited: do it",
        "claimed by ada under token 1",
        "claim 1 ended: given up",
        "closed: done",
        "main moved before it began: it begins on m1",
        "its agent is told how the rules changed up to m2",
        "its agent is told how main changed a, b up to m2",
    ]


HELD = Claim(3, "ada", 100.0)


@pytest.mark.parametrize(
    ("claim", "newest", "token", "now", "slug"),
    [
        (None, 0, 0, 0.0, ""),  # nobody claims it
        (HELD, 3, 3, 0.0, ""),  # the claimant
        (HELD, 3, 3, 200.0, ""),  # late, and nobody came after
        (HELD, 3, 0, 200.0, ""),  # overdue: somebody else may take over
        (HELD, 3, 0, 0.0, "task-claimed"),
        (HELD, 3, 2, 0.0, "stale-token"),
        (None, 3, 3, 0.0, "stale-token"),  # released
        (None, 0, 7, 0.0, "stale-token"),  # never given out
    ],
)
def test_c1_only_the_newest_token_may_write(
    claim: Claim | None, newest: int, token: int, now: float, slug: str
) -> None:
    if not slug:
        return require_claim("T1", claim, newest, token, now)
    with pytest.raises(Refused) as caught:
        require_claim("T1", claim, newest, token, now)
    assert caught.value.slug == slug and caught.value.hint


@pytest.mark.parametrize(
    ("task", "paths", "held", "refused"),
    [
        ("T1", ("src/a.py",), ("src/**",), True),
        ("T1", ("src/a.py",), ("docs/**",), False),
        ("T2", ("src/a.py",), ("src/**",), False),  # its own
        ("T1", (), ("src/**",), False),  # to claim nothing is free
        ("T1", ("src/a.py",), (), False),
    ],
)
def test_c1_paths_that_somebody_claims_are_nobody_elses(
    task: str, paths: tuple[str, ...], held: tuple[str, ...], refused: bool
) -> None:
    wanted, known = PathClaim(task, f"{task}.1", paths, 300.0), PathClaim("T2", "T2.1", held, 100.0)
    if not refused:
        return require_free(wanted, (known,))
    with pytest.raises(Refused) as caught:
        require_free(wanted, (known,))
    assert caught.value.message == "T2 claims 'src/**', which meets 'src/a.py'"


def test_a_lease_on_paths_goes_on_while_its_session_is_heard_from_and_never_comes_back() -> None:
    board, claim = PathClaims(), PathClaim("T1", "T1-1-execute-1.1", ("src/**",), 30.0, 30.0)
    board.take(claim)
    board.renew("T1-1-execute-1.1", 20.0)
    board.renew("T2-1-execute-1.1", 40.0)  # another's
    assert (board.holding(49.0), board.holding(50.0)) == ((claim,), ())
    board.renew("T1-1-execute-1.2", 45.0)  # the same conversation, in the attempt's next session
    assert board.holding(74.0) == (claim,)
    board.renew("T1-1-execute-1.1", 80.0)  # somebody may have relied on its end
    assert board.holding(81.0) == ()
    fixed = PathClaim("T1", "T1-1-execute-1.1", ("a",), 100.0)  # of before leases
    board.take(fixed)
    board.renew("T1-1-execute-1.1", 99.0)
    assert (board.holding(99.0), board.holding(100.0)) == ((fixed,), ())
    board.take(PathClaim("T1", "T1-1-execute-1.1", (), 200.0, 30.0))
    assert board.holding(100.0) == ()
