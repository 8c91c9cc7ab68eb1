"""What a check finds, in one form for all checks."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad it is: what is surely lost or wrong; what misleads or wastes; what could be better."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


ORDER = tuple(Severity)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found at a line of a file (0: of the file as a whole), and what would mend it."""

    slug: str
    severity: Severity
    path: str
    line: int
    text: str
    remedy: str = ""


def in_order(found: list[Finding]) -> tuple[Finding, ...]:
    """Each once, the worst first, then by place."""
    return tuple(
        sorted(dict.fromkeys(found), key=lambda one: (ORDER.index(one.severity), one.path, one.line, one.slug))
    )
