"""What a session knows against what is: each reason alone moves the score, is named, and has its reaction."""

from dataclasses import replace

import pytest

from heddle.core import events as e
from heddle.core.cycle import PlayStage
from heddle.core.evolve import fold
from heddle.core.rot import Facts, Reaction, Reason, cited, rot
from heddle.core.task import Stage, Task
from heddle.core.timeline import timeline
from heddle.core.views import row

FRESH = Facts(Stage.EXECUTE, context=(10, 100))
READING = replace(FRESH, stage=Stage.PLAN)
MANY = tuple(f"f{n}" for n in range(7))


def test_a_session_that_knows_all_has_no_score_and_no_reason() -> None:
    for facts in (FRESH, READING):
        fresh = rot(facts)
        assert (fresh.score, fresh.signs, fresh.unknown) == (0, (), ())


@pytest.mark.parametrize(
    ("fact", "reason", "score", "text", "writing", "reading"),
    [
        (
            {"rules": ("lat\udce9in/AGENTS.md",)},
            "rules",
            20,
            "the rules on main are others: lat?in/AGENTS.md",
            "note",
            "note",
        ),
        ({"rules": ("AGENTS.md",)}, "rules", 20, "the rules on main are others: AGENTS.md", "note", "note"),
        ({"drifted": ("a.py",)}, "drift", 10, "main changed its files: a.py", "refresh", "watch"),
        ({"drifted": MANY}, "drift", 50, "main changed its files: f0, f1, f2, f3, f4 and 2 more", "refresh", "watch"),
        ({"notes": ("N1", "N2")}, "notes", 10, "it was not given N1, N2", "note", "note"),
        ({"notes": MANY}, "notes", 20, "it was not given f0, f1, f2, f3, f4 and 2 more", "note", "note"),
        ({"context": (60, 100)}, "context", 6, "its context is 60 % full", "watch", "watch"),
        ({"context": (80, 100)}, "context", 18, "its context is 80 % full", "refresh", "refresh"),
        ({"context": (300, 100)}, "context", 30, "its context is 100 % full", "refresh", "refresh"),
        ({"cited": ("a.py",)}, "research", 10, "main changed what its research cites: a.py", "refresh", "research"),
        ({"cited": MANY}, "research", 40, None, "refresh", "research"),
    ],
)
def test_each_reason_alone_changes_score_reason_and_reaction(
    fact: dict[str, tuple[str, ...]], reason: str, score: int, text: str | None, writing: str, reading: str
) -> None:
    for facts, reaction in ((FRESH, writing), (READING, reading)):
        found = rot(replace(facts, **fact))
        (sign,) = found.signs
        assert (found.score, sign.points, sign.reason, sign.reaction) == (score, score, reason, reaction)
        assert text in (None, sign.text) and sign.means
    (judging,) = rot(replace(FRESH, stage=Stage.VALIDATE, **fact)).signs
    assert (judging.points, judging.reaction) == (score, "watch")


def test_reasons_add_up_the_heaviest_first_and_no_further_than_to_a_hundred() -> None:
    some = rot(replace(FRESH, rules=("AGENTS.md",), notes=("N1",), drifted=("a", "b", "c")))
    assert [(sign.reason, sign.points) for sign in some.signs] == [("drift", 30), ("rules", 20), ("notes", 5)]
    assert some.score == 55
    assert rot(Facts(Stage.EXECUTE, MANY, MANY, MANY, (9, 9), MANY)).score == 100


def test_what_cannot_be_known_is_named_and_counts_for_nothing() -> None:
    unknown = rot(Facts(Stage.EXECUTE, unknown=("main cannot be read",)))
    assert (unknown.score, unknown.signs) == (0, ())
    assert unknown.unknown == ("main cannot be read", "its agent does not say how full its context is")
    assert rot(replace(FRESH, context=(5, 0))).score == 0  # no window is none
    assert {Reason.DRIFT, Reason.RULES} <= set(Reason) and Reaction.NOTE == "note"


@pytest.mark.parametrize(
    ("text", "path", "named"),
    [
        ("- a.py:1", "a.py", True),
        ("see `src/app/a.py:10-12`.", "src/app/a.py", True),
        ("[it](./src/a.py#L3)", "src/a.py", True),
        ("app/a.py:4, and more", "src/app/a.py", True),  # its last parts
        ("a.py:4", "src/app/a.py", False),  # which of them?
        ("src/a.pyc", "src/a.py", False),
        ("nota.py", "a.py", False),
        ("the file 'odd name.txt' says so", "odd name.txt", True),
        ("", "a.py", False),
        ("see:a.py", "a.py", True),
        ("." * 200_000 + "x:" + ":1" * 200_000 + "/" * 200_000, "a.py", False),  # and it takes no time
        ("Makefile:3: the tests.", "Makefile", True),
        ("/a.py", "src/a.py", False),
    ],
)
def test_a_text_cites_a_file_by_its_path(text: str, path: str, named: bool) -> None:
    assert cited(text, (path, "other/b.py")) == ((path,) if named else ())


def test_a_board_names_the_reasons_and_the_facts_change_no_run() -> None:
    facts = (e.TaskAdded(Task("T1", "r", "/r", "main", "do it")), e.ContextRecorded(1, 90, 100))
    records = [e.Recorded("task:T1", n, n, 0.0, "", "", 1, fact) for n, fact in enumerate(facts, 1)]
    run = fold(records)
    assert run is not None and [line.text for line in timeline(records)] == ["asked: do it"]
    some, little = rot(replace(FRESH, rules=("AGENTS.md",), drifted=("a",))), rot(replace(FRESH, notes=("N1",)))
    for found, flags in ((some, ("rot 30: rules, drift",)), (little, ()), (None, ())):
        told = row(run, PlayStage(Stage.EXECUTE, 1, "k"), 0.0, None, found)
        assert (told.flags, told.rot) == (flags, found)
