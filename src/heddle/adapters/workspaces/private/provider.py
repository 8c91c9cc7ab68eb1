"""How workspaces with a git directory of their own are made: in a draft, and there by one rename."""

import asyncio
import os
import shutil
from abc import ABC, abstractmethod
from pathlib import Path

from heddle.adapters.workspaces import faults, recovery
from heddle.adapters.workspaces.folder import MARKER, Marker, is_id
from heddle.adapters.workspaces.include import LIST, Beneath, include, secrets
from heddle.adapters.workspaces.outside import require_outside
from heddle.adapters.workspaces.presence import Presence
from heddle.adapters.workspaces.private.disk import on_disk
from heddle.adapters.workspaces.private.layout import Layout
from heddle.adapters.workspaces.private.looks import Look
from heddle.adapters.workspaces.private.workspace import PrivateWorkspace
from heddle.adapters.workspaces.trash import delete, trashed
from heddle.ports import Boxes, Clock, PrivateGits, Repository, WorkspaceOrder, Worktrees

DRAFTS = ".new"


class PrivateWorkspaces(ABC):
    """The Workspaces port but for what a tree is made of. `root` and `trash` are on one disk; only Heddle writes there."""

    provider: str
    layered, caches = False, ""

    def __init__(
        self,
        root: Path,
        trash: Path,
        repository: Repository,
        worktrees: Worktrees,
        privates: PrivateGits,
        boxes: Boxes,
        clock: Clock,
        *,
        max_file_bytes: int,
    ) -> None:
        self.root, self.trash = root, trash
        self.repository, self.worktrees, self.privates = repository, worktrees, privates
        self.boxes, self.clock, self.max_file_bytes = boxes, clock, max_file_bytes
        self.presence = Presence()
        self.looks: dict[tuple[str, str], Look] = {}
        self._listed: dict[str, bool] = {}
        self._listing = asyncio.Lock()

    @abstractmethod
    def layout(self, root: Path, id: str) -> Layout:
        """Where the parts of a workspace are."""

    @abstractmethod
    def workspace(self, layout: Layout, base: str) -> PrivateWorkspace:
        """The workspace that lies there."""

    @abstractmethod
    async def furnish(self, draft: Layout, order: WorkspaceOrder) -> Beneath:
        """Make tree and git directory of a draft, with the caches; returns what lies beneath the tree: see include."""

    async def has_layer(self, name: str) -> bool:
        """See the port."""
        return False

    async def create(self, order: WorkspaceOrder) -> PrivateWorkspace:
        """See the port. Raises Refused (workspaces-inside, workspace-taken), OutsideError (workspace-lost, disk-full)."""
        layout = self.layout(self.root, order.id)
        async with self.presence.lock(order.id):
            found = await self.find(order.id)
            if found is not None:
                known = layout.load_marker()
                if known is None or (known.base, known.start) != (order.base, order.start or order.base):
                    raise faults.another(order.id)
                return found
            await require_outside(self.root, self.repository, self.worktrees)
            if os.path.lexists(layout.path):
                raise faults.lost(order.id, "something else lies where it was")
            with faults.outside(order.id):
                await self._make(order, layout)
            return self.workspace(layout, order.base)

    async def find(self, id: str) -> PrivateWorkspace | None:
        """See the port."""
        layout = self.layout(self.root, id)
        marker = layout.load_marker()
        if marker is None or marker.id != id or not layout.is_genuine():
            return None
        workspace = self.workspace(layout, marker.base)
        return workspace if workspace.is_ours() else None

    async def ids(self) -> tuple[str, ...]:
        """See the port."""
        if not self.root.is_dir():
            return ()
        return tuple(sorted(path.parent.name for path in self.root.glob(f"*/{MARKER}") if is_id(path.parent.name)))

    async def secrets(self, base: str) -> tuple[str, ...]:
        """See the port."""
        return await secrets(self.repository, base)

    async def restore(self, recovery_ref: str, path: Path) -> None:
        """See the port."""
        await recovery.restore(self.repository, self.worktrees, recovery_ref, path)

    async def empty_trash(self, older_than_s: float) -> int:
        """See the port."""
        deleted = 0
        for entry in trashed(self.trash):
            if self.clock.now() - entry.since >= older_than_s:
                with faults.outside(entry.marker.id):
                    await delete(entry.path)
                deleted += 1
        return deleted

    async def _make(self, order: WorkspaceOrder, layout: Layout) -> None:
        """Everything in a draft, and one rename: before it there is nothing, after it all of it."""
        start = order.start or order.base
        draft = self.layout(self.root / DRAFTS, order.id)
        if draft.path.exists():
            await asyncio.to_thread(shutil.rmtree, draft.path)
        beneath = await self.furnish(draft, order)
        if order.hooks:
            draft.hooks.write_text(order.hooks, errors="surrogateescape")
        if order.include and await self._includes(order.base):
            await include(self.repository, order.base, draft.tree, draft.tmp, beneath=beneath)
        await on_disk(_mark, draft, order.base, start, order.layers)
        faults.step("marked")
        os.rename(draft.path, layout.path)
        faults.step("placed")

    async def _includes(self, commit: str) -> bool:
        """Whether a commit lists files to include. It never changes its mind, so that fifty workspaces ask once."""
        async with self._listing:
            if commit not in self._listed:
                self._listed[commit] = bool(await self.repository.read_file(commit, LIST))
        return self._listed[commit]


def _mark(draft: Layout, base: str, start: str, layers: tuple[str, ...]) -> None:
    about = draft.tree.lstat()
    proof = (about.st_dev, about.st_ino, draft.git_identity())
    draft.write_marker(Marker(draft.id, base, start, "", *proof, layers=layers))
