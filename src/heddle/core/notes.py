"""Facts that sessions leave for each other: typed, tagged with paths and symbols, given once to whom they concern."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from heddle.core.errors import UserError
from heddle.core.mentions import Source
from heddle.core.scope import Scope

LONGEST = 2_000
"""Characters of a note: what needs more is a document."""

MOST_PATHS = 50


class NoteKind(StrEnum):
    """What a note is about."""

    DECISION = "decision"
    DISCOVERY = "discovery"
    INTERFACE_CHANGE = "interface-change"
    WARNING = "warning"
    QUESTION = "question"


PRESSING = frozenset({NoteKind.INTERFACE_CHANGE, NoteKind.WARNING})
"""Kinds that are worth a turn of a session that believes it is done."""


@dataclass(frozen=True, slots=True)
class Note:
    """`paths` (globs) and `symbols` are what it speaks of; none: everything. `task` and `session` wrote it ("" for a
    person), on commit `base`.
    """

    id: str
    kind: NoteKind
    text: str
    paths: tuple[str, ...]
    task: str
    session: str
    base: str
    symbols: tuple[str, ...] = ()

    def concerns(self, scope: Scope, touched: Iterable[str] = (), sources: Iterable[Source] = ()) -> bool:
        """Whether it speaks of what may be written in a scope, or of one of the paths, or of what the files define or use."""
        if not scope.declared:
            return True
        if any(source.concerns(symbol) for source in sources for symbol in self.symbols):
            return True
        if self.symbols and not self.paths:
            return False
        about = Scope(self.paths)
        return scope.meeting(about) is not None or any(about.covers(path) for path in touched)


@dataclass(frozen=True, slots=True)
class Given:
    """Notes that a session was given: before its first turn (`turn` 0), after a turn, or through its tools (-1). None are a
    decision too, and so is what is known before any (-2). `follows`: the session whose conversation it goes on with.
    """

    session: str
    turn: int
    notes: tuple[str, ...]
    follows: str = ""


Heard = Callable[[str], int]
"""Of how many messages of a session there is evidence that the agent had them."""


@dataclass(slots=True)
class Notebook:
    """The notes of one repository, oldest first, and who was given which."""

    notes: dict[str, Note] = field(default_factory=dict)
    given: list[Given] = field(default_factory=list)

    @property
    def next_id(self) -> str:
        """The name of the next note."""
        return f"N{1 + max((int(id[1:]) for id in self.notes if id[1:].isdecimal()), default=0)}"

    def conversation(self, session: str) -> tuple[str, ...]:
        """A session and those with whose conversation it goes on, the latest first."""
        follows = {given.session: given.follows for given in self.given if given.follows}
        found = [session]
        while (before := follows.get(found[-1], "")) and before not in found:
            found.append(before)
        return tuple(found)

    def known_to(self, session: str, heard: Heard = lambda _: 0) -> frozenset[str]:
        """Ids of the notes that a session was given; of the sessions before it in its conversation, those that were heard."""
        before = self.conversation(session)[1:]
        ours = (
            given
            for given in self.given
            if given.session == session or (given.session in before and given.turn < heard(given.session))
        )
        return frozenset(id for given in ours for id in given.notes)

    def given_at(self, session: str, turn: int) -> tuple[Note, ...] | None:
        """What a session was given there; None when that was not decided yet."""
        for given in self.given:
            if (given.session, given.turn) == (session, turn):
                return tuple(self.notes[id] for id in given.notes if id in self.notes)
        return None

    def unread(self, session: str, task: str, heard: Heard) -> tuple[Note, ...]:
        """What a session was not given yet and its own task did not write."""
        known = self.known_to(session, heard)
        return tuple(note for note in self.notes.values() if note.id not in known and note.task != task)


def require_note(text: str, paths: Sequence[str]) -> str:
    """The words of a note. Raises UserError(slug="bad-note")."""
    bare = "".join(char for char in text.strip() if char in "\n\t" or ord(char) >= 32)
    if not bare:
        raise UserError("the note has no words", slug="bad-note", hint="say the fact in a line or two")
    if len(bare) > LONGEST:
        told = f"the note has {len(bare)} characters; {LONGEST} are the most"
        raise UserError(told, slug="bad-note", hint="say the fact in a line or two")
    if len(paths) > MOST_PATHS:
        raise UserError(f"the note names {len(paths)} paths", slug="bad-note", hint="name folders, as in 'src/api/**'")
    return bare
