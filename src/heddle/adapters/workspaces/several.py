"""Several providers side by side: new workspaces come from the first, those that exist stay with theirs."""

from pathlib import Path

from heddle.ports import Workspace, WorkspaceOrder, Workspaces


class SeveralWorkspaces:
    """The Workspaces port over providers whose ids never meet. A change of provider strands no work."""

    def __init__(self, first: Workspaces, *others: Workspaces) -> None:
        self.provider, self.layered, self.caches = first.provider, first.layered, first.caches
        self._first = first
        self._all = (first, *others)

    async def has_layer(self, name: str) -> bool:
        """See the port."""
        return await self._first.has_layer(name)

    async def create(self, order: WorkspaceOrder) -> Workspace:
        """See the port."""
        for provider in self._all[1:]:
            if order.id in await provider.ids():
                return await provider.create(order)
        return await self._first.create(order)

    async def find(self, id: str) -> Workspace | None:
        """See the port."""
        for provider in self._all:
            found = await provider.find(id)
            if found is not None:
                return found
        return None

    async def ids(self) -> tuple[str, ...]:
        """See the port."""
        return tuple(sorted({id for provider in self._all for id in await provider.ids()}))

    async def secrets(self, base: str) -> tuple[str, ...]:
        """See the port."""
        return await self._first.secrets(base)

    async def restore(self, recovery: str, path: Path) -> None:
        """See the port."""
        await self._first.restore(recovery, path)

    async def empty_trash(self, older_than_s: float) -> int:
        """See the port."""
        return sum([await provider.empty_trash(older_than_s) for provider in self._all])
