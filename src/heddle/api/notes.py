"""Notes between sessions, for people: read them, search them, leave one."""

from dataclasses import asdict
from typing import Any

import msgspec

from heddle.api.desk import Desk
from heddle.core.notes import Note, Notebook, NoteKind
from heddle.core.scope import Scope, require_scope
from heddle.engine.noting import Noting


class Find(msgspec.Struct, forbid_unknown_fields=True):
    """Notes of a repository (`root`) that have all the words of `words`, about one of `paths` or one of `symbols` if any is
    named: `row` and `stats` find `stats.Table.row`.
    """

    root: str
    words: str = ""
    paths: list[str] = []
    symbols: list[str] = []


class Leave(msgspec.Struct, forbid_unknown_fields=True):
    """A person's note: sessions whose files it is about are given it as they are given any other."""

    root: str
    text: str
    kind: NoteKind = NoteKind.DECISION
    paths: list[str] = []
    symbols: list[str] = []


async def listed(desk: Desk, asked: Find) -> dict[str, Any]:
    """The notes, oldest first, each with the sessions that were given it."""
    site = await desk.fleet.outside.site(asked.root)
    book = desk.runs.notebook(site.repository.key)
    scope, words = require_scope(asked.paths), asked.words.lower().split()
    notes = [note for note in book.notes.values() if _has(note, words) and _about(note, scope, asked.symbols)]
    return {"schema": "heddle.notes/1", "notes": [_told(desk, book, note) for note in notes]}


def _about(note: Note, scope: Scope, symbols: list[str]) -> bool:
    if any(f".{name}.".find(f".{wanted}.") >= 0 for name in note.symbols for wanted in symbols):
        return True
    return note.concerns(scope) if scope.globs else not symbols


def _has(note: Note, words: list[str]) -> bool:
    about = " ".join((note.text, note.kind, note.task, *note.paths, *note.symbols)).lower()
    return all(word in about for word in words)


async def leave(desk: Desk, asked: Leave) -> dict[str, Any]:
    """Write a note as a person. Raises UserError (slug bad-note, bad-scope, bad-symbol)."""
    site = await desk.fleet.outside.site(asked.root)
    note = await Noting(desk.runs, site).write(None, "", asked.kind, asked.text, asked.paths, asked.symbols)
    return {"schema": "heddle.note/1", **_told(desk, desk.runs.notebook(site.repository.key), note)}


def _told(desk: Desk, book: Notebook, note: Note) -> dict[str, Any]:
    """`heard`: the sessions of which there is evidence that they had it, among those that were given it."""
    given = [one for one in book.given if note.id in one.notes]
    heard = {one.session for one in given if one.turn < desk.runs.heard(one.session)}
    return {**asdict(note), "given": sorted({one.session for one in given}), "heard": sorted(heard)}
