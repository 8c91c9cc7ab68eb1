"""What rules state of one subject, and where two files that count together state it differently.

Conservative on purpose: a file that states several values of a subject offers a choice, and two files differ only when they
have none in common.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

from heddle.core.rules import markdown
from heddle.core.rules.commands import brief, words_of
from heddle.core.rules.files import RuleFile
from heddle.core.rules.findings import Finding, Severity

COMMANDS = {
    "test": r"(?:run (?:all |the )*(?:unit |full )*)?tests?(?:ing| suite)?",
    "build": r"(?:run the )?build(?:ing)?",
    "lint": r"(?:run the )?lint(?:ing|er|s)?",
    "format": r"(?:run the )?(?:auto)?format(?:ting|ter)?",
    "type check": r"(?:run the )?type[- ]?check(?:s|ing|er)?",
}
"""Subjects of which a command is stated: the label in front of it."""

TOOLS = {
    "Python": r"Python",
    "Node": r"Node(?:\.js|js)?",
    "Go": r"Go(?:lang)?",
    "Rust": r"Rust",
    "Java": r"Java",
    "Ruby": r"Ruby",
}
"""Tools of which a version is stated."""

_LABEL = r"(?i)^\s*(?:[-*+]|\d+[.)])?\s*(?:\*\*|__)?{name}(?:\*\*|__)?\s*(?::|with|by)\s*(?:\*\*|__)?\s*(`[^`]+`)\.?\s*(?:\(|$|—|–|-|#)"
_NO_RANGE = r"(?![\w.]*[–-]\s*v?\d|\.\d|\w|\s+(?:to|and|through|or \d))"
_VERSION = (
    r"\b{name}\s*(?:version\s*)?(>=|≥|>)?\s*v?(\d+(?:\.\d+){{0,2}})(\+| or (?:newer|later|higher|above))?" + _NO_RANGE
)
_DEMANDS = re.compile(
    r"(?i)≥|>=|\d\+|\bor (?:newer|later|higher|above)|\brequire|\bneeds?\b|\bversion|\buses?\b|\btarget|\bminimum"
)
"""What makes the version in a sentence a demand, and no mere mention."""

_FORBIDDEN = re.compile(
    r"(?i)\b(?:never|do not|don't|must not|avoid)\s+(?:edit|editing|modify|modifying|touch|touching|change|changing)(?:\s+\w+){0,3}?\s*`([^`]+)`"
)
_WANTED = re.compile(r"(?i)^\s*(?:\d+[.)])?\s*(?:\*\*)?(?:edit|modify|change|update)(?:\s+\w+){0,2}?\s+`([^`]+)`")
"""No point of a list: such a list may stand below the words "do not"."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A `value` of a `subject`, as it is `written` at a line."""

    path: str
    line: int
    subject: str
    value: str
    written: str


@lru_cache(maxsize=256)
def statements(file: RuleFile) -> tuple[Statement, ...]:
    """All that a file states of the known subjects."""
    return tuple(_stated(file))


def _stated(file: RuleFile) -> Iterator[Statement]:
    for line in markdown.lines(file.text):
        if line.kind != "text":
            continue
        for subject, name in COMMANDS.items():
            found = re.match(_LABEL.format(name=name), line.text)
            value = _runner(found[1].strip("`")) if found else ""
            if found and value:
                yield Statement(file.path, line.number, f"{subject} command", value, found[1].strip("`"))
        for tool, name in TOOLS.items() if _DEMANDS.search(line.text) else ():
            for sign, number, suffix in re.findall(_VERSION.format(name=name), line.text):
                least = "at least " if sign or suffix else ""
                yield Statement(
                    file.path, line.number, f"{tool} version", f"{least}{number}", f"{tool} {sign}{number}{suffix}"
                )
        for path in _FORBIDDEN.findall(line.text):
            yield Statement(file.path, line.number, f"path {path}", "not to be edited", line.text.strip())
        for path in _WANTED.findall(line.text):
            yield Statement(file.path, line.number, f"path {path}", "to be edited", line.text.strip())


def _runner(command: str) -> str:
    """What a command comes to without its options and what it is limited to: "pytest", "make test"."""
    words = brief(words_of(command)).split()
    two = (
        "npm",
        "pnpm",
        "yarn",
        "bun",
        "make",
        "just",
        "cargo",
        "go",
        "tox",
        "nox",
        "uv",
        "hatch",
        "poe",
        "task",
        "ruff",
        "gradle",
        "./gradlew",
        "mvn",
        "bazel",
    )
    return " ".join(words[: 2 if words and words[0] in two else 1])


def differences(files: Iterable[RuleFile], together: Iterable[frozenset[str]]) -> Iterator[Finding]:
    """Where two files state a subject differently that one reader has both of (`together`: the paths of such a reader)."""
    by_path = {file.path: file for file in files}
    told: set[frozenset[str]] = set()
    for paths in together:
        for one, other in combinations(sorted(paths), 2):
            pair = frozenset((one, other))
            if pair not in told and by_path[one].real != by_path[other].real:
                told.add(pair)
                yield from _between(statements(by_path[one]), statements(by_path[other]))


def _between(ours: tuple[Statement, ...], theirs: tuple[Statement, ...]) -> Iterator[Finding]:
    for subject in dict.fromkeys(one.subject for one in ours):
        mine = [one for one in ours if one.subject == subject]
        other = [one for one in theirs if one.subject == subject]
        if other and not {one.value for one in mine} & {one.value for one in other}:
            text = (
                f"states the {subject} as '{mine[0].written}', {other[0].path}:{other[0].line} as '{other[0].written}'"
            )
            remedy = "state it once, and let the other file point there"
            yield Finding("stated-differently", Severity.WARNING, mine[0].path, mine[0].line, text, remedy)
