"""Questions that sessions ask through their tools: what they are called, and which answers a session has not heard."""

import hashlib
from dataclasses import dataclass

from heddle.core.errors import UserError
from heddle.core.run import Run

LONGEST, LONGEST_OPTION, MOST_OPTIONS = 4_000, 200, 10
LONGEST_REPORT = 200
BY_TOOLS = -1
"""The turn of an answer that the tool itself brought."""

_MARK = "/ask-"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, with the answers that are offered and the one that holds when the person says nothing else."""

    text: str
    options: tuple[str, ...] = ()
    default: str = ""

    def id(self, session: str) -> str:
        """Its name when that session asks it: the same words are the same question."""
        words = "\x1f".join((self.text, *self.options))
        return f"{session}{_MARK}{hashlib.sha256(words.encode()).hexdigest()[:16]}"


def require_question(text: str, options: tuple[str, ...], default: str) -> Question:
    """A question that can be put to a person. Raises UserError(slug="bad-question")."""
    asked = Question(_bare(text), tuple(dict.fromkeys(_line(option) for option in options)), _line(default))
    if not asked.text or len(asked.text) > LONGEST:
        raise _no_question(f"a question has 1 to {LONGEST} characters", "ask in a few sentences")
    if len(asked.options) > MOST_OPTIONS or any(not 0 < len(word) <= LONGEST_OPTION for word in asked.options):
        told = f"there are {MOST_OPTIONS} options at most, each of 1 to {LONGEST_OPTION} characters"
        raise _no_question(told, "put the details into the question")
    if len(asked.default) > LONGEST_OPTION or (asked.options and asked.default not in ("", *asked.options)):
        raise _no_question("the default is none of the options", "name one of them, or none")
    return asked


def require_report(text: str) -> str:
    """A line of progress. Raises UserError(slug="bad-report")."""
    line = _line(text)
    if not line:
        raise UserError("the line has no words", slug="bad-report", hint="say in a few words how far you have come")
    return line if len(line) <= LONGEST_REPORT else f"{line[: LONGEST_REPORT - 1]}…"


def known_as(run: Run, session: str, question: Question) -> str:
    """The name under which the attempt of that session has asked it, or else asks it now."""
    attempt, mark = f"{session.rpartition('.')[0]}.", question.id("")
    asked = (*(id for id, _ in run.answers), *(one.id for one in run.questions))
    found = (id for id in asked if id.startswith(attempt) and id.endswith(mark))
    return next(found, question.id(session))


def unanswered(run: Run, session: str) -> tuple[str, ...]:
    """What the session asked through its tools and nobody answered yet."""
    return tuple(one.id for one in run.questions if _asked_by(session, one.id))


def unheard(run: Run, session: str) -> tuple[str, ...]:
    """What was answered and the session was not told."""
    told = {id for one in run.given for id in one.questions}
    return tuple(id for id, _ in run.answers if _asked_by(session, id) and id not in told)


def given_after(run: Run, session: str, turn: int) -> tuple[str, ...] | None:
    """What the session is told the answers to after its turn of that number; None when nothing was decided."""
    return next((one.questions for one in run.given if (one.session, one.turn) == (session, turn)), None)


def answered_after(run: Run, session: str) -> tuple[int, ...]:
    """The turns of the session after which it was told answers."""
    return tuple(one.turn for one in run.given if one.session == session and one.turn != BY_TOOLS)


def _asked_by(session: str, id: str) -> bool:
    return id.startswith(f"{session}{_MARK}")


def _bare(text: str) -> str:
    return "".join(char for char in text if char in "\n\t" or (ord(char) >= 32 and not 127 <= ord(char) < 160)).strip()


def _line(text: str) -> str:
    return " ".join(_bare(text).split())


def _no_question(told: str, hint: str) -> UserError:
    return UserError(told, slug="bad-question", hint=hint)
