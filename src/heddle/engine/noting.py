"""Notes between sessions: writing them, and seeing to it that each session is given what concerns it, once.

What a session is given is decided and recorded before it is sent, so that a restart sends the same again; the holder takes
each message once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from itertools import islice

from heddle.core import events as e
from heddle.core.errors import HeddleError, Refused
from heddle.core.mentions import SUFFIX, Source, require_symbols, source
from heddle.core.notes import PRESSING, Given, Note, Notebook, NoteKind, require_note
from heddle.core.redaction import Redactor
from heddle.core.run import Run
from heddle.core.scope import Scope, require_scope
from heddle.engine.runs import Runs
from heddle.engine.site import Site
from heddle.ports import Change, Changes

BY_TOOLS, BEFORE = -1, -2
"""The turn of what a session fetched itself; and of whose conversation it goes on with, which is known before it is told
anything.
"""

MOST_WRITTEN = 50
"""Notes that one session may write: more are no facts that others need, and all of them are kept."""

MOST_AT_ONCE = 20
MOST_TURNS = 2
"""So often a session that believes it is done is told of what a neighbour left; each time costs a turn."""

MOST_SOURCES = 50
"""Files in which symbols are looked for at once."""

Touched = Callable[[], Awaitable[Changes]]


class Noting:
    """The notes of one repository, as its sessions meet them."""

    def __init__(self, runs: Runs, site: Site) -> None:
        self._runs, self._site = runs, site
        self._repository = site.repository.key
        self._changed: dict[tuple[str, str], tuple[str, ...]] = {}

    async def write(
        self,
        run: Run | None,
        session: str,
        kind: NoteKind,
        text: str,
        paths: Sequence[str] = (),
        symbols: Sequence[str] = (),
    ) -> Note:
        """Leave a fact for others; without a run it is a person's. Raises UserError (slug bad-note, bad-scope, bad-symbol),
        and Refused(slug="too-many-notes") to a session that has said enough.
        """
        globs, words, names = require_scope(paths).globs, require_note(text, paths), require_symbols(symbols)
        secrets = await self._site.workspaces.secrets(run.base) if run else ()
        words = Redactor(secrets)(words)
        written: list[Note] = []

        def choose(book: Notebook) -> list[e.Event]:
            if run and sum(note.session == session for note in book.notes.values()) >= MOST_WRITTEN:
                told = f"session '{session}' has written {MOST_WRITTEN} notes"
                raise Refused(told, slug="too-many-notes", hint="write what else you found into your document")
            author = (run.task.id, session, run.base) if run else ("", "", "")
            written.append(Note(book.next_id, kind, words, globs, *author, names))
            return [e.NoteWritten(written[0])]

        await self._runs.record_noted(self._repository, choose, by=session or "person")
        return written[0]

    async def at_start(self, run: Run, session: str, scope: Scope, follows: str = "") -> tuple[Note, ...]:
        """What concerns a session that is about to begin; one that is on record has had its first message. It is not given
        what an earlier session of its conversation had; it `follows` the last of those.
        """
        book = self._runs.notebook(self._repository)
        facts = (record.event for record in self._runs.history(run.task.id))
        begun = any(isinstance(fact, e.SessionStarted) and fact.session == session for fact in facts)
        known = book.given_at(session, 0)
        if begun or known is not None:
            return known or ()
        if follows:
            await self._record(Given(session, BEFORE, (), follows))
        commit = run.result.commit if run.result else run.base

        async def covered() -> Changes:
            paths = await self._site.repository.list_files(commit) if scope.declared else ()
            within = (Change(path, "modified") for path in paths if path.endswith(SUFFIX) and scope.covers(path))
            return Changes(tuple(islice(within, MOST_SOURCES)), tree=commit)

        new = await self._new(run, session, scope, covered, frozenset(NoteKind))
        return await self._give(run, session, 0, new) if new else ()

    async def after(self, run: Run, session: str, turn: int, scope: Scope, touched: Touched) -> tuple[Note, ...]:
        """What pressing facts came while a session worked, after its turn of that number; bounded. That none did is decided
        once as well: a replay must not give to a session that was let go what it can have no more (D1).
        """
        book = self._runs.notebook(self._repository)
        known = book.given_at(session, turn)
        if known is not None:
            return known
        told = sum(given.session == session and given.turn > 0 and bool(given.notes) for given in book.given)
        new = await self._new(run, session, scope, touched, PRESSING) if told < MOST_TURNS else ()
        return await self._give(run, session, turn, new)

    def decided(self, session: str, turn: int) -> bool:
        """Whether it is settled what a session hears after its turn of that number."""
        return self._runs.notebook(self._repository).given_at(session, turn) is not None

    async def fetched(self, run: Run, session: str, notes: tuple[Note, ...]) -> None:
        """A session read these through its tools; it is not given them again."""
        known = self._runs.notebook(self._repository).known_to(session)
        fresh = tuple(note for note in notes if note.id not in known)
        if fresh:
            await self._give(run, session, BY_TOOLS, fresh)

    async def current(self, run: Run, paths: tuple[str, ...] = (), *, most: int) -> tuple[Note, ...]:
        """The newest notes that still hold for a run, newest first; of those paths alone when some are named."""
        notes = reversed(self._runs.notebook(self._repository).notes.values())
        return await self._holding(run, (note for note in notes if not paths or note.concerns(Scope(paths))), most)

    async def unread(self, run: Run, session: str, scope: Scope) -> tuple[Note, ...]:
        """What concerns a session, still holds and was not given to it; none of it is given by that."""
        return await self._new(run, session, scope, _nothing_yet, frozenset(NoteKind))

    async def _new(
        self, run: Run, session: str, scope: Scope, touched: Touched, kinds: frozenset[NoteKind]
    ) -> tuple[Note, ...]:
        unread = self._runs.notebook(self._repository).unread(session, run.task.id, self._runs.heard)
        candidates = [note for note in reversed(unread) if note.kind in kinds]
        changes = await touched() if candidates else Changes(())
        paths = [change.path for change in changes.paths]
        named = any(note.symbols for note in candidates)
        sources = await self._sources(changes.tree, paths) if named else ()
        concerned = (note for note in candidates if note.concerns(scope, paths, sources))
        return (await self._holding(run, concerned, MOST_AT_ONCE))[::-1]

    async def _sources(self, tree: str, paths: Iterable[str]) -> tuple[Source, ...]:
        """What the code among some files of a tree says; what cannot be read says nothing."""
        found: list[Source] = []
        for path in islice((path for path in paths if path.endswith(SUFFIX)), MOST_SOURCES if tree else 0):
            with suppress(HeddleError):
                data = await self._site.repository.read_file(tree, path)
                one = await asyncio.to_thread(source, path, data or b"")
                found += [one] if one else []
        return tuple(found)

    async def _holding(self, run: Run, notes: Iterable[Note], most: int) -> tuple[Note, ...]:
        """The first notes of these that still hold for a run; no more are looked at than it takes to find so many."""
        found: list[Note] = []
        for note in notes:
            if len(found) == most:
                break
            if not await self._outdated(note, run):
                found.append(note)
        return tuple(found)

    async def _give(self, run: Run, session: str, turn: int, new: tuple[Note, ...]) -> tuple[Note, ...]:
        """Decide it once; what was decided before stands."""
        await self._record(Given(session, turn, tuple(note.id for note in new)))
        return self._runs.notebook(self._repository).given_at(session, turn) or ()

    async def _record(self, given: Given) -> None:
        def choose(book: Notebook) -> list[e.Event]:
            known = book.given_at(given.session, given.turn) if given.turn != BY_TOOLS else None
            return [] if known is not None else [e.NotesGiven(given)]

        await self._runs.record_noted(self._repository, choose, by=given.session)

    async def _outdated(self, note: Note, run: Run) -> bool:
        """Whether the run begins on code that changed since the note spoke of it. Where nobody can say, as when the commit
        it spoke of is gone, it is no reason to keep a fact from anybody.
        """
        if not note.base or not (note.paths or note.symbols) or note.base == run.base:
            return False
        between = (note.base, run.base)
        if between not in self._changed:
            try:
                self._changed[between] = await self._changes(*between)
            except HeddleError:
                self._changed[between] = ()
        changed = self._changed[between]
        if any(Scope(note.paths).covers(path) for path in changed):
            return True
        sources = await self._sources(run.base, changed) if note.symbols else ()
        return any(one.defines(symbol) for one in sources for symbol in note.symbols)

    async def _changes(self, old: str, new: str) -> tuple[str, ...]:
        """What the newer commit changed; nothing where it does not follow from the older one."""
        repository = self._site.repository
        if not await repository.is_ancestor(old, new):
            return ()
        return tuple(change.path for change in await repository.changes(old, new))


async def _nothing_yet() -> Changes:
    return Changes(())
