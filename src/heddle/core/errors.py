"""Every failure that reaches a person, with its next step.

    HeddleError
    ├── UserError      2   asked for something that cannot be
    ├── SetupError     4   configuration, git or an agent is missing or wrong
    ├── Limited        5   a budget or a vendor's limit stands in the way
    ├── Refused        6   a gate, a conflict or a promise forbids it
    ├── OutsideError   7   a program, a disk or a network failed
    └── Bug           70   ours

Exit status 1 is not an error: it is a valid answer "no". Status 3 means that a wait ended on a person.
Expected outcomes of the cycle (a red check, a rejected plan) are events, never exceptions.
"""

from typing import ClassVar

MACHINE = frozenset({"disk-full", "read-only", "sandbox-unavailable", "no-listener"})
"""Slugs of what the machine lacks: no attempt failed by it; the work waits until the machine has it."""


class HeddleError(Exception):
    """A failure with a message of one line, a stable slug, a hint (the next step) and named facts."""

    exit_status: ClassVar[int] = 70
    kind: ClassVar[str] = "bug"

    def __init__(self, message: str, *, slug: str = "", hint: str = "", **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.slug = slug or self.kind
        self.hint = hint
        self.facts = facts

    def as_dict(self) -> dict[str, object]:
        """The error as plain data for JSON: kind, slug, message, hint, exit status and facts."""
        return {
            "kind": self.kind,
            "slug": self.slug,
            "message": self.message,
            "hint": self.hint,
            "exit_status": self.exit_status,
            "facts": self.facts,
        }


class UserError(HeddleError):
    """What was asked for cannot be."""

    exit_status = 2
    kind = "user"


class SetupError(HeddleError):
    """Configuration, git, a directory or an agent is missing or wrong."""

    exit_status = 4
    kind = "setup"


class Limited(HeddleError):
    """A budget or a vendor's limit stands in the way."""

    exit_status = 5
    kind = "limited"


class Refused(HeddleError):
    """A gate, a conflict or a promise forbids it."""

    exit_status = 6
    kind = "refused"


class OutsideError(HeddleError):
    """Something outside failed: a program, a disk, a network. Facts: program, args, exit or signal, tail."""

    exit_status = 7
    kind = "outside"


class StaleSequence(Refused):
    """The stream moved on since it was read: read again, decide again."""


class Fenced(Refused):
    """The lease this writer holds was taken over: nothing it writes counts any more."""


class Bug(HeddleError):
    """A fault of Heddle's own."""


KINDS: dict[str, type[HeddleError]] = {
    kind.kind: kind for kind in (UserError, SetupError, Limited, Refused, OutsideError, Bug)
}
