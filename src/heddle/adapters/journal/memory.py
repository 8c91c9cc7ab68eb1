"""The fake: a journal that keeps its facts as long as its process, for tests of everything above the port."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from heddle.adapters.journal.codec import encode
from heddle.core.errors import Fenced, StaleSequence
from heddle.core.events import Event, Recorded
from heddle.ports import Clock, Fence, SetAside


@dataclass(slots=True)
class Lease:
    """Who holds a name, under which token, until when."""

    owner: str
    token: int
    expires_at: float


class MemoryJournal:
    """The Journal port in memory."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._facts: list[Recorded] = []
        self._streams: dict[str, int] = {}
        self._leases: dict[str, Lease] = {}
        self._news = asyncio.Event()
        self._closed = False

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
        """See the port."""
        if fence is not None:
            self._require_fence(fence)
        seq = self._streams.get(stream, 0)
        if seq != expected:
            raise StaleSequence(
                f"stream '{stream}' is at {seq}, not at {expected}", slug="stale-sequence", hint="read it again"
            )
        at, position = self._clock.now(), self.position()
        written = tuple(
            Recorded(stream, seq + number, position + number, at, by, cause, encode(event)[1], event)
            for number, event in enumerate(events, start=1)
        )
        if written:
            self._facts += written
            self._streams[stream] = written[-1].seq
            self._news.set()
            self._news = asyncio.Event()
        return written

    async def read(self, stream: str, after: int = 0) -> tuple[Recorded, ...]:
        """See the port."""
        return tuple(fact for fact in self._facts if fact.stream == stream and fact.seq > after)

    async def read_all(self, after: int = 0, limit: int = 10_000) -> tuple[Recorded, ...]:
        """See the port."""
        return tuple(self._facts[after : after + limit])

    async def streams(self, prefix: str = "") -> tuple[str, ...]:
        """See the port."""
        return tuple(stream for stream in self._streams if stream.startswith(prefix))

    async def head(self, stream: str) -> int:
        """See the port."""
        return self._streams.get(stream, 0)

    def position(self) -> int:
        """See the port."""
        return len(self._facts)

    async def wait(self, after: int) -> int:
        """See the port."""
        while self.position() <= after:
            await self._news.wait()
            if self._closed:
                raise asyncio.CancelledError
        return self.position()

    async def claim(self, name: str, owner: str, ttl_s: float) -> Fence | None:
        """See the port."""
        now, held = self._clock.now(), self._leases.get(name)
        if held is not None and held.owner != owner and held.expires_at > now:
            return None
        token = held.token + 1 if held else 1
        self._leases[name] = Lease(owner, token, now + ttl_s)
        return Fence(name, token)

    async def renew(self, fence: Fence, ttl_s: float) -> None:
        """See the port."""
        self._require_fence(fence).expires_at = self._clock.now() + ttl_s

    async def release(self, fence: Fence) -> None:
        """See the port."""
        held = self._leases.get(fence.name)
        if held is not None and held.token == fence.token:
            self._leases[fence.name] = Lease("", fence.token + 1, 0)

    def set_aside(self) -> tuple[SetAside, ...]:
        """See the port: what never was bytes can always be read."""
        return ()

    def close(self) -> None:
        """See the port."""
        self._closed = True
        self._news.set()

    def _require_fence(self, fence: Fence) -> Lease:
        held = self._leases.get(fence.name)
        if held is None or held.token != fence.token:
            raise Fenced(f"lease '{fence.name}' was taken over", slug="fenced", hint="another daemon goes on with it")
        return held
