"""Notes between sessions: whom they concern, who was given which, and what is none."""

from dataclasses import replace

import pytest

from heddle.core import events as e
from heddle.core.errors import UserError
from heddle.core.evolve import fold
from heddle.core.mentions import source
from heddle.core.notes import Given, Note, Notebook, NoteKind, require_note
from heddle.core.scope import Scope
from heddle.core.task import Task
from heddle.core.timeline import timeline


def nothing(session: str) -> int:
    return 0


def note(id: str = "N1", *paths: str, task: str = "T1") -> Note:
    return Note(id, NoteKind.WARNING, "mind this", paths, task, f"{task}-1-execute-1.1", "m0")


@pytest.mark.parametrize(
    ("paths", "scope", "touched", "concerns"),
    [
        (("src/a.py",), ("src/**",), (), True),
        (("src/a.py",), ("docs/**",), (), False),
        (("src/a.py",), ("docs/**",), ("src/a.py",), True),
        (("src/a.py",), ("docs/**",), ("src/b.py",), False),
        (("src/a.py",), (), (), True),  # whoever has not said where they write may write there
        ((), ("docs/**",), (), True),  # it speaks of everything
    ],
)
def test_a_note_concerns_who_may_write_what_it_speaks_of_or_has(
    paths: tuple[str, ...], scope: tuple[str, ...], touched: tuple[str, ...], concerns: bool
) -> None:
    assert note("N1", *paths).concerns(Scope(scope), touched) is concerns


def test_a_notebook_knows_what_each_session_was_given() -> None:
    book = Notebook()
    assert book.next_id == "N1"
    book.notes = {one.id: one for one in (note("N1"), note("N2", task="T2"), note("N3"))}
    book.given.append(Given("s", 0, ("N1", "N9")))
    assert book.next_id == "N4"
    assert book.known_to("s") == {"N1", "N9"}
    assert book.given_at("s", 0) == (note("N1"),)
    assert book.given_at("s", 1) is None
    assert [one.id for one in book.unread("s", "T2", nothing)] == ["N3"]
    assert [one.id for one in book.unread("other", "T1", nothing)] == ["N2"]
    del book.notes["N1"]  # its record cannot be read
    assert book.next_id == "N4"


def test_a_conversation_that_goes_on_knows_what_its_earlier_sessions_are_known_to_have_had() -> None:
    book = Notebook()
    book.given += [Given("k.1", 0, ("N1",)), Given("k.1", 1, ("N2",)), Given("k.1", -1, ("N3",))]
    book.given += [Given("k.2", -2, (), "k.1"), Given("k.3", -2, (), "k.2"), Given("k.3", 0, ("N4",))]
    assert book.conversation("k.3") == ("k.3", "k.2", "k.1")
    assert book.known_to("k.3", {"k.1": 1, "k.2": 0, "k.3": 0}.__getitem__) == {"N1", "N3", "N4"}
    assert book.known_to("k.2", nothing) == {"N3"}
    assert book.known_to("k.1", nothing) == {"N1", "N2", "N3"}
    book.given.append(Given("k.1", -2, (), "k.3"))  # no record of ours, but it must end
    assert book.conversation("k.3") == ("k.3", "k.2", "k.1")


def test_a_note_about_a_symbol_concerns_whose_files_define_or_use_it() -> None:
    about = replace(note(), symbols=("stats.mean",))
    uses, other = source("b.py", b"from stats import mean\n"), source("b.py", b"x = 1\n")
    assert uses is not None and other is not None
    assert about.concerns(Scope(("b.py",)), ("b.py",), (other, uses))
    assert not about.concerns(Scope(("b.py",)), ("b.py",), (other,))
    assert about.concerns(Scope(()))
    assert replace(about, paths=("b.py",)).concerns(Scope(("b.py",)), (), (other,))


def test_what_is_no_note_is_refused_with_the_reason() -> None:
    assert require_note(" it\x1b[2J holds\n", ()) == "it[2J holds"
    for text, paths in ((" \n", ()), ("x" * 2001, ()), ("fine", ("a",) * 51)):
        with pytest.raises(UserError) as caught:
            require_note(text, paths)
        assert caught.value.slug == "bad-note" and caught.value.hint


def test_notes_change_nothing_about_a_run() -> None:
    facts = (
        e.TaskAdded(Task("T1", "r", "/r", "main", "do it")),
        e.NoteWritten(note()),
        e.NotesGiven(Given("s", 0, ())),
    )
    records = [e.Recorded("task:T1", n, n, 0.0, "", "", 1, fact) for n, fact in enumerate(facts, 1)]
    assert fold(records[:1]) is not None
    told = timeline(records)
    assert [line.text for line in told] == ["asked: do it"]
