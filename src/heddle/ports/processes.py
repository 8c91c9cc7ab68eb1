"""Processes that outlive the daemon, and what encloses them."""

from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from heddle.core.session import Send

Streams: TypeAlias = tuple[StreamReader, StreamWriter]
"""The two directions of a connection."""

STREAM_LIMIT = 65_536
"""Bytes of a connection that a reader holds before its sender has to wait, more or less."""


@dataclass(frozen=True, slots=True)
class Command:
    """A process to hold. `key` names it for ever: the same key is never started twice.

    `env` is the whole environment beyond the sandbox's own minimum; `transcript_limit` in bytes. With `stdin` lent or
    terminal the process is a visit: it starts once somebody comes through its door, on their three streams or on a
    terminal of its own that they see and type into; nothing of that is kept. Where the sandbox governs the network,
    `hosts` ("name:port", "*.name:port") are all that it may reach; those that are also in `near` were named by the
    person and may lie in a private network. `forwards` ("127.0.0.1:8080") are services of this machine that are there
    inside at the same address. `tools` is the unix socket on which Heddle serves the session its tools; it is reached at
    the host and port that stand for core.session.TOOLS in what is, as a whole, its URL, or a setting KEY=URL, in `argv` and
    `env`. `ports` are leased to the session where it shares the
    machine's loopback: on them, and on no others, its own servers may listen and be reached.
    """

    key: str
    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str] = field(default_factory=dict)
    stdin: Literal["pipe", "null", "lent", "terminal"] = "null"
    transcript_limit: int = 256 * 1024 * 1024
    wall_s: float | None = None
    hosts: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    forwards: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    tools: str = ""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a held process ended. `why`: exited, stopped (or the reason that was given for it), transcript-limit,
    wall-limit, start-failed, disk-full or holder-lost."""

    code: int | None
    signal: int | None
    why: str
    detail: str = ""

    @property
    def ok(self) -> bool:
        """Whether it ended by itself with status 0."""
        return self.code == 0 and self.why == "exited"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes of the transcript; `offset` of the first one."""

    offset: int
    data: bytes


class Held(Protocol):
    """A process with a holder: it outlives the daemon, and its output and exit are files."""

    key: str

    def output(self, start: int = 0) -> AsyncIterator[Chunk]:
        """The transcript (standard output) from `start`, live, until the process has ended and all is read."""
        ...

    def load_output(self, limit: int = 64_000) -> bytes:
        """The last `limit` bytes of standard output."""
        ...

    def load_errors(self, limit: int = 16_000) -> bytes:
        """The last `limit` bytes of standard error."""
        ...

    async def send(self, message: Send) -> bool:
        """Write to standard input once per id; False when this id was accepted before or nobody reads any more."""
        ...

    async def close_input(self) -> None:
        """Close standard input."""
        ...

    async def freeze(self) -> bool:
        """Have nothing of it run any more until `thaw`, also of what called setsid, and also when the daemon goes.

        True when that is so, or it has ended; False when it cannot be had (its processes evade it, or its holder is of
        an older Heddle), and then it goes on. What it is frozen does not count against `wall_s`. Idempotent.
        """
        ...

    async def thaw(self) -> None:
        """Let it go on where it was frozen, else nothing. Idempotent."""
        ...

    async def stop(self, grace_s: float = 5.0, why: str = "stopped", detail: str = "") -> None:
        """End it and every process it left, also those that called setsid; returns when none is alive.

        `why` and `detail` are for its Exit. What is frozen ends at once, as with no grace.
        """
        ...

    async def exit(self) -> Exit:
        """Wait for the end."""
        ...

    def ended(self) -> Exit | None:
        """How it ended, or None while it lives."""
        ...

    def door(self, farewell: str) -> tuple[str, ...]:
        """The command line for the host that visits the process (Command.stdin) on its own streams, once.

        The process ends with it, and its exit status is the process's; `farewell` is what it says when that was ended
        from outside.
        """
        ...


@dataclass(frozen=True, slots=True)
class Mount:
    """One place of the file system as a session sees it.

    `at` is where it is inside. read, write: `source` of the host is there. empty: a folder that nothing outlives, of
    at most `size` bytes. overlay: `lower` (topmost first) with everything written kept in `upper`; without an `upper`
    in a folder that nothing outlives. `work` is the kernel's, empty and beside `upper`. `optional`: left out where
    the host has no `source`. Where nothing can be mounted, a place to read inside of one to write is written too.
    """

    kind: Literal["read", "write", "empty", "overlay"]
    at: str
    source: str = ""
    lower: tuple[str, ...] = ()
    upper: str = ""
    work: str = ""
    size: int = 64 * 1024 * 1024
    optional: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """What the processes of one session see of the machine: those with the same `key` share one box.

    `mounts` come in order on top of the system's own. `home` is the host's folder that serves as HOME inside.
    `lock` names a file that at most one box holds, so that no upper folder is mounted twice.
    """

    key: str
    mounts: tuple[Mount, ...]
    home: str
    lock: str


@dataclass(frozen=True, slots=True)
class Ran:
    """How a short command ended, and what it wrote."""

    status: int
    out: bytes
    err: bytes


class Sandbox(Protocol):
    """What encloses a session, and who starts its processes."""

    tier: int  # 0 none .. 3 strong

    async def start(self, command: Command) -> Held:
        """Exit known: that one; alive: re-attach; never started: start; started but lost: Exit(why="holder-lost")."""
        ...

    async def find(self, key: str) -> Held | None:
        """The process of that key if it was ever started."""
        ...

    async def dial_here(self, port: int) -> Streams:
        """Connect on this machine's own loopback, where sessions that share it listen.

        Never waits long. Raises OutsideError(slug="nobody-listens").
        """
        ...


class Boxes(Sandbox, Protocol):
    """A sandbox that can give a session a file system of its own."""

    async def start_in(self, view: View, command: Command) -> Held:
        """As `start`, in the box of that view; the first one to enter makes it.

        Raises Refused(slug="sandbox-unavailable") with the reason and the remedy when it cannot be made (D2).
        """
        ...

    async def run_in(self, view: View, argv: tuple[str, ...], *, stdin: bytes = b"", limit: int = 64_000_000) -> Ran:
        """Run a short command of Heddle's own in the box to its end; it dies with the daemon.

        Raises OutsideError(slug="output-limit") above `limit` bytes of output, Refused(slug="sandbox-unavailable").
        """
        ...

    async def bridge(self, view: View) -> tuple[str, ...]:
        """The beginning of a command line for the host: what follows it runs in the box, on the same three streams."""
        ...

    async def dial(self, view: View, port: int) -> Streams:
        """Connect to what listens on that port of the loopback that the view's processes have.

        Never waits long. Raises OutsideError(slug="nobody-listens").
        """
        ...

    async def close_box(self, key: str) -> None:
        """End everything in the box of that key and the box itself; returns when nothing is left. Idempotent."""
        ...
