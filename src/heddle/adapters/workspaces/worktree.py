"""The provider `worktree`: a plain git worktree outside the repository, that anybody can open.

It shares the repository's refs and configuration with the agent: isolation by directory, not by force.
"""

import asyncio
import os
import shutil
from pathlib import Path

from heddle.adapters.workspaces import recovery
from heddle.adapters.workspaces.folder import Folder, Marker, lost, read_plain
from heddle.core.errors import Refused, UserError
from heddle.ports import (
    Changes,
    Clock,
    Collected,
    Command,
    Held,
    Removal,
    Repository,
    Sandbox,
    Snapshot,
    WorkspaceOrder,
    Worktrees,
)

TRIES = 3
"""How often a removal looks again when the workspace changed while its work was being kept."""


class WorktreeWorkspaces:
    """The Workspaces port over git worktrees below `root`; what is removed lies in `trash` for a while."""

    provider = "worktree"

    def __init__(
        self,
        root: Path,
        trash: Path,
        repository: Repository,
        worktrees: Worktrees,
        sandbox: Sandbox,
        clock: Clock,
        *,
        max_file_bytes: int = 10_000_000,
    ) -> None:
        self.root, self.trash = root, trash
        self.repository, self.worktrees, self.sandbox, self.clock = repository, worktrees, sandbox, clock
        self.max_file_bytes = max_file_bytes

    async def create(self, order: WorkspaceOrder) -> "WorktreeWorkspace":
        """See the port."""
        folder = self._folder(order.id)
        found = await self.find(order.id)
        if found is not None:
            return found
        self._require_outside()
        if folder.load_marker() is not None:
            raise lost(order.id, "something else lies where it was")
        folder.make()
        start = order.start or order.base
        owned = await self.worktrees.add(folder.tree, start, folder.admin, None)
        if order.include:
            await self._include(order.base, folder)
        folder.write_marker(Marker(order.id, order.base, start, folder.admin, owned.device, owned.inode, owned.gitdir))
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
        return tuple(sorted(path.parent.name for path in self.root.glob("*/heddle.json")))

    async def restore(self, recovery_ref: str, path: Path) -> None:
        """See the port. Stash entries become refs/heddle/restored/<id>/stash-<n>: the person's own list stays as it is."""
        kept = await recovery.load(self.repository, recovery_ref)
        if os.path.lexists(path):
            raise UserError(f"something is at '{path}' already", slug="path-taken", hint="name a path that is free")
        path.parent.mkdir(parents=True, exist_ok=True)
        name = f"restored-{kept.id}-{abs(hash(str(path))) % 10**6}"
        await self.worktrees.add(path, kept.snapshot.head, name, None)
        await self.worktrees.fill(path, kept.snapshot)
        for number, stash in enumerate(kept.stash, start=1):
            await self.repository.keep(f"refs/heddle/restored/{kept.id}/stash-{number}", stash)

    async def empty_trash(self, older_than_s: float) -> int:
        """See the port."""
        deleted = 0
        if not self.trash.is_dir():
            return 0
        for path in self.trash.iterdir():
            if path.is_symlink() or not (path / "heddle.json").is_file():
                continue
            if self.clock.now() - path.lstat().st_mtime >= older_than_s:
                await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
                deleted += 1
        return deleted

    def _folder(self, id: str) -> Folder:
        return Folder(self.root, id)

    def _require_outside(self) -> None:
        checkout = Path(self.repository.root).resolve()
        if self.root.resolve().is_relative_to(checkout):
            raise Refused(
                f"workspaces may not lie inside the checkout '{checkout}'",
                slug="workspaces-inside",
                hint="set HEDDLE_HOME to a folder outside the repository",
            )

    async def _include(self, base: str, folder: Folder) -> None:
        """Copy the ignored files that `.worktreeinclude` names; tracked files are never written over."""
        patterns = await self.repository.read_file(base, ".worktreeinclude")
        if not patterns:
            return
        checkout = Path(self.repository.root)
        for name in await self.repository.ignored(patterns):
            source, target = checkout / name, folder.tree / name
            if os.path.lexists(target) or not source.resolve().is_relative_to(checkout.resolve()):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)


class WorktreeWorkspace:
    """One workspace."""

    def __init__(self, house: WorktreeWorkspaces, folder: Folder, base: str) -> None:
        self._house = house
        self._folder = folder
        self.id = folder.id
        self.base = base
        self.tree = str(folder.tree)
        self.out = str(folder.out)

    async def enter(self, command: Command) -> Held:
        """See the port."""
        await self._require_here()
        known = await self._house.sandbox.find(command.key)
        if known is None and self._folder.sealed.exists():
            raise Refused(
                f"workspace '{self.id}' is sealed", slug="workspace-sealed", hint="a new attempt gets a new one"
            )
        self._folder.enter(command.key)
        env = {"HEDDLE_OUT": self.out, "TMPDIR": str(self._folder.tmp), **command.env}
        cwd = os.path.join(self.tree, command.cwd) if command.cwd else self.tree
        held_command = Command(
            command.key, command.argv, cwd, env, command.stdin, command.transcript_limit, command.wall_s
        )
        return await self._house.sandbox.start(held_command)

    async def put(self, name: str, data: bytes) -> str:
        """See the port."""
        await self._require_here()
        path = self._folder.out / name
        path.unlink(missing_ok=True)
        path.write_bytes(data)
        return str(path)

    async def taken(self, name: str, limit: int = 1_000_000) -> bytes | None:
        """See the port."""
        await self._require_here()
        return read_plain(self._folder.out, name, limit)

    async def changes(self) -> Changes:
        """See the port."""
        return await self._changes(await self._snapshot())

    async def _changes(self, snapshot: Snapshot) -> Changes:
        return Changes(await self._house.repository.changes(self.base, snapshot.worktree), snapshot.refused)

    async def collect(self, message: str) -> Collected:
        """See the port."""
        snapshot = await self._snapshot()
        repository = self._house.repository
        changes = await self._changes(snapshot)
        result = f"refs/heddle/results/{self.id}"
        commit = dict(await repository.kept(result)).get(result, "")
        if not commit or await repository.tree_of(commit) != snapshot.worktree:
            commit = await repository.commit(snapshot.worktree, [self.base], message, as_person=False)
            await repository.keep(result, commit)
        await repository.keep(f"refs/heddle/own/{self.id}", snapshot.head)
        return Collected(commit, snapshot.worktree, changes, snapshot.head)

    async def seal(self) -> None:
        """See the port."""
        if self._folder.path.is_dir():
            self._folder.sealed.touch()
        for key in self._folder.entered():
            held = await self._house.sandbox.find(key)
            if held is not None and held.ended() is None:
                await held.stop(grace_s=2.0)

    async def remove(self) -> Removal:
        """See the port."""
        await self._require_here()
        await self._require_idle()
        for _ in range(TRIES):
            snapshot = await self._snapshot(whole=True)
            ref = await self._keep(snapshot)
            if await self._snapshot(whole=True) == snapshot and await self._moved_to_trash():
                return Removal(ref, trashed=True)
        raise Refused(
            f"workspace '{self.id}' keeps changing", slug="workspace-in-use", hint="end what writes to it and try again"
        )

    async def export(self, path: Path) -> None:
        """See the port."""
        if os.path.lexists(path):
            raise UserError(f"something is at '{path}' already", slug="path-taken", hint="name a path that is free")
        snapshot = await self._snapshot()
        await self._house.worktrees.add(path, snapshot.head, f"export-{self.id}", None)
        await self._house.worktrees.fill(path, snapshot)

    async def _keep(self, snapshot: Snapshot) -> str:
        """The recovery ref for what nothing else keeps; empty when everything is kept already."""
        repository = self._house.repository
        stash = await self._house.worktrees.stash_entries("")
        marker = self._folder.load_marker()
        start = marker.start if marker else self.base
        heads = {self.base, start}
        trees = {await repository.tree_of(commit) for commit in heads}
        for ref in (f"refs/heddle/results/{self.id}", f"refs/heddle/own/{self.id}"):
            commit = dict(await repository.kept(ref)).get(ref)
            if commit:
                heads.add(commit)
                trees.add(await repository.tree_of(commit))
        clean = snapshot.head in heads and snapshot.worktree in trees and snapshot.index in trees
        if clean and not stash and not snapshot.also and not snapshot.unmerged:
            return ""
        return await recovery.keep(repository, self.id, self.base, snapshot, stash)

    async def _moved_to_trash(self) -> bool:
        """The rename itself: proof and idleness are checked once more right before it."""
        await self._require_here()
        await self._require_idle()
        trash = self._house.trash
        trash.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.rename(self._folder.path, trash / f"{self.id}-{self._house.clock.now():.6f}")
        await self._house.worktrees.drop_admin(self._folder.tree, self._folder.admin)
        return True

    async def _snapshot(self, *, whole: bool = False) -> Snapshot:
        """What is here, by the rules of a result (W8); `whole`: for recovery, which leaves out nothing it can hold."""
        await self._require_here()
        if whole:
            return await self._house.worktrees.snapshot(self._folder.tree)
        limit = self._house.max_file_bytes
        return await self._house.worktrees.snapshot(self._folder.tree, base=self.base, size_limit=limit)

    async def _require_here(self) -> None:
        """Raises OutsideError(slug="workspace-lost") unless this is provably the workspace that was made."""
        marker = self._folder.load_marker()
        if marker is None or not self._folder.is_genuine():
            raise lost(self.id, "its folder or marker is gone")
        if not marker.proves(await self._house.worktrees.identify(self._folder.tree)):
            raise lost(self.id, "its tree was deleted or replaced")

    async def _require_idle(self) -> None:
        """Raises Refused(slug="workspace-in-use") while a process works in it."""
        for key in self._folder.entered():
            held = await self._house.sandbox.find(key)
            if held is not None and held.ended() is None:
                raise _in_use(self.id, f"'{key}' lives")
        pid = inhabitant(self._folder.path)
        if pid:
            raise _in_use(self.id, f"process {pid} is in it")


def _in_use(id: str, why: str) -> Refused:
    return Refused(f"workspace '{id}' is in use: {why}", slug="workspace-in-use", hint="end it first, then try again")


def inhabitant(folder: Path) -> int:
    """A process whose working directory lies in the folder, or 0. Where there is no /proc nothing is found."""
    inside = os.path.realpath(folder)
    try:
        pids = [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return 0
    for pid in pids:
        try:
            cwd = os.readlink(f"/proc/{pid}/cwd")
        except OSError:
            continue
        if cwd == inside or cwd.startswith(inside + os.sep):
            return int(pid)
    return 0
