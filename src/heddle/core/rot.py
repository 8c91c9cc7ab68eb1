"""How far what a session knows has come apart from what is: a score with its reasons, and what is done about each.

Points: 20 when the rules are others; 10 for each of its files that main changed, 50 at most; 5 for each note that it was
not given, 20 at most; 6 for each tenth of its context beyond half; 10 for each file its research cites and main
changed, 40 at most. The score is their sum, 100 at most. What cannot be known counts for nothing and is named.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from heddle.core.task import WITH_AGENT, Stage

NEARLY_FULL = 0.8
"""The share of a context from which on what was said first may be lost to the agent."""

MOST_NAMED = 5


class Reason(StrEnum):
    """What is not as the session knows it."""

    RULES = "rules"
    DRIFT = "drift"
    NOTES = "notes"
    CONTEXT = "context"
    RESEARCH = "research"


class Reaction(StrEnum):
    """What Heddle does about it."""

    NOTE = "note"
    REFRESH = "refresh"
    RESEARCH = "research"
    WATCH = "watch"


MEANS = {
    Reaction.NOTE: "told at the next boundary",
    Reaction.REFRESH: "refreshed at the next boundary",
    Reaction.RESEARCH: "research is made anew before the next stage",
    Reaction.WATCH: "watched",
}

REACTIONS = {
    (Reason.RULES, True): Reaction.NOTE,
    (Reason.RULES, False): Reaction.NOTE,
    (Reason.NOTES, True): Reaction.NOTE,
    (Reason.NOTES, False): Reaction.NOTE,
    (Reason.DRIFT, True): Reaction.REFRESH,
    (Reason.DRIFT, False): Reaction.WATCH,  # it writes nothing, and its document is judged against main
    (Reason.CONTEXT, True): Reaction.REFRESH,
    (Reason.CONTEXT, False): Reaction.REFRESH,
    (Reason.RESEARCH, True): Reaction.REFRESH,  # too late for other research: it hears how main changed what was cited
    (Reason.RESEARCH, False): Reaction.RESEARCH,
}
"""By reason, and whether the session's stage writes."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a session: files of rules that it was not told of as they are now; its files that main has otherwise
    than it knows; notes that it was not given; the tokens in its context and how many there may be (None: its agent does
    not say); files that its research cites and main changed; what could not be looked at.
    """

    stage: Stage
    rules: tuple[str, ...] = ()
    drifted: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    context: tuple[int, int] | None = None
    cited: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sign:
    """One reason, what it weighs, in words, and what is done about it."""

    reason: Reason
    points: int
    text: str
    reaction: Reaction
    means: str


@dataclass(frozen=True, slots=True)
class Rot:
    """`score`: 0 (fresh) to 100. `unknown`: what it does not account for, and why."""

    score: int
    signs: tuple[Sign, ...]
    unknown: tuple[str, ...]


def rot(facts: Facts) -> Rot:
    """The score of a session, with its reasons, the heaviest first."""
    weighed = (
        (Reason.RULES, 20 * bool(facts.rules), f"the rules on main are others: {_named(facts.rules)}"),
        (Reason.DRIFT, min(50, 10 * len(facts.drifted)), f"main changed its files: {_named(facts.drifted)}"),
        (Reason.NOTES, min(20, 5 * len(facts.notes)), f"it was not given {_named(facts.notes)}"),
        (Reason.CONTEXT, _crowded(facts.context), f"its context is {round(fill(facts.context) * 100)} % full"),
        (
            Reason.RESEARCH,
            min(40, 10 * len(facts.cited)),
            f"main changed what its research cites: {_named(facts.cited)}",
        ),
    )
    signs = [_sign(reason, points, text, facts.stage) for reason, points, text in weighed if points]
    unknown = facts.unknown if facts.context else (*facts.unknown, "its agent does not say how full its context is")
    signs.sort(key=lambda sign: -sign.points)
    return Rot(min(100, sum(sign.points for sign in signs)), tuple(signs), unknown)


def _sign(reason: Reason, points: int, text: str, stage: Stage) -> Sign:
    reaction = REACTIONS[reason, stage is Stage.EXECUTE]
    if stage not in WITH_AGENT or (
        reason is Reason.CONTEXT and points < _crowded((int(NEARLY_FULL * 100), 100))
    ):  # who judges a result judges it against main, and is over soon
        reaction = Reaction.WATCH
    return Sign(reason, points, text, reaction, MEANS[reaction])


def fill(context: tuple[int, int] | None) -> float:
    """The share of a context that is in use; 0 where nobody says."""
    used, most = context or (0, 0)
    return min(1.0, used / most) if most > 0 else 0.0


def _crowded(context: tuple[int, int] | None) -> int:
    return max(0, round((fill(context) - 0.5) * 60))


def _named(things: Sequence[str]) -> str:
    return ", ".join(map(shown, things[:MOST_NAMED])) + (
        f" and {len(things) - MOST_NAMED} more" if things[MOST_NAMED:] else ""
    )


def shown(path: str) -> str:
    """A path in words that can be written: one whose name is not UTF-8 is read with lone surrogates, which cannot."""
    return path.encode(errors="replace").decode()


_BREAK = re.compile(r"[\s`'\"()\[\]{}<>,;|*]+")
_LINES = re.compile(r"[:#]")


def cited(text: str, paths: Iterable[str]) -> tuple[str, ...]:
    """Those of the paths that a text names: whole, or by their last parts where it names a folder too. Lines are not told
    apart: who cites one knows the file.
    """
    words = {
        part.rstrip(".!?").removeprefix("./") for word in _BREAK.split(text) for part in (word, *_LINES.split(word))
    }
    ends = {f"/{word}" for word in words if "/" in word.strip("/")}
    return tuple(path for path in paths if path in words or any(end in ends for end in _ends(path)) or _odd(path, text))


def _ends(path: str) -> Iterable[str]:
    at = path.find("/")
    while at >= 0:
        yield path[at:]
        at = path.find("/", at + 1)


def _odd(path: str, text: str) -> bool:
    """Whether a path that is no word is named."""
    return _BREAK.search(path) is not None and path in text
