"""One instant workspace: a layer over a base tree, which the kernel keeps and writes down when it likes."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from heddle.adapters.workspaces import faults, recovery
from heddle.adapters.workspaces.instant.glance import MOST_BYTES, Part, glance, has_plain_head, told
from heddle.adapters.workspaces.instant.layers import cache_of
from heddle.adapters.workspaces.instant.layout import HOOKS, OUT, LayerLayout, view
from heddle.adapters.workspaces.instant.stamp import stamp
from heddle.adapters.workspaces.measure import measure
from heddle.adapters.workspaces.private import PrivateWorkspace
from heddle.adapters.workspaces.private.disk import on_disk
from heddle.adapters.workspaces.private.looks import Stamp
from heddle.core.errors import OutsideError
from heddle.core.extent import Extent
from heddle.ports import Changes, Snapshot, View

if TYPE_CHECKING:
    from heddle.adapters.workspaces.instant.provider import InstantWorkspaces


T = TypeVar("T")


class InstantWorkspace(PrivateWorkspace):
    """The Workspace port over one layer. `tree` and `out` are paths inside; the host has no such tree."""

    alone = True
    _house: "InstantWorkspaces"
    _layout: LayerLayout

    def __init__(self, house: "InstantWorkspaces", layout: LayerLayout, base: str) -> None:
        super().__init__(house, layout, base)
        self.tree, self.out = house.repository.root, OUT
        self.hooks = HOOKS if layout.hooks.exists() else ""

    def view(self) -> View:
        """See PrivateWorkspace."""
        marker = self._layout.load_marker()
        layers = marker.layers if marker else ()
        base = self._house.beneath(self._start, layers)
        return view(self._layout, self.key, self.tree, base, self._house.privates.shared, self._house.brought(layers))

    async def underpin(self) -> None:
        """See PrivateWorkspace. A box over a base that was laid out anew since is closed, unless a session works there.

        Raises OutsideError(slug="base-changed") then.
        """
        with faults.outside(self.id):
            identity = (await self._house.bases.ensure(self._start)).identity
            beneath = self._layout.beneath
            if beneath.exists() and beneath.read_text() != identity:
                if await self._live():
                    raise faults.undermined(self.id)
                await self._house.boxes.close_box(self.key)
            elif beneath.exists():
                return
            beneath.write_text(identity)

    def admit(self) -> dict[str, str]:
        """See PrivateWorkspace."""
        self._layout.note_boot()
        return {}

    async def changes(self) -> Changes:
        """See the port."""
        return await _twice(super().changes)

    async def glance(self) -> Changes | None:
        """See PrivateWorkspace."""
        known = await self._house.between(self.base, self._start)
        parts = await self._glanced(tuple(change.path for change in known), self._house.max_file_bytes)
        changes = None if parts is None else await asyncio.to_thread(told, parts)
        tree = None if parts is None or changes is None else await self._composed(parts)
        if changes is None or tree is None:
            return None
        return Changes(tuple(sorted((*known, *changes), key=lambda change: os.fsencode(change.path))), tree=tree)

    async def _composed(self, parts: tuple[Part, ...]) -> str | None:
        """The tree that it holds; None when git knows better what is wrong with it."""
        if not parts:
            return await self._house.repository.tree_of(self._start)
        try:
            return await self._house.privates.compose(self._start, [part.entry() for part in parts])
        except OutsideError:
            return None

    async def _glanced(self, known: tuple[str, ...], limit: int) -> tuple[Part, ...] | None:
        """What the layer changes, where that can be told from outside and over the very base that its box was made over."""
        marker, base = self._layout.load_marker(), self._house.bases.of(self._start)

        def look() -> tuple[Part, ...] | None:
            with suppress(OSError):
                if marker is not None and base.is_whole and self._layout.beneath.read_text() == base.identity:
                    return glance(self._layout, base, known, over_layers=bool(marker.layers), limit=limit)
            return None

        if not has_plain_head(self._layout):
            return None
        async with self._house.measuring:
            return await asyncio.to_thread(look)

    async def _read(self, *, whole: bool) -> tuple[Snapshot, tuple[str, ...]]:
        """See PrivateWorkspace. Where the session's git is as it was made, all there is to keep is what was written."""
        if whole and (found := await self._read_plain()) is not None:
            return found, ()
        return await _twice(partial(super()._read, whole=whole))

    async def _read_plain(self) -> Snapshot | None:
        """All that is here, where that can be told from outside; None where git has to be asked."""
        self.require_here()
        start = self._start
        pristine = await asyncio.to_thread(self._layout.has_pristine_git, start)
        parts = await self._glanced((), MOST_BYTES) if pristine and await self.stamp() else None
        tree = None if parts is None else await self._composed(parts)
        if tree is None:
            return None
        self.require_here()
        return Snapshot(start, "", await self._house.repository.tree_of(start), tree)

    async def _take_over(self, told: bytes, *, whole: bool) -> tuple[Snapshot, tuple[str, ...]]:
        """See PrivateWorkspace. No change is told that is none of the session's but somebody's of the base.

        Raises OutsideError(slug="base-changed") then; read once more, the base is laid out anew.
        """
        bases = self._house.bases
        snapshot, stash = await super()._take_over(told, whole=whole)
        differing = await self._house.privates.differing(self._start, snapshot.worktree)
        if await bases.touched(self._start, differing):
            bases.doubt(self._start)
            raise faults.undermined(self.id)
        return snapshot, stash

    async def extent(self, enough: Extent) -> Extent | None:
        """See the port. One look at a time, so that many sessions cost one thread."""
        lay = self._layout
        async with self._house.measuring:
            return await asyncio.to_thread(measure, (lay.tree, lay.git, lay.home, lay.out, lay.caches), enough)

    async def autosave(self) -> bool:
        """See the port: overlays of boxes do not wait for the disk."""
        snapshot, stash = await self._read(whole=True)
        with faults.outside(self.id):
            await recovery.save(self._house.repository, self.id, self.base, snapshot, stash)
        return True

    async def _keep(self, snapshot: Snapshot, stash: tuple[str, ...]) -> str:
        """See PrivateWorkspace. What is still here after a crash is kept too, but what was saved is known to be whole."""
        ref = await super()._keep(snapshot, stash)
        return ref if self._layout.survived() else await recovery.keep_saved(self._house.repository, self.id) or ref

    async def put_away(self) -> None:
        """See PrivateWorkspace."""
        await super().put_away()
        await recovery.drop_saved(self._house.repository, self.id)

    async def keep_layer(self, name: str, folders: tuple[str, ...]) -> None:
        """See the port."""
        async with self._house.presence.lock(self.id):
            self.require_here()
            await self.require_idle()
            await self._close()
            with faults.outside(self.id):
                lay = self._layout
                await asyncio.to_thread(self._house.layers.keep, name, lay.tree, folders, lay.cache(cache_of(name)))
                for cache in lay.cache_names():
                    lay.make_cache(cache)

    async def stamp(self) -> Stamp | None:
        """See PrivateWorkspace."""
        async with self._house.measuring:
            return await asyncio.to_thread(stamp, self._layout)

    async def is_untouched(self) -> bool:
        """See PrivateWorkspace: an empty layer, and a git directory in which only readers were."""
        marker = self._layout.load_marker()
        if marker is None or marker.layers or self._house.presence.entered(self._layout):
            return False  # what a layer shows is there too
        return await asyncio.to_thread(self._layout.is_pristine, self._start)

    async def settle(self) -> None:
        """Have what it holds on disk."""
        await on_disk(self._layout.put_on_disk)

    def require_whole(self) -> None:
        """Raises OutsideError(slug="workspace-lost") when the machine went down over what was not yet on disk."""
        super().require_whole()
        if not self._layout.survived():
            raise faults.lost(self.id, "the machine went down while a session worked in it")


async def _twice(read: Callable[[], Awaitable[T]]) -> T:
    """Read once more where somebody had changed the base."""
    try:
        return await read()
    except OutsideError as error:
        if error.slug != "base-changed":
            raise
    return await read()
