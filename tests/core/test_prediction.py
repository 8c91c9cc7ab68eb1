"""Predictions: on a generated past of which the truth is known, and where the past tells nothing."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heddle.core.map.history import ENOUGH, Commit
from heddle.core.prediction.admission import Ahead, held
from heddle.core.prediction.judging import FOLDER, judged, touched
from heddle.core.prediction.pairs import Band, Meeting, band, meeting
from heddle.core.prediction.predictor import NAMED, Likely, Predictor
from heddle.core.prediction.replay import Calibration, area, calibrated, pairs, replayed
from heddle.core.prediction.words import Names, tokens

AREAS = ("parser", "socket", "ledger", "window", "cipher", "router")
WORDS = {area: [f"{area}{word}" for word in ("alpha", "beta", "gamma", "delta", "omega")] for area in AREAS}


def past(count: int, *, telling: bool = True) -> list[Commit]:
    """Newest first: each commit changes two files of one area; a `telling` message has words of that area."""
    chance = random.Random(3)
    made = []
    for number in range(count):
        area, other = chance.sample(AREAS, 2)
        said = area if telling else other if number % 2 else "thing"
        words = " ".join(chance.sample(WORDS[said], 2)) if said in WORDS else f"thing {number}"
        files = [f"src/{area}/one.py", f"src/{area}/{chance.choice('xyz')}.py"]
        made.append(Commit(str(number), f"mend {words}\n", tuple(files)))
    return made[::-1]


def test_words_are_parts_of_names_in_one_form() -> None:
    assert tokens("Fix parseXMLHeader in retry_policies of the running tests") == {
        "parse",
        "xml",
        "header",
        "retry",
        "polici",
        "runn",
        "test",
    }
    assert tokens("a of is 7") == frozenset()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("change src/app/core.py, please", ["src/app/core.py"]),
        ("core.py is slow", ["src/app/core.py"]),
        ("see app.core for it", ["src/app/core.py"]),
        ("all of x.py", []),  # too many are called so
        ("in src/app nothing, nor gone.py or v1.2", []),
        ("Makefile and `app/core.py` and core.py", ["src/app/core.py"]),
    ],
)
def test_a_text_names_files_by_path_by_name_and_by_module(text: str, named: list[str]) -> None:
    names = Names()
    for path in ("src/app/core.py", "Makefile", *(f"{n}/x.py" for n in range(4))):
        names.add(path)
    assert names.named(text) == named


def test_like_tasks_companions_and_names_make_a_prediction() -> None:
    predictor = Predictor(reversed(past(200)), ["docs/cipher_guide.md"])
    told = predictor.predict("make the parseralpha parserbeta faster")
    assert max(told, key=lambda path: told[path].chance) == "src/parser/one.py"
    assert told["src/parser/one.py"].commits > 5
    assert not [path for path in told if told[path].chance > 0.3 and "parser" not in path]
    named = predictor.predict("change src/ledger/x.py")
    assert named["src/ledger/x.py"].chance >= NAMED
    assert named["src/ledger/one.py"].chance > 0.5, "its companion"
    assert "docs/cipher_guide.md" in predictor.predict("write the cipher guide")
    assert predictor.predict("") == {} == Predictor().predict("anything at all")


def test_a_declared_scope_bounds_the_prediction() -> None:
    predictor = Predictor(reversed(past(200)))
    scope = ["src/window/one.py", "src/window/x.py"]
    told = predictor.predict("parseralpha", scope=scope)
    assert set(told) == set(scope) and 0.6 <= told["src/window/x.py"].chance < 0.8
    wide = predictor.predict("x", scope=[f"{n}.py" for n in range(500)])
    assert wide == {}, "whoever may write everything tells nothing"
    assert predictor.stated("see window/one.py", scope=scope)["src/window/one.py"].chance == NAMED
    assert set(predictor.stated("", named=["src/window/one.py", "elsewhere.py"], scope=scope)) == set(scope)


def test_two_tasks_meet_in_what_both_will_change_and_lockfiles_count_nothing() -> None:
    one = {"a.py": Likely(0.9, 14), "b.py": Likely(0.5, 3), "uv.lock": Likely(1.0, 9)}
    other = {"a.py": Likely(0.9, 20), "b.py": Likely(0.5, 9), "uv.lock": Likely(1.0, 9)}
    found = meeting(one, other)
    assert found.chance == pytest.approx(1 - (1 - 0.81) * (1 - 0.25))
    assert (found.path, found.commits) == ("a.py", 14)
    assert meeting(one, {"c.py": Likely(1.0, 1)}) == meeting({"uv.lock": Likely(1.0, 1)}, one) == Meeting(0.0)
    assert [band(chance) for chance in (0.1, 0.15, 0.5, 0.51)] == [
        Band.PARALLEL,
        Band.NEIGHBOURS,
        Band.NEIGHBOURS,
        Band.SERIAL,
    ]


CHANCES = st.dictionaries(st.sampled_from("abcdef"), st.builds(Likely, st.floats(0, 1), st.integers(0, 9)))


@given(CHANCES, CHANCES)
def test_a_meeting_is_a_chance_and_the_same_both_ways(one: dict[str, Likely], other: dict[str, Likely]) -> None:
    found = meeting(one, other)
    assert 0 <= found.chance <= 1
    assert found.chance == pytest.approx(meeting(other, one).chance)


def test_replay_finds_predictions_good_where_the_past_tells_and_says_so_where_it_does_not() -> None:
    good = calibrated(past(400))
    assert good.good and good.auc > 0.95 and good.brier < 0.1
    assert "AUC" in good.why
    assert good.chance(0.9) > 0.8 and good.chance(0.0) < 0.2
    blind = calibrated(past(400, telling=False))
    assert not blind.good and "does not tell" in blind.why
    few = calibrated(past(ENOUGH - 1))
    assert not few.good and few.why.startswith(f"not enough history: {ENOUGH - 1} of {ENOUGH}")
    apart = calibrated([Commit(str(n), f"word{n}", (f"{n}.py",)) for n in range(300)])
    assert not apart.good and apart.base == 0


def test_nothing_of_a_task_itself_helps_to_predict_it() -> None:
    log = Commit("x", "none", ("CHANGELOG.md",))
    tried = replayed([Commit("2", "only once said", ("new.py",)), log, *past(20)])
    assert tried[-1].prediction == {} and tried[-1].paths == {"new.py"}
    named = replayed([Commit("2", "only once said", ("tests/test_a.py", "z.py", "a.md")), *past(20)], name_one=True)
    assert list(named[-1].prediction) == ["z.py"]
    assert len(pairs(named, 2)) == 2 * len(named) - 3


def test_the_area_is_that_of_ranking_pairs() -> None:
    assert area([(0.1, False), (0.9, True)]) == 1
    assert area([(0.5, False), (0.5, True)]) == 0.5
    assert area([(0.9, False), (0.1, True), (0.2, True)]) == 0
    assert area([(0.5, True)]) == 0.5


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40))
def test_a_calibrated_chance_never_falls_while_the_raw_one_rises(found: list[tuple[float, bool]]) -> None:
    from heddle.core.prediction.replay import _steps

    judge = Calibration(300, steps=_steps(found))
    worth = [judge.chance(raw / 20) for raw in range(21)]
    assert all(one <= other + 1e-9 for one, other in pairwise(worth))


def test_without_a_past_that_tells_names_and_folders_alone_are_believed() -> None:
    unknown = Calibration(5)
    one, other = {"src/a.py": Likely(0.9, 0)}, {"src/b.py": Likely(0.9, 0)}
    assert judged(one, other, unknown) == Meeting(FOLDER, "src/")
    assert judged(one, one, unknown).chance == pytest.approx(0.81)
    assert judged(one, {"top.py": Likely(0.9, 0)}, unknown) == Meeting(0.0)
    good = Calibration(300, 0.9, 0.1, 0.1, ((0.0, 0.05), (0.5, 0.7)))
    assert judged(one, one, good) == Meeting(0.7, "src/a.py", 0)
    assert judged(one, other, good) == Meeting(0.0)
    assert judged(touched(["src/a.py"]), one, good).chance == 0.7


MEETINGS = st.dictionaries(st.tuples(st.integers(0, 7), st.integers(0, 7)), st.floats(0, 1))


@given(st.sets(st.integers(0, 7)), st.permutations(range(8)), MEETINGS)
def test_every_chain_of_waits_ends_in_a_task_that_moves(
    moving: set[int], order: list[int], chances: dict[tuple[int, int], float]
) -> None:
    def meet(one: str, other: str) -> Meeting | None:
        chance = chances.get((min(int(one), int(other)), max(int(one), int(other))))
        return None if chance is None else Meeting(chance, "a.py", 3)

    waiting = [str(number) for number in order if number not in moving]
    found = held(map(str, sorted(moving)), waiting, meet)
    for task in found:
        seen = [task]
        while seen[-1] in found:
            seen.append(found[seen[-1]].task)
            assert len(seen) == len(set(seen)), "a circle"
        assert int(seen[-1]) in moving
    for place, task in enumerate(waiting):
        later = [other for other in waiting[place + 1 :] if task in found and other not in found]
        assert not [other for other in later if (met := meet(other, task)) and met.chance > 0.5], "overtaken"


def test_why_a_task_waits_is_told_with_what_speaks_for_it() -> None:
    assert Ahead("T4", Meeting(0.82, "parser.py", 14)).told == (
        "waits for T4: both will change parser.py (0.82, 14 past commits)"
    )
    assert Ahead("T4", Meeting(0.6, "a.py")).told.endswith("(0.60)")
