"""What labels say of a task: its role, its lane, its priority. A small table, since every project has words of its own."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from heddle.adapters.trackers.telling import line_of
from heddle.core.task import UNDO, Lane

ROLES = {
    "bugfix": ("bug", "bugfix", "fix", "defect", "regression", "security", "vulnerability"),
    "docs": ("docs", "doc", "documentation"),
    "tests": ("test", "tests", "testing"),
    "refactor": ("refactor", "refactoring", "tech-debt", "technical-debt", "cleanup"),
    "feature": ("feature", "feat", "enhancement", "feature-request"),
}
"""By the words of labels and issue types; of several roles the first one here."""

PRIORITIES = (
    ("0", "p0", "critical", "urgent", "blocker"),
    ("1", "p1", "high"),
    ("2", "p2", "medium", "normal"),
    ("3", "p3", "low"),
    ("4", "p4", "backlog", "trivial"),
)
"""The words of each priority, from the highest."""

_KINDS = frozenset({"type", "kind", "category", "t"})
_SPLIT = re.compile(r"\s*[:/=]\s*")
_ROLE = re.compile(r"[a-z][a-z0-9-]{0,39}")


@dataclass(frozen=True, slots=True)
class Said:
    """What labels say; "" and None where they say nothing."""

    role: str = ""
    lane: str = ""
    priority: int | None = None


def said(labels: Iterable[str]) -> Said:
    """By the table. `role:NAME` and `lane:NAME` stand above it; of several priorities the highest counts."""
    words = [line_of(label).casefold() for label in labels]
    pairs = [(parts[0], parts[-1].replace(" ", "-")) for parts in (_SPLIT.split(word) for word in words)]
    lanes = [value for key, value in pairs if key == "lane" and value in list(Lane)]
    roles = [value for key, value in pairs if key == "role" and _ROLE.fullmatch(value) and value != UNDO]
    kinds = {value for key, value in pairs if key in _KINDS or key.replace(" ", "-") == value}
    roles += [role for role, names in ROLES.items() if kinds.intersection(names)]
    priorities = [number for word in words for number in _priorities(word)]
    return Said((roles or [""])[0], (lanes or [""])[0], min(priorities, default=None))


def _priorities(word: str) -> list[int]:
    """`P1`, `priority:high`, `priority/P1`, `priority-3`, `prio: low`, and of the plain words those that say only this."""
    match = re.fullmatch(r"(?:priority|prio)\s*[:/=\s-]\s*(.+)", word)
    value = match[1] if match else word
    plain_words = {"p0", "p1", "p2", "p3", "p4", "critical", "urgent", "high priority", "low priority"}
    if not match and value not in plain_words:
        return []
    value = value.removesuffix(" priority")
    return [number for number, names in enumerate(PRIORITIES) if value in names]
