"""What every reader tells a task with, and the bounds that all of them keep."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from heddle.core.errors import UserError
from heddle.core.links import Link, LinkKind
from heddle.ports.trackers import Listed

TEXT_LIMIT = 50_000
ITEM_LIMIT = 10_000
LINK_LIMIT = 100_000
"""Characters of a text, and tasks and links of a list."""

_ESCAPES = re.compile(
    r"\x1b\][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)?"  # a title or a link of a terminal
    r"|\x1b[P^_X][^\x1b]{0,4096}(?:\x1b\\)?"
    r"|[\x1b\x9b]\[?[0-?]{0,64}[ -/]{0,16}[@-~]"
)
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")


def plain(text: str) -> str:
    """Text as people write it: lines end in a newline, and nothing in it moves a cursor or turns the reading direction."""
    text = re.sub(r"\r\n?|[\u2028\u2029\x85]", "\n", text)
    return _CONTROLS.sub("", _ESCAPES.sub("", text))


def line_of(text: str) -> str:
    """The same on one line."""
    return " ".join(plain(text).split())


def told(title: str, *parts: str, instead: str) -> str:
    """A task's text: its title (`instead` when there is none), and what else is known of it, cut at the bound."""
    bodies = [body for body in (plain(part).strip("\n ") for part in parts) if body]
    text = "\n\n".join([line_of(title) or line_of(instead), *bodies])
    return cut(text)


def cut(text: str) -> str:
    """A text within the bound; what is left out is told."""
    if len(text) <= TEXT_LIMIT:
        return text
    note = f"\n\n(cut here: {len(text)} characters in all)"
    return text[: TEXT_LIMIT - len(note)] + note


@dataclass(frozen=True, slots=True)
class Found:
    """A task and the line that it was found on (0: unknown)."""

    listed: Listed
    line: int = 0


def settled(found: Iterable[Found], place: str) -> tuple[Listed, ...]:
    """The tasks of one list, each once, with each link once, and at most one parent each (the first that is told).

    Raises UserError: duplicate-id (the same name twice with different content), list-too-long.
    """
    kept: dict[str, Found] = {}
    links = 0
    for one in found:
        listed = replace(one.listed, links=_tidy(one.listed))
        before = kept.setdefault(listed.source, Found(listed, one.line))
        if before.listed != listed:
            lines = f"lines {before.line} and {one.line}" if one.line else "two places"
            name = listed.source.partition(":")[2]
            message = f"{place}: '{name}' is there twice with different content, {lines}"
            raise UserError(message, slug="duplicate-id", hint="keep one of the two, and try again")
        links += len(listed.links)
        if len(kept) > ITEM_LIMIT or links > LINK_LIMIT:
            what = f"{ITEM_LIMIT} tasks" if len(kept) > ITEM_LIMIT else f"{LINK_LIMIT} links"
            hint = "bring in a part of it, for instance what is open"
            raise UserError(f"{place} has more than {what}", slug="list-too-long", hint=hint)
    return tuple(one.listed for one in kept.values())


def _tidy(listed: Listed) -> tuple[Link, ...]:
    kept: list[Link] = []
    for link in dict.fromkeys(listed.links):
        if link.task == listed.source:
            continue
        if link.kind is LinkKind.PARENT and any(one.kind is LinkKind.PARENT for one in kept):
            continue
        kept.append(link)
    return tuple(kept)


def json_of(text: str, place: str) -> object:
    """A JSON value. Raises UserError with the place."""
    try:
        value: object = json.loads(text)
    except RecursionError:
        raise not_json(place, "nested too deeply") from None
    except ValueError as error:
        raise not_json(place, str(error).partition(": line")[0]) from None
    return value


def json_lines(text: str, place: str) -> Iterator[tuple[int, dict[str, object]]]:
    """The objects of JSON lines, each with its line. Raises UserError with the line for what is no object."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            value = json_of(line, f"{place}, line {number}")
            if not isinstance(value, dict):
                raise not_json(f"{place}, line {number}", "an object is needed")
            yield number, value


def not_json(place: str, why: str) -> UserError:
    """The error for JSON that cannot be read."""
    return UserError(f"{place}: not the JSON of a task list: {line_of(why)[:200]}", slug="bad-json", hint=_MEND)


_MEND = "mend that line, or export the list anew"


def string(value: object) -> str:
    """A string, or "" for anything else."""
    return value if isinstance(value, str) else ""


def sequence(value: object) -> list[object]:
    """A list, that of a GraphQL connection ({"nodes": [...]}) included; empty for anything else."""
    if isinstance(value, dict):
        value = value.get("nodes")
    return value if isinstance(value, list) else []


def name(value: object) -> str:
    """An id as it goes into a source: one line of at most 200 characters, "" when it is none."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else string(value)
    clean = line_of(text)
    return clean if len(clean) <= 200 else ""
