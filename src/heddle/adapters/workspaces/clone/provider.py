"""Private clones: the files of a commit checked out aside, a git directory by hand, and one rename."""

import os
from pathlib import Path

from heddle.adapters.workspaces import faults
from heddle.adapters.workspaces.apart import PortBlocks
from heddle.adapters.workspaces.clone.layout import CONFIG, CloneLayout
from heddle.adapters.workspaces.clone.workspace import CloneWorkspace
from heddle.adapters.workspaces.folder import digest
from heddle.adapters.workspaces.include import Beneath, nothing
from heddle.adapters.workspaces.private import Layout, PrivateWorkspace, PrivateWorkspaces
from heddle.adapters.workspaces.private.disk import on_disk
from heddle.ports import Boxes, Clock, PrivateGits, Repository, WorkspaceOrder, Worktrees


class CloneWorkspaces(PrivateWorkspaces):
    """The Workspaces port over private clones."""

    provider = "clone"

    def __init__(
        self,
        root: Path,
        trash: Path,
        repository: Repository,
        worktrees: Worktrees,
        privates: PrivateGits,
        boxes: Boxes,
        clock: Clock,
        ports: PortBlocks,
        *,
        max_file_bytes: int = 10_000_000,
    ) -> None:
        parts = (repository, worktrees, privates, boxes, clock)
        super().__init__(root, trash, *parts, max_file_bytes=max_file_bytes)
        self.ports = ports
        self._kept = f"refs/heddle/clones/{digest(root)}"

    def layout(self, root: Path, id: str) -> CloneLayout:
        """See PrivateWorkspaces."""
        return CloneLayout(root, id)

    def workspace(self, layout: Layout, base: str) -> PrivateWorkspace:
        """See PrivateWorkspaces."""
        return CloneWorkspace(self, self.layout(layout.root, layout.id), base)

    async def furnish(self, draft: Layout, order: WorkspaceOrder) -> Beneath:
        """See PrivateWorkspaces. A ref keeps what is borrowed: no session knows when the repository is tidied up."""
        start = order.start or order.base
        await self.repository.keep(f"{self._kept}/{draft.id}", start)
        faults.step("start-kept")
        await on_disk(draft.make_rooms)
        faults.step("folder-made")
        index = draft.path / "index"
        await self.privates.check_out(start, draft.tree, index)
        faults.step("checked-out")
        await on_disk(self._furnish, draft, start, index, await self.privates.ignores())
        return nothing

    async def let_go(self, id: str) -> None:
        """Nothing is borrowed for a workspace of that id any more."""
        await self.repository.forget(f"{self._kept}/{id}")

    async def empty_trash(self, older_than_s: float) -> int:
        """See the port. What is kept for workspaces that are gone, or never came to be, is let go of on the way."""
        deleted = await super().empty_trash(older_than_s)
        for ref, _ in await self.repository.kept(self._kept):
            id = ref.rpartition("/")[2]
            async with self.presence.lock(id):
                if not os.path.lexists(self.layout(self.root, id).path):
                    await self.let_go(id)
        return deleted

    def _furnish(self, draft: Layout, start: str, index: Path, ignores: bytes) -> None:
        self.privates.make(draft.git, start, self.privates.shared, ignores)
        with (draft.git / "config").open("a") as config:
            config.write(CONFIG)
        os.rename(index, draft.git / "index")
