"""What the engine asks of the outside: one Protocol per thing, each with a fake we ship and one contract suite.

Paths: `Repository` speaks of the host's own checkout. `Workspaces` shows no host path at all: what a workspace
calls `tree` and `out` are paths as a process *inside* it sees them, because the next provider has no others.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from heddle.core.events import Event, Recorded
from heddle.core.session import Brief, Capabilities, Fact, Reply, Send


class Clock(Protocol):
    """Time, so that tests can own it."""

    def now(self) -> float:
        """Unix seconds."""
        ...


# ---------------------------------------------------------------------------------------------- journal


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
        self, stream: str, expected: int, events: Sequence[Event], *, by: str, cause: str = "", fence: Fence | None = None
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


# ------------------------------------------------------------------------------------------- repository


@dataclass(frozen=True, slots=True)
class Change:
    """One path that differs between two trees. `kind` is added, modified, deleted or type (mode, link)."""

    path: str
    kind: Literal["added", "modified", "deleted", "type"]
    insertions: int | None = 0  # None: binary
    deletions: int | None = 0


@dataclass(frozen=True, slots=True)
class Merged:
    """Two sides compose without conflict into `tree`."""

    tree: str


@dataclass(frozen=True, slots=True)
class Conflicted:
    """A real merge of the two sides fails on `paths`; `detail` quotes git's messages."""

    paths: tuple[str, ...]
    detail: str


@dataclass(frozen=True, slots=True)
class Advanced:
    """The ref moved. `checkout`: updated, or not-checked-out."""

    checkout: Literal["updated", "not-checked-out"]


@dataclass(frozen=True, slots=True)
class MovedOn:
    """The ref was not where the landing expected it; it is at `actual`."""

    actual: str


@dataclass(frozen=True, slots=True)
class Blocked:
    """The person's checkout has changes on `paths` that the landing touches: nothing was moved."""

    paths: tuple[str, ...]
    detail: str


class Repository(Protocol):
    """The person's repository, through git's own plumbing. Commits and trees are full hex object ids.

    A git error raises OutsideError with program, args, exit and tail; it is never read as an answer (M3).
    """

    key: str  # stable id of the repository (from the real path of its common git dir): safe in file names and refs
    root: str  # the main checkout, for display

    async def current_branch(self) -> str:
        """The branch that is checked out. Raises UserError (slug detached-head, empty-repository, odd-branch)."""
        ...

    async def resolve(self, revision: str) -> str:
        """The commit id of a revision. Raises UserError(slug="no-such-revision")."""
        ...

    async def tree_of(self, commit: str) -> str:
        """The tree id of a commit."""
        ...

    async def is_ancestor(self, old: str, new: str) -> bool:
        """Whether `old` is reachable from `new`."""
        ...

    async def read_file(self, commit: str, path: str) -> bytes | None:
        """A blob of a commit; None when there is no such file."""
        ...

    async def list_files(self, commit: str) -> tuple[str, ...]:
        """Every tracked path of a commit."""
        ...

    async def changes(self, old: str, new: str) -> tuple[Change, ...]:
        """What differs between two commits or trees."""
        ...

    async def diff(self, old: str, new: str, *, limit_bytes: int = 2_000_000) -> str:
        """A unified diff for people; no external diff program, no textconv; cut at the limit with a note."""
        ...

    async def log(self, old: str, new: str) -> tuple[tuple[str, str], ...]:
        """(commit, subject) from `old` (exclusive) to `new`, oldest first, first parents only."""
        ...

    async def merge(self, ours: str, theirs: str, ancestor: str) -> Merged | Conflicted:
        """Three-way merge of two commits' trees over `ancestor`'s tree, in objects only."""
        ...

    async def commit(
        self, tree: str, parents: Sequence[str], message: str, *, as_person: bool, at: float | None = None
    ) -> str:
        """Write a commit object. `as_person`: the user's identity and signing as configured; else Heddle's own
        identity, unsigned. With `at` the same input gives the same id (for idempotent steps)."""
        ...

    async def message(self, commit: str) -> str:
        """The message of a commit."""
        ...

    async def ignored(self, patterns: bytes) -> tuple[str, ...]:
        """Files of the main checkout that git ignores and that match `patterns` (gitignore syntax)."""
        ...

    async def keep(self, ref: str, commit: str) -> None:
        """Point a ref under refs/heddle/ at a commit, so that gc cannot take it."""
        ...

    async def kept(self, prefix: str) -> tuple[tuple[str, str], ...]:
        """(ref, commit) under a prefix below refs/heddle/."""
        ...

    async def forget(self, ref: str) -> None:
        """Delete a ref under refs/heddle/ (never one under recovery)."""
        ...

    async def advance(self, branch: str, old: str, new: str, record: str) -> Advanced | MovedOn | Blocked:
        """Move `branch` from `old` to `new` by compare-and-swap, together with the ref `record` (refs/heddle/landed/N).

        Where the branch is checked out, that checkout moves first by a two-tree update that refuses on any overlap
        (then nothing moves: Blocked). Never stashes, resets or switches branches. Idempotent: safe after a crash
        between any two of its steps.
        """
        ...


# -------------------------------------------------------------------------------------------- processes


@dataclass(frozen=True, slots=True)
class Command:
    """A process to hold. `key` names it for ever: the same key is never started twice.

    `env` is the whole environment beyond the sandbox's own minimum; `transcript_limit` in bytes.
    """

    key: str
    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str] = field(default_factory=dict)
    stdin: Literal["pipe", "null"] = "null"
    transcript_limit: int = 256 * 1024 * 1024
    wall_s: float | None = None


@dataclass(frozen=True, slots=True)
class Exit:
    """How a held process ended. `why`: exited, stopped, transcript-limit, wall-limit, start-failed or holder-lost."""

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

    async def stop(self, grace_s: float = 5.0) -> None:
        """End it and every process it left, also those that called setsid; returns when none is alive."""
        ...

    async def exit(self) -> Exit:
        """Wait for the end."""
        ...

    def ended(self) -> Exit | None:
        """How it ended, or None while it lives."""
        ...


class Sandbox(Protocol):
    """What encloses a session, and who starts its processes."""

    tier: int  # 0 none .. 3 strong

    async def start(self, command: Command) -> Held:
        """Exit known: that one; alive: re-attach; never started: start; started but lost: Exit(why="holder-lost")."""
        ...

    async def find(self, key: str) -> Held | None:
        """The process of that key if it was ever started."""
        ...


# ------------------------------------------------------------------------------------------- workspaces


@dataclass(frozen=True, slots=True)
class WorkspaceOrder:
    """A workspace to be made. The tree starts as `start`; changes are told against `base`.

    `include`: copy the ignored files that `.worktreeinclude` of `base` names from the main checkout.
    """

    id: str
    base: str
    start: str = ""
    include: bool = True


@dataclass(frozen=True, slots=True)
class Changes:
    """What a workspace holds against its base. `refused`: paths left out of a commit, with the reason."""

    paths: tuple[Change, ...]
    refused: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Collected:
    """A result: one commit on top of `base` with the workspace's tree; the agent's own commits end at `own`."""

    commit: str
    tree: str
    changes: Changes
    own: str


@dataclass(frozen=True, slots=True)
class Removal:
    """What became of a removed workspace: `recovery` names the ref that keeps unlanded work ("" when there was none)."""

    recovery: str
    trashed: bool


class Workspace(Protocol):
    """The directory a session works in."""

    id: str
    base: str
    tree: str  # the working tree, seen from inside
    out: str  # where documents for Heddle go, seen from inside

    async def enter(self, command: Command) -> Held:
        """Start (or find again, by key) a process inside. `command.cwd` is relative to the tree ("" is the tree).

        Raises Refused(slug="workspace-sealed"), OutsideError(slug="workspace-lost").
        """
        ...

    async def put(self, name: str, data: bytes) -> str:
        """Place a document for the agent into the out folder; returns its path seen from inside."""
        ...

    async def taken(self, name: str, limit: int = 1_000_000) -> bytes | None:
        """A document the agent left in the out folder; None when it left none. A link is never followed."""
        ...

    async def changes(self) -> Changes:
        """What differs from base: tracked and untracked, not ignored. Raises OutsideError(slug="workspace-lost")."""
        ...

    async def collect(self, message: str) -> Collected:
        """Commit the tree against base under refs/heddle/results/<id>; idempotent for an unchanged tree.

        Leaves out ignored files, files above the size limit and nested repositories, and says so (W8).
        """
        ...

    async def seal(self) -> None:
        """End every process that entered (their grandchildren too); none may enter any more. Idempotent."""
        ...

    async def remove(self) -> Removal:
        """Write the recovery ref, prove ownership, rename to trash (W1-W4). Raises Refused when in use or in doubt."""
        ...

    async def export(self, path: Path) -> None:
        """A plain git worktree of what is here, at `path`. Raises UserError when something is there."""
        ...


class Workspaces(Protocol):
    """How workspaces are made, found, and brought back."""

    provider: str

    async def create(self, order: WorkspaceOrder) -> Workspace:
        """Make it, or return it when a crash came after making it. Atomic: there is no half a workspace."""
        ...

    async def find(self, id: str) -> Workspace | None:
        """The workspace of that id if it exists and is provably ours."""
        ...

    async def ids(self) -> tuple[str, ...]:
        """All that exist."""
        ...

    async def restore(self, recovery: str, path: Path) -> None:
        """Bring back what a recovery ref keeps as a plain git worktree at `path`: commits, index, unstaged,
        untracked, stash. Raises UserError when something is there or the ref is unknown."""
        ...

    async def empty_trash(self, older_than_s: float) -> int:
        """Delete what has lain in the trash for that long; returns how many."""
        ...


# ------------------------------------------------------------------------------------------------ agents


class Conversation(Protocol):
    """The protocol of one agent as a pure machine: bytes in, facts and messages out. It does no I/O.

    Fed the same transcript and replies it yields the same messages with the same ids, so that a new daemon can
    replay it from the start: the holder takes each id once, hence each request is answered exactly once.
    """

    def open(self) -> list[Send]:
        """The first messages, up to and including the prompt where the protocol allows that."""
        ...

    def receive(self, line: bytes) -> list[Fact | Send]:
        """One line of the transcript (without its newline)."""
        ...

    def reply(self, request: str, reply: Reply) -> list[Send]:
        """The answer to an open PermissionAsked, AnswerAsked or DocumentOffered."""
        ...

    def prompt(self, text: str, number: int) -> list[Send]:
        """A further turn in the same conversation; `number` counts from 2."""
        ...

    def interrupt(self) -> list[Send]:
        """Ask the agent to end its turn."""
        ...

    def exited(self, exit: Exit, errors: str) -> list[Fact]:
        """What the process's end means (a TurnEnded when a turn was open); `errors` is the end of stderr."""
        ...


class Agent(Protocol):
    """A brand of agent."""

    name: str
    capabilities: Capabilities

    def command(self, brief: Brief) -> Command:
        """How to start it: argv, env, stdin. `cwd` is "" (the tree)."""
        ...

    def conversation(self, brief: Brief) -> Conversation:
        """A fresh machine for the session of `brief`."""
        ...

    async def check(self) -> str:
        """The version found. Raises SetupError (slug agent-missing or agent-version) with what to do."""
        ...


class Dispatcher(Protocol):
    """Runs the work of each key, one at a time per key, and wakes it when facts changed."""

    def submit(self, key: str, work: Callable[[], Awaitable[None]]) -> None:
        """Have `work` running for `key`; nothing happens when it runs already."""
        ...

    def running(self) -> tuple[str, ...]:
        """Keys whose work has not ended."""
        ...

    async def cancel(self, key: str) -> None:
        """Cancel the work of a key and wait until it has ended; no error when there is none."""
        ...

    async def close(self) -> None:
        """Cancel all and wait."""
        ...


# ------------------------------------------------------------------------------------------- worktrees


@dataclass(frozen=True, slots=True)
class Ownership:
    """What proves that a directory is the worktree it was: `device` and `inode` of the directory itself, and the
    real path of the admin folder in the repository to which it points and which points back."""

    device: int
    inode: int
    gitdir: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a worktree holds, as objects that are written but not yet kept by any ref.

    `branch` is "" when HEAD is detached. `also`: further commits that only this worktree still names (the head log,
    MERGE_HEAD and its like). `unmerged` is "" or a tree with the folders 1, 2 and 3: the stages of a conflict; then
    `index` holds "our" side of those paths.
    """

    head: str
    branch: str
    index: str  # tree: as staged
    worktree: str  # tree: tracked and untracked files, without ignored and refused ones
    refused: tuple[tuple[str, str], ...] = ()  # (path, reason)
    also: tuple[str, ...] = ()
    unmerged: str = ""


class Worktrees(Protocol):
    """Worktrees of one repository, made and read without any step that another git process could trip over."""

    async def add(self, path: Path, commit: str, name: str, branch: str | None = None) -> Ownership:
        """Make `path` a worktree at `commit`, locked from birth; detached, or on the new `branch`.

        `path` appears complete or not at all; called again after a crash it finishes or returns the same. `name`
        is the admin folder's name: [a-z0-9-]+. Raises UserError (slug path-taken, name-taken, branch-taken).
        """
        ...

    async def identify(self, path: Path) -> Ownership | None:
        """The proof for `path`; None when it is no worktree of this repository whose two pointers agree."""
        ...

    async def snapshot(self, path: Path, *, base: str = "", size_limit: int = 0) -> Snapshot:
        """Write what is at `path` as objects through a copied index: the worktree and its index stay untouched.

        Nested repositories are refused with the reason; sockets and pipes are no content to git. With `base`, a
        commit, the rules of a result apply to the worktree's tree (W8): ignored files that `base` does not hold and
        files above `size_limit` bytes (0: no limit) are refused too. Raises OutsideError(slug="workspace-lost").
        """
        ...

    async def fill(self, path: Path, snapshot: Snapshot) -> None:
        """Give a fresh worktree the files and the index of a snapshot (for a restore)."""
        ...

    async def stash_entries(self, branch: str) -> tuple[str, ...]:
        """Stash commits that were made on `branch`, newest first; "" asks for those made on a detached HEAD."""
        ...

    async def repair_admin(self, path: Path, name: str) -> None:
        """Make `path` and the admin folder `name` point at each other again after one was moved or its pointer lost.

        Raises Refused(slug="not-ours") when the admin folder belongs to another path that still exists.
        """
        ...

    async def drop_admin(self, path: Path, name: str) -> bool:
        """Remove the admin folder `name` if it points to `path`, and nothing else; False when there is none such."""
        ...
