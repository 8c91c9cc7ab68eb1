"""As much of Markdown as is needed to tell a sentence from an example: fences, code spans, comments, front matter."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Kind = Literal["text", "code", "comment", "front"]

_FENCE = re.compile(r"\s*(?:[-*+] +|\d+[.)] +|> ?)*(`{3,}|~{3,})\s*([^\s`{]*)")
_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")
_IMPORT = re.compile(r"(?:^|(?<=[\s(\[*:,-]))@([\w.~/\\-][^\s`<>]*)")
_LIST = re.compile(r"\s*(?:[-*+]|\d+[.)])\s")

MOST_COLUMNS, MOST_LINES = 2000, 5000
"""What is beyond is not looked at: no guidance is as long, and patterns must end."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line with its number, what it is, and the language of the fence around it."""

    number: int
    text: str
    kind: Kind = "text"
    language: str = ""


@lru_cache(maxsize=256)
def lines(text: str) -> tuple[Line, ...]:
    """Every line but those that only open or close a fence. A fence that nobody closes goes on to the end."""
    return tuple(_lines([line[:MOST_COLUMNS] for line in re.split(r"\r\n|\n|\r", text)[:MOST_LINES]]))


def _lines(texts: list[str]) -> Iterator[Line]:
    start = _front(texts)
    yield from (Line(number, text, "front") for number, text in enumerate(texts[:start], 1))
    mark, language, in_comment, was_blank, in_list, indented = "", "", False, True, False, False
    for number, text in enumerate(texts[start:], start + 1):
        fence = None if in_comment else _FENCE.match(text)
        if mark:
            if fence and fence[1].startswith(mark) and not text.strip(" `~>"):
                mark = ""
            else:
                yield Line(number, text, "code", language)
            continue
        if fence:
            mark, language = fence[1], fence[2].lower()
            continue
        starts = not in_comment and text.lstrip().startswith("<!--")
        in_comment = in_comment or starts
        in_list = bool(_LIST.match(text)) or (in_list and (not text.strip() or text[:1].isspace()))
        indented = bool(re.match(r" {4}|\t", text)) and not in_list and (was_blank or indented)
        yield Line(number, text, "comment" if in_comment else "code" if indented else "text")
        in_comment = in_comment and "-->" not in text
        was_blank = not text.strip()


def _front(texts: list[str]) -> int:
    """How many lines the front matter takes, with its marks."""
    if texts[0].strip() != "---":
        return 0
    return next((number for number, text in enumerate(texts[1:200], 2) if text.strip() == "---"), 0)


def spans(text: str) -> tuple[str, ...]:
    """What a line has in code spans."""
    return tuple(found[2].strip() for found in _SPAN.finditer(text))


def bare(text: str) -> str:
    """A line without what is in code spans."""
    return _SPAN.sub(" ", text)


@lru_cache(maxsize=256)
def imports(text: str) -> tuple[tuple[int, str], ...]:
    """(line, path) of every @path outside of code and comments."""
    found = []
    for line in lines(text):
        if line.kind == "text":
            named = (one[1].rstrip(".,;:!?)]*'\"") for one in _IMPORT.finditer(bare(line.text)))
            found += [(line.number, path) for path in named if path]
    return tuple(found)


def front_matter(text: str) -> dict[str, tuple[str, ...]]:
    """The keys of the front matter with their values: a plain one, a list in either form, or one with commas."""
    found: dict[str, tuple[str, ...]] = {}
    key = ""
    for line in lines(text):
        if line.kind != "front":
            break
        item = re.match(r"\s*-\s+(.*)", line.text)
        named = re.match(r"([A-Za-z_][\w-]*):\s*(.*)", line.text)
        if item and key:
            found[key] += _values(item[1])
        elif named:
            key = named[1]
            found[key] = _values(named[2])
    return found


def _values(text: str) -> tuple[str, ...]:
    parts = re.split(r",(?![^{]*\})", text.strip().removeprefix("[").removesuffix("]"))
    return tuple(part.strip().strip("\"'") for part in parts if part.strip().strip("\"'"))
