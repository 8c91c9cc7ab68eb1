"""Workspaces in an instant: made by a few small files and one rename, worked in through boxes."""

import asyncio
from dataclasses import replace
from pathlib import Path

from heddle.adapters.workspaces import faults
from heddle.adapters.workspaces.folder import MARKER, load_marker
from heddle.adapters.workspaces.include import Beneath
from heddle.adapters.workspaces.instant.bases import Base, Bases
from heddle.adapters.workspaces.instant.layers import Layers, cache_of
from heddle.adapters.workspaces.instant.layout import CACHES, LayerLayout, inside
from heddle.adapters.workspaces.instant.workspace import InstantWorkspace
from heddle.adapters.workspaces.private import Layout, PrivateWorkspace, PrivateWorkspaces
from heddle.adapters.workspaces.private.disk import on_disk
from heddle.ports import Boxes, Change, Clock, PrivateGits, Repository, WorkspaceOrder, Worktrees

REMEMBERED = 64
"""Pairs of commits whose difference is known."""


class InstantWorkspaces(PrivateWorkspaces):
    """The Workspaces port over layers. `root`, `trash`, `bases` and `layers` lie on one disk, and only Heddle writes there."""

    provider = "instant"
    layered, caches = True, CACHES

    def __init__(
        self,
        root: Path,
        trash: Path,
        bases: Path,
        layers: Path,
        repository: Repository,
        worktrees: Worktrees,
        privates: PrivateGits,
        boxes: Boxes,
        clock: Clock,
        *,
        max_file_bytes: int = 10_000_000,
    ) -> None:
        parts = (repository, worktrees, privates, boxes, clock)
        super().__init__(root, trash, *parts, max_file_bytes=max_file_bytes)
        self.bases = Bases(bases, repository, privates, clock)
        self.layers = Layers(layers, clock)
        self.measuring = asyncio.Lock()
        self._between: dict[tuple[str, str], tuple[Change, ...]] = {}

    def layout(self, root: Path, id: str) -> LayerLayout:
        """See PrivateWorkspaces."""
        return LayerLayout(root, id)

    def workspace(self, layout: Layout, base: str) -> PrivateWorkspace:
        """See PrivateWorkspaces."""
        return InstantWorkspace(self, self.layout(layout.root, layout.id), base)

    async def furnish(self, draft: Layout, order: WorkspaceOrder) -> Beneath:
        """See PrivateWorkspaces."""
        for layer in order.layers:
            if not await self.layers.is_sound(layer):
                raise faults.no_layers(draft.id)
        start = order.start or order.base
        await self.bases.ensure(start)
        await on_disk(self._furnish, draft, start, await self.privates.ignores())
        lay = self.layout(draft.root, draft.id)
        for name in (*order.caches, *self.brought(order.layers)):
            lay.make_cache(name)
        return self.beneath(start, order.layers).entry

    def brought(self, layers: tuple[str, ...]) -> dict[str, Path]:
        """What layers bring for caches, by the cache's name."""
        found = {cache_of(layer): self.layers.cache(layer) for layer in layers}
        return {name: path for name, path in found.items() if path}

    def beneath(self, start: str, layers: tuple[str, ...]) -> Base:
        """What a workspace lies over."""
        base = self.bases.of(start)
        return replace(base, trees=(*map(self.layers.tree, layers), *base.trees))

    async def has_layer(self, name: str) -> bool:
        """See the port."""
        return await self.layers.is_sound(name)

    async def empty_trash(self, older_than_s: float) -> int:
        """See the port. Base trees and layers that nobody needs any more go with it."""
        deleted = await super().empty_trash(older_than_s)
        found = [load_marker(path) for path in self.root.glob(f"*/{MARKER}")] if self.root.is_dir() else []
        markers = [marker for marker in found if marker]
        await self.bases.sweep({marker.start for marker in markers}, older_than_s)
        await self.layers.sweep({name for marker in markers for name in marker.layers}, older_than_s)
        return deleted

    async def between(self, base: str, start: str) -> tuple[Change, ...]:
        """What differs between two commits. That never changes, and is asked for at each look."""
        if base == start:
            return ()
        if (base, start) not in self._between:
            if len(self._between) >= REMEMBERED:
                self._between.clear()
            self._between[base, start] = await self.repository.changes(base, start)
        return self._between[base, start]

    def _furnish(self, draft: Layout, start: str, ignores: bytes) -> None:
        draft.make_rooms()
        faults.step("folder-made")
        self.privates.make(draft.git, start, inside(self.privates.shared), ignores)
