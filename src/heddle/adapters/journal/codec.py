"""Events as stored: a kind, a version and JSON. Old versions are lifted by one table, never edited in place."""

import json
from collections.abc import Callable
from typing import Any

import msgspec

from heddle.core.events import EVENTS, Event, kind_of

VERSIONS: dict[str, int] = {}
"""The present version of each kind that is past version 1."""

UPCASTS: dict[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""(kind, version) -> how its data becomes that of the next version."""


class Unreadable(Exception):
    """A record that this Heddle cannot read: of a newer version, an unknown kind, or damaged."""


def encode(event: Event) -> tuple[str, int, str]:
    """(kind, version, JSON) of an event."""
    kind = kind_of(event)
    try:
        data = msgspec.json.encode(event).decode()
    except UnicodeEncodeError:  # a file name that is not UTF-8 comes with lone surrogates
        data = json.dumps(msgspec.to_builtins(event))
    return kind, VERSIONS.get(kind, 1), data


def decode(kind: str, version: int, data: str) -> Event:
    """The event of a stored record. Raises Unreadable with the reason."""
    known = EVENTS.get(kind)
    if known is None:
        raise Unreadable(f"unknown kind '{kind}'")
    present = VERSIONS.get(kind, 1)
    if version > present:
        raise Unreadable(f"'{kind}' has version {version}; this Heddle reads up to {present}")
    try:
        require_text(data)
        raw = json.loads(data)
        for step in range(version, present):
            raw = UPCASTS[kind, step](raw)
        event: Event = msgspec.convert(raw, known)
        return event
    except Unreadable:
        raise
    except Exception as error:  # whatever damage makes of an upcast or a parser, it is this record's alone
        raise Unreadable(f"damaged '{kind}': {error}") from error


def require_text(*stored: str) -> None:
    """Raises Unreadable for bytes that were no UTF-8: they were read as surrogates, which nothing of ours stores."""
    try:
        "".join(stored).encode()
    except UnicodeEncodeError as error:
        raise Unreadable("damaged: it has bytes that are no text") from error
