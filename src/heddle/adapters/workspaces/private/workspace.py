"""One workspace with its own git directory: processes enter through a box, and what they leave is asked for through it."""

import os
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from heddle.adapters.workspaces import faults, plain, recovery, results
from heddle.adapters.workspaces.apart import own_names
from heddle.adapters.workspaces.documents import load_document, place_document
from heddle.adapters.workspaces.presence import TRIES, live, within
from heddle.adapters.workspaces.private.layout import Layout
from heddle.adapters.workspaces.private.looks import Look, Stamp, sure
from heddle.adapters.workspaces.trash import put_away
from heddle.core.errors import OutsideError
from heddle.core.extent import Extent
from heddle.ports import Caution, Changes, Collected, Command, Held, Ran, Removal, Snapshot, Streams, View

if TYPE_CHECKING:
    from heddle.adapters.workspaces.private.provider import PrivateWorkspaces


class PrivateWorkspace(ABC):
    """The Workspace port but for what the tree is made of: the view that a session has, and what that costs to keep."""

    tree: str
    out: str
    hooks: str
    alone: bool
    """Whether nothing outside of its box can write to it."""

    def __init__(self, house: "PrivateWorkspaces", layout: Layout, base: str) -> None:
        self._house, self._layout = house, layout
        self.id, self.base = layout.id, base

    @abstractmethod
    def view(self) -> View:
        """What a session sees of the machine."""

    @abstractmethod
    async def underpin(self) -> None:
        """Called before anything of the view is used: all that it is made of is there."""

    @abstractmethod
    def admit(self) -> dict[str, str]:
        """Called before a process enters; returns the environment that this provider's sessions need."""

    @abstractmethod
    async def extent(self, enough: Extent) -> Extent | None:
        """See the port."""

    @abstractmethod
    async def stamp(self) -> Stamp | None:
        """Facts of all that a look depends on; None where they cannot be told cheaply."""

    async def glance(self) -> Changes | None:
        """What a look tells, found without git; None where git has to be asked."""
        return None

    @abstractmethod
    async def is_untouched(self) -> bool:
        """Whether there certainly is nothing here but the commit it started from: nobody wrote, nothing was included."""

    @abstractmethod
    async def settle(self) -> None:
        """Called when no box has it any more."""

    async def enter(self, command: Command) -> Held:
        """See the port. Raises Refused(slug="sandbox-unavailable") when it cannot be enclosed (D2)."""
        async with self._house.presence.lock(self.id):
            self.require_whole()
            known = await self._house.boxes.find(command.key)
            if known is None and self._layout.sealed.exists():
                raise faults.sealed(self.id)
            if known is None:
                await self.underpin()
            with faults.outside(self.id):
                self._house.presence.remember(self._layout, command.key)
                own = self.admit()
                faults.step("entered")
            env = {"HEDDLE_OUT": self.out, **own, **own_names(self.id), **command.env}
            ports = tuple(self.ports() or ())
            enclosed = replace(command, cwd=within(self.tree, command.cwd), env=env, ports=ports)
            with faults.outside(self.id):
                return await self._house.boxes.start_in(self.view(), enclosed)

    async def put(self, name: str, data: bytes) -> str:
        """See the port."""
        self.require_here()
        with faults.outside(self.id):
            place_document(self._layout.out, name, data)
        return os.path.join(self.out, name)

    async def taken(self, name: str, limit: int = 1_000_000) -> bytes | None:
        """See the port."""
        self.require_here()
        return load_document(self._layout.out, name, limit)

    def ports(self) -> range | None:
        """See the port."""
        return None

    async def dial(self, port: int) -> Streams:
        """See the port."""
        self.require_here()
        leased = self.ports()
        if leased is not None:
            faults.require_leased(self.id, port, leased)
        return await self._house.boxes.dial(self.view(), port)

    async def changes(self) -> Changes:
        """See the port. What was found last is told again while it provably is what another look would find."""
        self.require_here()
        before = await self.stamp()
        known = self._house.looks.get((self.id, self.base))
        if known is not None and known.holds(before):
            return known.changes
        glanced = None if before is None else await self.glance()
        if glanced is not None:
            self._house.looks[self.id, self.base] = Look(glanced, b"", await self._lasting(before))
            return glanced
        if await self.is_untouched() and self._start == self.base:
            return Changes(())
        async with self._reading(whole=False) as told:
            if known is not None and known.told == told:
                found = known.changes
            else:
                snapshot, _ = await self._take_over(told, whole=False)
                found = await results.changes(self._house.repository, self.base, snapshot)
        self._house.looks[self.id, self.base] = Look(found, told, await self._lasting(before))
        return found

    async def _lasting(self, before: Stamp | None) -> Stamp | None:
        """The stamp of what was read since `before`; None when it may change unseen."""
        return sure(before, await self.stamp()) if before is not None and before.is_settled else None

    async def collect(self, message: str) -> Collected:
        """See the port."""
        snapshot, _ = await self._read(whole=False)
        with faults.outside(self.id):
            return await results.collect(self._house.repository, self.id, self.base, snapshot, message)

    async def seal(self) -> None:
        """See the port."""
        async with self._house.presence.lock(self.id):
            with faults.outside(self.id):
                self._layout.seal()
                faults.step("sealed")
                for held in await self._live():
                    await held.stop(grace_s=2.0)
                    faults.step("stopped-one")
            await self._close()

    async def vacate(self) -> bool:
        """See the port."""
        async with self._house.presence.lock(self.id):
            self.require_here()
            if await self._live():
                return False
            await self._close()
        return True

    async def autosave(self) -> bool:
        """See the port."""
        return False

    async def keep_layer(self, name: str, folders: tuple[str, ...]) -> None:
        """See the port."""
        raise faults.no_layers(self.id)

    async def remove(self) -> Removal:
        """See the port. What is kept is read when nobody is in its box, and once more where others could write.

        Nothing has to be safely on disk but what is kept, and git sees to that.
        """
        async with self._house.presence.lock(self.id):
            self.require_here()
            await self.require_idle()
            await self._house.boxes.close_box(self.key)
            with faults.outside(self.id):
                if await self.is_untouched():
                    await self.put_away()
                    return Removal("", trashed=True)
                for _ in range(TRIES):
                    read = await self._read(whole=True)
                    ref = await self._keep(*read)
                    faults.step("recovery-kept")
                    still = self.alone or await self._read(whole=True) == read
                    await self._house.boxes.close_box(self.key)
                    if still:
                        await self.put_away()
                        return Removal(ref, trashed=True)
        raise faults.restless(self.id)

    async def export(self, path: Path) -> tuple[Caution, ...]:
        """See the port."""
        snapshot, _ = await self._read(whole=True)
        with faults.outside(self.id):
            return await plain.lay_out(self._house.worktrees, path, "export", self.id, snapshot)

    def is_ours(self) -> bool:
        """Whether tree and git directory are the very ones that were made."""
        marker = self._layout.load_marker()
        with suppress(OSError):
            about = self._layout.tree.lstat()
            same = marker is not None and (about.st_dev, about.st_ino) == (marker.device, marker.inode)
            return same and marker is not None and self._layout.git_identity() == marker.gitdir
        return False

    async def _read(self, *, whole: bool) -> tuple[Snapshot, tuple[str, ...]]:
        """What is here, by the rules of a result (W8); `whole`: for recovery, which leaves out nothing it can hold."""
        async with self._reading(whole=whole) as told:
            return await self._take_over(told, whole=whole)

    @asynccontextmanager
    async def _reading(self, *, whole: bool) -> AsyncIterator[bytes]:
        """Have what is here written down, inside, on what the session may have turned git into; what the reader tells.

        Until the block ends nobody else has it done: what is written down for one is not yet there for the next.
        """
        self.require_here()
        house = self._house
        async with house.presence.reading(self.id):
            await self.underpin()
            with faults.outside(self.id):
                ran = await house.boxes.run_in(self.view(), house.privates.reader(self.tree, *self._rules(whole)))
            if ran.status != 0:
                raise self._unreadable(ran)
            yield ran.out
        self.require_here()

    async def _take_over(self, told: bytes, *, whole: bool) -> tuple[Snapshot, tuple[str, ...]]:
        """The host takes over objects alone, by git's own transfer."""
        house, (base, limit) = self._house, self._rules(whole)
        upload_pack = (*await house.boxes.bridge(self.view()), "git", "upload-pack")
        return await house.privates.take_over(told, self.tree, upload_pack, base=base, size_limit=limit)

    def _rules(self, whole: bool) -> tuple[str, int]:
        """By which a reader leaves out what a result must not hold: against which commit, above which size."""
        return ("", 0) if whole else (self.base, self._house.max_file_bytes)

    def _unreadable(self, ran: Ran) -> OutsideError:
        """Why the reader failed; that the workspace is gone comes before all else."""
        self.require_here()
        if ran.status < 0:
            return faults.cut_off(self.id)
        if not os.path.lexists(self._layout.git / "HEAD"):
            return faults.lost(self.id, "its git directory was emptied")
        return OutsideError(
            f"what workspace '{self.id}' holds cannot be read: {_last_line(ran.err)}",
            slug="session-git-broken",
            hint="the attempt fails and a new one gets a new workspace",
            tail=ran.err[-2000:].decode(errors="replace"),
        )

    async def _keep(self, snapshot: Snapshot, stash: tuple[str, ...]) -> str:
        """The recovery ref for what nothing else keeps; empty when everything is kept already."""
        return await recovery.keep_unkept(self._house.repository, self.id, self.base, self._start, snapshot, stash)

    async def put_away(self) -> None:
        """The rename itself: proof and idleness are checked once more right before it."""
        self.require_here()
        await self.require_idle()
        marker = self._layout.load_marker()
        if marker is None:
            raise faults.lost(self.id, "its marker is gone")
        faults.step("proved")
        self._house.looks.pop((self.id, self.base), None)
        put_away(self._layout, marker, self._house.trash, self._house.clock.now())
        faults.step("trashed")

    async def _close(self) -> None:
        """No box has it any more, and it is settled."""
        await self._house.boxes.close_box(self.key)
        with faults.outside(self.id):
            await self.settle()

    async def _live(self) -> list[Held]:
        return await live(self._house.boxes, self._house.presence.entered(self._layout))

    async def require_idle(self) -> None:
        """Raises Refused(slug="workspace-in-use") while a process works in it."""
        for held in await self._live():
            raise faults.in_use(self.id, f"'{held.key}' lives")

    def require_here(self) -> None:
        """Raises OutsideError(slug="workspace-lost") unless this is provably the workspace that was made."""
        marker = self._layout.load_marker()
        if marker is None or marker.id != self.id or not self._layout.is_genuine():
            raise faults.lost(self.id, "its folder or marker is gone")
        if not self.is_ours():
            raise faults.lost(self.id, "its tree or git directory was deleted or replaced")
        if not Path(self._house.privates.shared[0]).is_dir():
            raise faults.lost(self.id, "its repository was moved or is gone")

    def require_whole(self) -> None:
        """Raises OutsideError(slug="workspace-lost") unless a process may go on in what is here."""
        self.require_here()

    @property
    def _start(self) -> str:
        """The commit that the tree started as."""
        marker = self._layout.load_marker()
        return marker.start if marker else self.base

    @property
    def key(self) -> str:
        """Names its box on this machine."""
        return f"{self._house.repository.key}/{self.id}"


def _last_line(errors: bytes) -> str:
    lines = errors.decode(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "git ended without a word"
