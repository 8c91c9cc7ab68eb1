"""The provider `worktree`: a plain git worktree outside the repository, that anybody can open.

It shares the repository's refs and configuration with the agent: isolation by directory, not by force.
"""

import os
from dataclasses import replace
from pathlib import Path

from heddle.adapters.workspaces import faults, plain, recovery, results
from heddle.adapters.workspaces.apart import PortBlocks, own_names, port_names
from heddle.adapters.workspaces.documents import load_document, place_document
from heddle.adapters.workspaces.folder import MARKER, Folder, Marker, is_id
from heddle.adapters.workspaces.include import include, secrets
from heddle.adapters.workspaces.outside import require_outside
from heddle.adapters.workspaces.presence import TRIES, Presence, inhabitant, live, within
from heddle.adapters.workspaces.trash import delete, put_away, trashed
from heddle.core.errors import HeddleError
from heddle.core.extent import Extent
from heddle.ports import (
    Caution,
    Changes,
    Clock,
    Collected,
    Command,
    Held,
    Removal,
    Repository,
    Sandbox,
    Snapshot,
    Streams,
    WorkspaceOrder,
    Worktrees,
)


class WorktreeWorkspaces:
    """The Workspaces port over git worktrees below `root`; what is removed lies in `trash` for a while."""

    provider = "worktree"
    layered, caches = False, ""

    def __init__(
        self,
        root: Path,
        trash: Path,
        repository: Repository,
        worktrees: Worktrees,
        sandbox: Sandbox,
        clock: Clock,
        ports: PortBlocks,
        *,
        max_file_bytes: int = 10_000_000,
    ) -> None:
        self.root, self.trash = root, trash
        self.repository, self.worktrees, self.sandbox, self.clock = repository, worktrees, sandbox, clock
        self.ports, self.max_file_bytes = ports, max_file_bytes
        self.presence = Presence()

    async def has_layer(self, name: str) -> bool:
        """See the port."""
        return False

    async def create(self, order: WorkspaceOrder) -> "WorktreeWorkspace":
        """See the port.

        Raises Refused (slug workspaces-inside, workspace-taken), OutsideError (slug workspace-lost, disk-full).
        """
        folder = self._folder(order.id)
        async with self.presence.lock(order.id):
            found = await self.find(order.id)
            if found is not None:
                _require_same(order, folder.load_marker())
                return found
            await require_outside(self.root, self.repository, self.worktrees)
            if os.path.lexists(folder.marker):
                raise faults.lost(order.id, "something else lies where it was")
            with faults.outside(order.id):
                await self._make(order, folder)
            return WorktreeWorkspace(self, folder, order.base)

    async def find(self, id: str) -> "WorktreeWorkspace | None":
        """See the port."""
        folder = self._folder(id)
        marker = folder.load_marker()
        if marker is None or marker.id != id or not folder.is_genuine():
            return None
        if not marker.proves(await self.worktrees.identify(folder.tree)):
            return None
        return WorktreeWorkspace(self, folder, marker.base)

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
        """See the port. What a crash left of a removal is finished on the way."""
        deleted = 0
        for entry in trashed(self.trash):
            folder = self._folder(entry.marker.id)
            if not os.path.lexists(folder.path):
                await self.worktrees.drop_admin(folder.tree, entry.marker.admin)
            if self.clock.now() - entry.since >= older_than_s:
                with faults.outside(entry.marker.id):
                    await delete(entry.path)
                deleted += 1
        return deleted

    async def _make(self, order: WorkspaceOrder, folder: Folder) -> None:
        """Everything, and the marker last; what a crash left is finished."""
        start = order.start or order.base
        folder.make()
        faults.step("folder-made")
        stashed = await self.worktrees.stash_entries("")
        owned = await self.worktrees.add(folder.tree, start, folder.admin, None)
        faults.step("tree-made")
        if order.include:
            await include(self.repository, order.base, folder.tree, folder.tmp)
        marker = Marker(order.id, order.base, start, folder.admin, owned.device, owned.inode, owned.gitdir)
        folder.write_marker(replace(marker, created=self.clock.now(), stashed=stashed))
        faults.step("marked")

    def _folder(self, id: str) -> Folder:
        return Folder(self.root, id)


class WorktreeWorkspace:
    """One workspace."""

    def __init__(self, house: WorktreeWorkspaces, folder: Folder, base: str) -> None:
        self._house = house
        self._folder = folder
        self.id = folder.id
        self.base = base
        self.tree = str(folder.tree)
        self.out = str(folder.out)
        self.hooks = ""  # they would run as the person (M6)

    async def enter(self, command: Command) -> Held:
        """See the port."""
        async with self._house.presence.lock(self.id):
            await self._require_here()
            known = await self._house.sandbox.find(command.key)
            if known is None and self._folder.sealed.exists():
                raise faults.sealed(self.id)
            with faults.outside(self.id):
                self._house.presence.remember(self._folder, command.key)
                ports = port_names(self._house.ports.lease(self._folder.path))
                faults.step("entered")
            own = {"HEDDLE_OUT": self.out, "TMPDIR": str(self._folder.tmp)}
            env = {**own, **own_names(self.id), **ports, **command.env}
            inside = replace(command, cwd=within(self.tree, command.cwd), env=env)
            return await self._house.sandbox.start(inside)

    async def put(self, name: str, data: bytes) -> str:
        """See the port."""
        await self._require_here()
        with faults.outside(self.id):
            place_document(self._folder.out, name, data)
        return os.path.join(self.out, name)

    async def taken(self, name: str, limit: int = 1_000_000) -> bytes | None:
        """See the port."""
        await self._require_here()
        return load_document(self._folder.out, name, limit)

    async def extent(self, enough: Extent) -> Extent | None:
        """See the port: what was written lies among the files of the base, and objects in the repository's store."""
        return None

    def ports(self) -> range:
        """See the port."""
        return self._house.ports.leased(self._folder.path)

    async def dial(self, port: int) -> Streams:
        """See the port."""
        await self._require_here()
        faults.require_leased(self.id, port, self.ports())
        return await self._house.sandbox.dial_here(port)

    async def changes(self) -> Changes:
        """See the port."""
        return await results.changes(self._house.repository, self.base, await self._snapshot())

    async def collect(self, message: str) -> Collected:
        """See the port."""
        snapshot = await self._snapshot()
        with faults.outside(self.id):
            return await results.collect(self._house.repository, self.id, self.base, snapshot, message)

    async def seal(self) -> None:
        """See the port."""
        async with self._house.presence.lock(self.id):
            with faults.outside(self.id):
                self._folder.seal()
                faults.step("sealed")
                for held in await live(self._house.sandbox, self._house.presence.entered(self._folder)):
                    await held.stop(grace_s=2.0)
                    faults.step("stopped-one")

    async def vacate(self) -> bool:
        """See the port: it has nothing but its processes."""
        return not await live(self._house.sandbox, self._house.presence.entered(self._folder))

    async def autosave(self) -> bool:
        """See the port."""
        return False

    async def keep_layer(self, name: str, folders: tuple[str, ...]) -> None:
        """See the port."""
        raise faults.no_layers(self.id)

    async def remove(self) -> Removal:
        """See the port."""
        async with self._house.presence.lock(self.id):
            await self._require_here()
            await self._require_idle()
            with faults.outside(self.id):
                for _ in range(TRIES):
                    snapshot = await self._snapshot(whole=True)
                    ref = await self._keep(snapshot)
                    faults.step("recovery-kept")
                    if await self._snapshot(whole=True) == snapshot and await self._moved_to_trash():
                        return Removal(ref, trashed=True)
        raise faults.restless(self.id)

    async def export(self, path: Path) -> tuple[Caution, ...]:
        """See the port."""
        snapshot = await self._snapshot(whole=True)
        with faults.outside(self.id):
            return await plain.lay_out(self._house.worktrees, path, "export", self.id, snapshot)

    async def _keep(self, snapshot: Snapshot) -> str:
        """The recovery ref for what nothing else keeps; empty when everything is kept already."""
        marker = self._folder.load_marker()
        start, before = (marker.start, marker.stashed) if marker else (self.base, ())
        stash = await recovery.stash_since(self._house.worktrees, snapshot.branch, before)
        return await recovery.keep_unkept(self._house.repository, self.id, self.base, start, snapshot, stash)

    async def _moved_to_trash(self) -> bool:
        """The rename itself: proof and idleness are checked once more right before it."""
        await self._require_here()
        await self._require_idle()
        marker = self._folder.load_marker()
        if marker is None:
            raise faults.lost(self.id, "its marker is gone")
        faults.step("proved")
        put_away(self._folder, marker, self._house.trash, self._house.clock.now())
        faults.step("trashed")
        await self._house.worktrees.drop_admin(self._folder.tree, self._folder.admin)
        return True

    async def _snapshot(self, *, whole: bool = False) -> Snapshot:
        """What is here, by the rules of a result (W8); `whole`: for recovery, which leaves out nothing it can hold."""
        await self._require_here()
        base, limit = ("", 0) if whole else (self.base, self._house.max_file_bytes)
        try:
            snapshot = await self._house.worktrees.snapshot(self._folder.tree, base=base, size_limit=limit)
        except HeddleError:
            await self._require_here()  # when it went away meanwhile, that is the reason and not what git made of it
            raise
        await self._require_here()
        return snapshot

    async def _require_here(self) -> None:
        """Raises OutsideError(slug="workspace-lost") unless this is provably the workspace that was made."""
        marker = self._folder.load_marker()
        if marker is None or marker.id != self.id or not self._folder.is_genuine():
            raise faults.lost(self.id, "its folder or marker is gone")
        if not Path(self._house.repository.root).is_dir():
            raise faults.lost(self.id, "its repository was moved or is gone")
        if not marker.proves(await self._house.worktrees.identify(self._folder.tree)):
            raise faults.lost(self.id, "its tree was deleted or replaced")

    async def _require_idle(self) -> None:
        """Raises Refused(slug="workspace-in-use") while a process works in it."""
        for held in await live(self._house.sandbox, self._house.presence.entered(self._folder)):
            raise faults.in_use(self.id, f"'{held.key}' lives")
        pid = inhabitant(self._folder.path)
        if pid:
            raise faults.in_use(self.id, f"process {pid} is in it")


def _require_same(order: WorkspaceOrder, marker: Marker | None) -> None:
    if marker is None or (marker.base, marker.start) != (order.base, order.start or order.base):
        raise faults.another(order.id)
