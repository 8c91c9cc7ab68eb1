"""The merge train's policy: by hand, and in simulated queues with every kind of failure in them."""

from dataclasses import replace

import pytest
from benchmarks.queue_world import STRATEGIES, World, play, world
from hypothesis import given, settings
from hypothesis import strategies as st

from heddle.core import train
from heddle.core.events import RunPaused
from heddle.core.gate import Colour
from heddle.core.queue import VERDICTS, LandingQueue
from heddle.core.queue_events import (
    ChangeEjected,
    MainFoundRed,
    TrainAborted,
    TrainDeparted,
    TrainJudged,
    TrainLanded,
)
from heddle.core.train import Change, Eject, Judge, Known, Land, Train, failure_rate, order, plan, seats

FOUR = tuple(Change(id, ticket) for ticket, id in enumerate("abcd"))


def nothing(train: Train) -> bool | None:
    return None


def knowing(**colours: bool) -> Known:
    return lambda train: colours.get("".join(train))


@pytest.mark.parametrize(
    ("queue", "known", "running", "width", "move"),
    [
        ((), nothing, (), 2, Judge(())),
        (FOUR, nothing, (), 1, Judge((("a", "b", "c", "d"),))),
        (FOUR, nothing, (), 2, Judge((("a", "b", "c", "d"), ("a", "b")))),
        (FOUR, knowing(ab=True), (), 2, Land(("a", "b"))),
        (FOUR, knowing(a=True, abc=True, ab=False), (), 2, Land(("a", "b", "c"))),  # who mends it is aboard
        (FOUR, knowing(a=False), (), 2, Eject("a")),
        (FOUR, knowing(abcd=False), (), 1, Judge((("a", "b"),))),
        (FOUR, knowing(abcd=False), (("a", "b", "c"),), 2, Judge((("a", "b", "c"), ("a", "b")))),
        (FOUR, knowing(ab=False), (), 4, Judge((("a",),))),
        (FOUR[:1], nothing, (), 4, Judge((("a",),))),
    ],
)
def test_a_nested_train_is_cut_searched_and_landed(
    queue: tuple[Change, ...], known: Known, running: tuple[Train, ...], width: int, move: train.Move
) -> None:
    assert plan(queue, known, running, width, 0.06) == move


@pytest.mark.parametrize(
    ("known", "move"),
    [
        (nothing, Judge((("a",), ("a", "b"), ("a", "b", "c")))),
        (knowing(a=False), Eject("a")),
        (knowing(ab=False), Judge((("a",), ("a", "c")))),
        (knowing(ab=False, ac=True), Land(("a", "c"))),
    ],
)
def test_a_chain_leaves_red_ones_out(known: Known, move: train.Move) -> None:
    assert plan(FOUR, known, (), 3, 0.4) == move


def test_who_goes_first() -> None:
    a, b, c, d = FOUR
    same = [replace(change, paths=frozenset({"x"})) for change in (a, b)]
    assert [one.id for one in order([*same, c, d], 2)] == ["a", "c", "d", "b"]
    assert [one.id for one in order([*same, c, d], 8)] == ["a", "b", "c", "d"]
    assert [one.id for one in order([replace(a, risk=3.0), b, c], 2)] == ["b", "c", "a"]
    assert [one.id for one in order([b, a, replace(c, overtaken=3)], 2)] == ["c", "a", "b"]
    assert [one.id for one in order([a, b, c], 2, ("c", "gone"))] == ["c", "a", "b"]
    assert seats("abcd", knowing(ab=False), ()) == ("a", "b")
    assert seats("abcd", nothing, (("a", "b", "c"),)) == ("a", "b", "c")
    assert seats("abcd", nothing, ()) == ()


@given(
    count=st.integers(1, 30),
    rate=st.sampled_from([0.0, 0.05, 0.2, 0.5]),
    width=st.integers(1, 9),
    seed=st.integers(0, 10_000),
    rho=st.sampled_from([0.0, 0.5, 3.0]),
    clash=st.sampled_from([0.0, 0.02, 0.3]),
    uneven=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_m4_every_clean_change_lands_within_a_bound_and_no_innocent_leaves(
    count: int, rate: float, width: int, seed: int, rho: float, clash: float, uneven: bool
) -> None:
    place = world(count, rate, seed, clash=clash, rho=rho, uneven=uneven)
    queue = play(place, STRATEGIES["ours"](), width)
    landed = {id for id, _ in queue.landed}
    assert queue.unvalidated == 0
    assert not place.red(queue.main)
    assert queue.innocent == 0  # who left was red upon the branch as it was
    assert place.good() <= landed
    assert landed | set(queue.ejected) == {change.id for change in place.changes}
    assert max(queue.overtaken.values(), default=0) <= train.OVERTAKEN + train.LONGEST


def test_m4_a_risky_change_lands_while_newer_and_safer_ones_keep_arriving() -> None:
    old = Change("T0", 0, frozenset({"f"}), risk=3.0)
    newer = [Change(f"T{n}", n, frozenset({f"f{n}"})) for n in range(1, 160)]
    broken = {f"T{n}" for n in range(1, 160, 3)}
    place = World([old, *newer], [1.0, *(n * 0.1 for n in range(1, 160))], broken, set())
    queue = play(place, STRATEGIES["ours"](), 4)
    assert 0 < queue.overtaken["T0"] <= train.OVERTAKEN + 2
    assert [id for id, _ in queue.landed].index("T0") < 50


JUDGED = TrainJudged("main", ("T1",), "m0", "c1", "t1", "r", Colour.GREEN)


def test_a_queue_remembers_what_it_needs() -> None:
    queue = LandingQueue()
    assert queue.rate == failure_rate(0, 0)
    queue.take(JUDGED)
    assert queue.verdicts["t1", "r"] == JUDGED
    departed = TrainDeparted(1, "main", "m0", "c1", "t1", ())
    queue.take(departed)
    assert (queue.departed, queue.number) == ({"main": departed}, 1)
    queue.take(TrainAborted(1, "main", "main moved"))
    assert not queue.departed
    queue.take(departed)
    queue.take(TrainLanded(1, "main", ("T1", "T2"), ("T0",)))
    assert (queue.departed, queue.overtaken) == ({}, {"T0": 1})
    assert queue.rate < failure_rate(0, 0)
    queue.take(ChangeEjected("main", "T0", "t1", "r"))
    assert (queue.overtaken, queue.rate > failure_rate(2, 0)) == ({}, True)
    assert ("t1", "r") in queue.verdicts
    red = MainFoundRed("main", "m1", "t9", "make", "T9")
    queue.take(red)
    queue.take(RunPaused("p"))
    assert queue.red == {"main": red}


def test_what_could_not_be_told_is_tried_again_and_old_verdicts_are_let_go() -> None:
    queue = LandingQueue()
    queue.take(replace(JUDGED, colour=Colour.UNKNOWN))
    queue.take(ChangeEjected("main", "T1", "t1", "r"))
    queue.take(ChangeEjected("main", "T1", "t1", "r"))
    assert ("t1", "r") not in queue.verdicts
    queue.take(replace(JUDGED, colour=Colour.UNKNOWN))
    queue.take(TrainLanded(1, "main", ("T2",)))
    assert ("t1", "r") not in queue.verdicts  # who was behind it there is not sent out for it now
    for number in range(VERDICTS + 1):
        queue.take(replace(JUDGED, tree=f"t{number}"))
    assert (len(queue.verdicts), ("t0", "r") in queue.verdicts) == (VERDICTS, False)
