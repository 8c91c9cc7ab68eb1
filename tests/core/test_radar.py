"""The radar's rules: what can meet at all, how bad it is, who has to know, and when a record changes."""

import pytest

from heddle.core.radar import (
    CALM_S,
    MAIN,
    Drift,
    Drifts,
    Hunk,
    Level,
    Side,
    Told,
    Touched,
    judge,
    meetings,
    near,
    pair_of,
    places,
    settle,
    whom,
)


def t(path: str, origin: str = "") -> Touched:
    return Touched(path, "a", "b", origin)


@pytest.mark.parametrize(
    ("ours", "theirs", "met"),
    [
        ([t("a.py")], [t("b.py")], ()),
        ([t("a.py")], [t("a.py"), t("b.py")], ("a.py",)),
        ([t("new.py", "a.py")], [t("a.py")], ("a.py",)),  # renamed by one, changed by the other
        ([t("x")], [t("x/y/z.py")], ("x",)),  # a file of one is a folder of the other
        ([t("x/y/z.py")], [t("x")], ("x",)),
        ([t("y/a.py", "x/a.py")], [t("x/deep/new.py")], ("x",)),  # git would move the new file, too
        ([t("x/b.py", "x/a.py")], [t("x/new.py")], ()),  # renamed where it lies
        ([t("lib/a.py")], [t("lib/b.py")], ()),
    ],
)
def test_two_sides_can_meet_where_a_merge_could_fail(
    ours: list[Touched], theirs: list[Touched], met: tuple[str, ...]
) -> None:
    assert meetings(places(ours), places(theirs)) == met
    assert meetings(places(theirs), places(ours)) == met


@pytest.mark.parametrize(
    ("one", "other", "functions", "close"),
    [
        (Hunk(5, 5), Hunk(9, 9), (), True),
        (Hunk(5, 5), Hunk(10, 10), (), False),
        (Hunk(5, 5), Hunk(40, 41), ((1, 60),), True),
        (Hunk(5, 5), Hunk(40, 41), ((1, 30), (35, 50)), False),
        (Hunk(40, 41), Hunk(5, 5), ((1, 60),), True),
    ],
)
def test_changes_are_near_in_lines_or_in_one_function(
    one: Hunk, other: Hunk, functions: tuple[tuple[int, int], ...], close: bool
) -> None:
    assert near([one], [other], functions) is close


def test_the_worst_finding_is_the_level() -> None:
    def level(**found: object) -> Level | None:
        return judge("T1", "T2", ("a.py",), **found).level  # type: ignore[arg-type]

    assert judge("T1", "T2", ()).level is Level.CLEAR
    assert level() is Level.SAME_FILE
    assert judge("T1", "T2", ("a.py", "b.py"), close=("a.py",)) == Drift("T1", "T2", Level.NEAR, ("a.py",))
    assert level(breaks=("x newly uses y",), close=("a.py",)) is Level.SYMBOL
    assert level(conflicts=("a.py",), breaks=("x",)) is Level.CONFLICT
    unknown = judge("T1", "T2", ("a.py",), conflicts=None, unknown="git failed", breaks=("x",))
    assert (unknown.level, unknown.detail) == (None, "git failed")


EARLY = Side("T1", "s1", began=1, done=9, priority=2)
LATE = Side("T2", "s2", began=2, done=3, priority=2)
DONE = Side("T3", "", began=3, done=1, priority=2)


@pytest.mark.parametrize(
    ("level", "one", "other", "told"),
    [
        (None, EARLY, LATE, ()),
        (Level.CLEAR, EARLY, LATE, ()),
        (Level.SAME_FILE, EARLY, LATE, ()),
        (Level.NEAR, EARLY, LATE, ("T2",)),
        (Level.NEAR, Side("T1", "s1", 5, 1, 2), LATE, ("T1",)),
        (Level.CONFLICT, EARLY, LATE, ("T2",)),
        (Level.CONFLICT, Side("T1", "s1", 1, 2, 2), LATE, ("T1",)),
        (Level.SYMBOL, Side("T1", "s1", 1, 3, 3), LATE, ("T1",)),  # as much done, less urgent
        (Level.SYMBOL, Side("T1", "s1", 1, 3, 2), LATE, ("T2",)),  # all the same: the later
        (Level.CONFLICT, EARLY, DONE, ("T1",)),  # who has done less is not there any more
        (Level.CONFLICT, DONE, DONE, ()),
        (Level.RED, EARLY, LATE, ("T1", "T2")),
        (Level.NEAR, EARLY, None, ()),
        (Level.CONFLICT, EARLY, None, ("T1",)),
    ],
)
def test_who_has_to_know(level: Level | None, one: Side, other: Side | None, told: tuple[str, ...]) -> None:
    assert whom(level, one, other) == told
    if other is not None:
        assert sorted(whom(level, other, one)) == sorted(told)


def drift(level: Level | None, *paths: str) -> Drift:
    return Drift("T1", "T2", level, paths)


def test_what_is_worse_counts_at_once_and_what_is_better_must_stay_so() -> None:
    near_now, clear, conflict = drift(Level.NEAR, "a"), drift(Level.CLEAR), drift(Level.CONFLICT, "a")
    assert settle(None, clear, None, 0.0) == (False, None)
    assert settle(None, conflict, None, 0.0) == (True, None)
    assert settle(near_now, conflict, 3.0, 4.0) == (True, None)
    assert settle(conflict, conflict, 3.0, 4.0) == (False, None)
    assert settle(conflict, drift(Level.CONFLICT, "b"), None, 0.0) == (True, None)
    assert settle(drift(Level.SAME_FILE, "a"), drift(Level.SAME_FILE, "b"), None, 0.0) == (False, None)
    assert settle(conflict, clear, None, 10.0) == (False, 10.0)
    assert settle(conflict, near_now, 10.0, 10.0 + CALM_S / 2) == (False, 10.0)
    assert settle(conflict, clear, 10.0, 10.0 + CALM_S) == (True, None)


def test_unknown_is_on_record_as_such_and_never_as_clear() -> None:
    unknown, clear = drift(None), drift(Level.CLEAR)
    assert settle(None, unknown, None, 0.0) == (True, None)
    assert settle(unknown, unknown, None, 0.0) == (False, None)
    assert settle(unknown, clear, None, 0.0) == (True, None)


def test_the_record_forgets_what_is_clear_and_remembers_who_was_told() -> None:
    drifts = Drifts()
    drifts.find(drift(Level.CONFLICT, "a"))
    assert drifts.untold(drift(Level.CONFLICT)) and drifts.told_at("s2", 1) is None
    assert not drifts.untold(drift(None))
    drifts.told.append(Told("s2", 1, "mind this", (("T1", "T2", Level.CONFLICT),)))
    assert not drifts.untold(drift(Level.CONFLICT, "b")) and drifts.untold(drift(Level.SYMBOL))
    assert drifts.told_at("s2", 1) == drifts.told[0] and drifts.told_at("s2", 2) is None
    drifts.find(drift(Level.CLEAR))
    drifts.find(drift(Level.CLEAR))
    assert drifts.found == {}


def test_a_pair_has_one_order() -> None:
    assert pair_of("T10", "T9") == pair_of("T9", "T10") == ("T9", "T10")
    assert pair_of(MAIN, "T1") == pair_of("T1", MAIN) == ("T1", MAIN)
    assert drift(Level.NEAR).of("T1") and not drift(Level.NEAR).of("T3")
    assert drift(Level.NEAR).beside("T1") == "T2" and drift(Level.NEAR).beside("T2") == "T1"
