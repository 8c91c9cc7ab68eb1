"""What sessions ask through their tools: what is no question, whose it is, and who was told the answer."""

import pytest

from heddle.core import events as e
from heddle.core.asking import (
    BY_TOOLS,
    Question,
    answered_after,
    given_after,
    known_as,
    require_question,
    require_report,
    unanswered,
    unheard,
)
from heddle.core.errors import UserError
from heddle.core.evolve import fold
from heddle.core.run import Run
from heddle.core.task import Lane, Stage, Task
from heddle.core.timeline import timeline
from heddle.core.views import state

FIRST, SECOND = "T1-1-execute-1.1", "T1-1-execute-1.2"


def recorded(*events: e.Event) -> list[e.Recorded]:
    begun = (
        e.TaskAdded(Task("T1", "r", "/r", "main", "do it", lane=Lane.QUICK)),
        e.RunStarted(1, "base"),
        e.StageStarted(Stage.EXECUTE, 1, "T1-1-execute-1"),
        e.SessionStarted(FIRST, "a", "w", Stage.EXECUTE, 1, 0),
    )
    facts = enumerate((*begun, *events), 1)
    return [e.Recorded("task:T1", n, n, float(n), "heddle", "", 1, event) for n, event in facts]


def run_of(*events: e.Event) -> Run:
    run = fold(recorded(*events))
    assert run is not None
    return run


def asked(question: Question, session: str = FIRST) -> e.QuestionAsked:
    return e.QuestionAsked(question.id(session), question.text, question.options, question.default, session)


def test_a_question_is_plain_text_that_a_person_can_read() -> None:
    found = require_question(" which\x1b[2J\x9b?\n", ("a", " b \n c", "a"), "b c")
    assert found == Question("which[2J?", ("a", "b c"), "b c")


@pytest.mark.parametrize(
    ("text", "options", "default"),
    [
        (" \x00", (), ""),
        ("x" * 4001, (), ""),
        ("which?", tuple("abcdefghijk"), ""),
        ("which?", ("a", " "), ""),
        ("which?", ("x" * 201,), ""),
        ("which?", ("a", "b"), "c"),
        ("which?", (), "x" * 201),
    ],
)
def test_what_is_no_question_is_refused_with_the_reason(text: str, options: tuple[str, ...], default: str) -> None:
    with pytest.raises(UserError) as caught:
        require_question(text, options, default)
    assert caught.value.slug == "bad-question" and caught.value.hint


def test_the_same_words_are_the_same_question_of_the_attempt() -> None:
    one, other = Question("which?"), Question("which?", ("a",))
    run = run_of(asked(one), e.QuestionAnswered(one.id(FIRST), "x"), asked(other))
    assert known_as(run, SECOND, one) == one.id(FIRST)  # answered
    assert known_as(run, SECOND, other) == other.id(FIRST)  # open
    assert known_as(run, "T1-1-execute-2.1", one) == one.id("T1-1-execute-2.1")
    assert known_as(run, SECOND, Question("else?")).startswith(f"{SECOND}/ask-")


def test_an_answer_is_heard_once_it_was_given() -> None:
    one, two = Question("one?"), Question("two?")
    native = e.QuestionAsked(f"{FIRST}/7", "by itself", (), "", FIRST)
    facts: tuple[e.Event, ...] = (asked(one), asked(two), native, e.QuestionAnswered(one.id(FIRST), "x"))
    run = run_of(*facts, e.QuestionAnswered(native.question, "y"))
    assert unanswered(run, FIRST) == (two.id(FIRST),)
    assert unheard(run, FIRST) == (one.id(FIRST),)
    assert (unanswered(run, SECOND), unheard(run, SECOND)) == ((), ())
    given = (e.AnswersGiven(FIRST, BY_TOOLS, (one.id(FIRST),)), e.AnswersGiven(FIRST, 2, (two.id(FIRST),)))
    run = run_of(*facts, *given)
    assert unheard(run, FIRST) == ()
    assert (given_after(run, FIRST, 2), given_after(run, FIRST, 1)) == ((two.id(FIRST),), None)
    assert (answered_after(run, FIRST), answered_after(run, SECOND)) == ((2,), ())


def test_progress_is_what_the_session_at_work_said_last_in_this_attempt() -> None:
    said = e.ProgressReported(FIRST, "half of it")
    run = run_of(said, e.ProgressReported("T1-1-execute-9.1", "not at work"))
    assert (run.progress, run.reports) == ("half of it", 1)
    assert state(run, None)[1] == "execute, attempt 1: half of it"  # type: ignore[arg-type]
    again = run_of(said, e.StageFailed(Stage.EXECUTE, 1, "x", "y"), e.StageStarted(Stage.EXECUTE, 2, "k"))
    assert (again.progress, again.reports) == ("", 1)
    assert not any("half" in line.text for line in timeline(recorded(said, e.AnswersGiven(FIRST, 1, ()))))


def test_a_report_is_one_short_line() -> None:
    assert require_report(" 3 of\n5\x1b[0m ") == "3 of 5[0m"
    assert require_report("x" * 300) == "x" * 199 + "…"
    with pytest.raises(UserError) as caught:
        require_report("\n")
    assert caught.value.slug == "bad-report"
