"""The directory that a session works in."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from heddle.core.extent import Extent
from heddle.ports.processes import Command, Held, Streams
from heddle.ports.repository import Change


@dataclass(frozen=True, slots=True)
class WorkspaceOrder:
    """A workspace to be made. The tree starts as `start`; changes are told against `base`.

    `include`: copy the ignored files that `.worktreeinclude` of `base` names from the main checkout. `hooks`: a folder
    of the host with commit hooks, to be shown read-only where they may run; "" for none. `layers`: what was installed
    beforehand, by name; they lie between the base and what is written. `caches`: names of folders to be there beside the
    tree, empty where no layer brings one, for tools to fetch into.
    """

    id: str
    base: str
    start: str = ""
    include: bool = True
    hooks: str = ""
    layers: tuple[str, ...] = ()
    caches: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Changes:
    """What a workspace holds against its base. `refused`: paths left out of a commit, with the reason. `tree`: the id of
    the tree that holds it, as long as the repository keeps what no ref leads to; "" where nothing differs.
    """

    paths: tuple[Change, ...]
    refused: tuple[tuple[str, str], ...] = ()
    tree: str = ""


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


@dataclass(frozen=True, slots=True)
class Caution:
    """A path of an exported tree on account of which a tool runs something by itself, or which was left out, and why."""

    path: str
    why: str


class Workspace(Protocol):
    """The directory a session works in."""

    id: str
    base: str
    tree: str  # the working tree, seen from inside
    out: str  # where documents for Heddle go, seen from inside
    hooks: str  # where the person's commit hooks are, seen from inside; "" when none may run here

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

    async def extent(self, enough: Extent) -> Extent | None:
        """What was written here so far: the tree, its git directory, HOME and documents; None where that cannot be told
        cheaply. It may stop counting once it is past `enough`. Never waits for whoever writes.
        """
        ...

    def ports(self) -> range | None:
        """Where servers inside may listen; None: anywhere, on a loopback of their own. Empty before somebody entered."""
        ...

    async def dial(self, port: int) -> Streams:
        """Connect to a server inside. Never waits long.

        Raises Refused(slug="port-not-leased") for a port that is not the workspace's, OutsideError (slug nobody-listens,
        workspace-lost).
        """
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

    async def vacate(self) -> bool:
        """Let go of all that processes need, mounts too, unless one lives here; then False. Who enters next finds
        everything as it was left. Idempotent.
        """
        ...

    async def keep_layer(self, name: str, folders: tuple[str, ...]) -> None:
        """Make a layer of what was written into folders of those names, wherever they lie in the tree, and into the
        cache of the layer's own name (go-1: go); they leave the workspace.

        For a sealed workspace of a provider that is `layered`. Atomic: there is no half a layer. When one of that name
        is there, that one stays. Raises Refused(slug="no-layers").
        """
        ...

    async def autosave(self) -> bool:
        """Keep what is here now, instead of what was saved last, in case the machine goes down; False where that costs
        nothing that was written. A removal after such a crash has the save as its recovery; any other one drops it.
        """
        ...

    async def remove(self) -> Removal:
        """Write the recovery ref, prove ownership, rename to trash (W1-W4). Raises Refused when in use or in doubt."""
        ...

    async def export(self, path: Path) -> tuple[Caution, ...]:
        """A plain git worktree of what is here, at `path`, and what to mind before it is opened.

        Raises UserError(slug="path-taken") when something is there.
        """
        ...


class Workspaces(Protocol):
    """How workspaces are made, found, and brought back."""

    provider: str
    layered: bool  # whether workspaces can share what was installed once, see keep_layer
    caches: str  # the folder that holds the caches, seen from inside; "" when not layered

    async def has_layer(self, name: str) -> bool:
        """Whether there is such a layer; asked for, it stays for a while."""
        ...

    async def create(self, order: WorkspaceOrder) -> Workspace:
        """Make it, or return it when a crash came after making it. Atomic: there is no half a workspace."""
        ...

    async def find(self, id: str) -> Workspace | None:
        """The workspace of that id if it exists and is provably ours."""
        ...

    async def ids(self) -> tuple[str, ...]:
        """All that exist."""
        ...

    async def secrets(self, base: str) -> tuple[str, ...]:
        """Values in the files that `.worktreeinclude` of a base names which are to be shown nowhere."""
        ...

    async def restore(self, recovery: str, path: Path) -> None:
        """Bring back what a recovery ref keeps as a plain git worktree at `path`: commits, index, unstaged,
        untracked, stash. Raises UserError when something is there or the ref is unknown."""
        ...

    async def empty_trash(self, older_than_s: float) -> int:
        """Delete what has lain in the trash for that long; returns how many."""
        ...
