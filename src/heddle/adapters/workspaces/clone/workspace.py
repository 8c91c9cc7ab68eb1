"""One private clone: processes find it where it is on the host, and so may others."""

from typing import TYPE_CHECKING

from heddle.adapters.workspaces import faults
from heddle.adapters.workspaces.apart import port_names
from heddle.adapters.workspaces.clone.layout import CloneLayout, view
from heddle.adapters.workspaces.presence import inhabitant
from heddle.adapters.workspaces.private import PrivateWorkspace
from heddle.adapters.workspaces.private.looks import Stamp
from heddle.core.extent import Extent
from heddle.ports import View

if TYPE_CHECKING:
    from heddle.adapters.workspaces.clone.provider import CloneWorkspaces

OWN_NETWORK = 2
"""From this tier on a session has one."""


class CloneWorkspace(PrivateWorkspace):
    """The Workspace port over one private clone."""

    alone = False
    _house: "CloneWorkspaces"
    _layout: CloneLayout

    def __init__(self, house: "CloneWorkspaces", layout: CloneLayout, base: str) -> None:
        super().__init__(house, layout, base)
        self.tree, self.out = str(layout.tree), str(layout.out)
        enclosed = house.boxes.tier > 0  # else they would run as the person (M6)
        self.hooks = layout.hooks.read_text(errors="surrogateescape") if enclosed and layout.hooks.exists() else ""

    def view(self) -> View:
        """See PrivateWorkspace."""
        return view(self._layout, self.key, self._house.privates.shared, self.hooks)

    async def underpin(self) -> None:
        """See PrivateWorkspace: it lies on nothing."""

    def admit(self) -> dict[str, str]:
        """See PrivateWorkspace."""
        own = {"TMPDIR": str(self._layout.tmp)}
        if self._house.boxes.tier >= OWN_NETWORK:
            return own
        return own | port_names(self._house.ports.lease(self._layout.path))

    def ports(self) -> range | None:
        """See the port."""
        if self._house.boxes.tier >= OWN_NETWORK:
            return None
        return self._house.ports.leased(self._layout.path)

    async def extent(self, enough: Extent) -> Extent | None:
        """See the port: what was written lies among the files of the base."""
        return None

    async def stamp(self) -> Stamp | None:
        """See PrivateWorkspace: every file of the base would have to be asked."""
        return None

    async def is_untouched(self) -> bool:
        """See PrivateWorkspace: anybody could have written here."""
        return False

    async def settle(self) -> None:
        """See PrivateWorkspace: there is nothing to do."""

    async def require_idle(self) -> None:
        """Raises Refused(slug="workspace-in-use") also while a process that never entered works in it."""
        await super().require_idle()
        pid = inhabitant(self._layout.path)
        if pid:
            raise faults.in_use(self.id, f"process {pid} is in it")

    async def put_away(self) -> None:
        """See PrivateWorkspace. Nothing has to be there for it any more."""
        await super().put_away()
        await self._house.let_go(self.id)
