"""Time and truth: the clock and the journal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from heddle.core.events import Event, Recorded


class Clock(Protocol):
    """Time, so that tests can own it."""

    def now(self) -> float:
        """Unix seconds."""
        ...


@dataclass(frozen=True, slots=True)
class Fence:
    """A lease on `name`; `token` grows with every take-over, and only the newest may write."""

    name: str
    token: int


@dataclass(frozen=True, slots=True)
class SetAside:
    """A record or file that could not be read: kept, reported, never replaced by an empty answer."""

    what: str
    where: str
    why: str


class Journal(Protocol):
    """The append-only list of facts: the truth."""

    async def append(
        self,
        stream: str,
        expected: int,
        events: Sequence[Event],
        *,
        by: str,
        cause: str = "",
        fence: Fence | None = None,
    ) -> tuple[Recorded, ...]:
        """Write `events` in one transaction after sequence number `expected` (0: the stream is empty).

        Raises StaleSequence when the stream is not at `expected`, Fenced when the fence was taken over,
        OutsideError(slug="disk-full") when there is no room, OutsideError(slug="journal-busy") on contention.
        """
        ...

    async def read(self, stream: str, after: int = 0) -> tuple[Recorded, ...]:
        """The stream's facts with a sequence number above `after`."""
        ...

    async def read_all(self, after: int = 0, limit: int = 10_000) -> tuple[Recorded, ...]:
        """Facts of every stream with a global position above `after`, in order."""
        ...

    async def streams(self, prefix: str = "") -> tuple[str, ...]:
        """Names of the streams that begin with `prefix`, oldest first."""
        ...

    async def head(self, stream: str) -> int:
        """The stream's last sequence number, also when its last records cannot be read; 0 for an empty stream."""
        ...

    def position(self) -> int:
        """The last global position."""
        ...

    async def wait(self, after: int) -> int:
        """Return the last position as soon as it is above `after`: an event, never a poll."""
        ...

    async def claim(self, name: str, owner: str, ttl_s: float) -> Fence | None:
        """Take the lease `name` when it is free, expired or already the owner's; None when another holds it."""
        ...

    async def renew(self, fence: Fence, ttl_s: float) -> None:
        """Extend the lease. Raises Fenced when it was taken over."""
        ...

    async def release(self, fence: Fence) -> None:
        """Give the lease up; no error when it is gone already."""
        ...

    def set_aside(self) -> tuple[SetAside, ...]:
        """What could not be read since the journal was opened."""
        ...

    def close(self) -> None:
        """Release the files."""
        ...
