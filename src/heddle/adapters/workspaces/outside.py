"""Where workspaces may lie: in no checkout, for whoever cleans that up would take them along."""

from pathlib import Path

from heddle.core.errors import Refused
from heddle.ports import Repository, Worktrees


async def require_outside(root: Path, repository: Repository, worktrees: Worktrees) -> None:
    """Raises Refused(slug="workspaces-inside") when `root` lies in the repository's checkout or a worktree of it."""
    place, checkout = root.resolve(), Path(repository.root).resolve()
    if place.is_relative_to(checkout):
        raise _inside("checkout", checkout)
    for parent in (place, *place.parents):
        if await worktrees.identify(parent) is not None:
            raise _inside("worktree", parent)


def _inside(what: str, path: Path) -> Refused:
    return Refused(
        f"workspaces may not lie inside the {what} '{path}'",
        slug="workspaces-inside",
        hint="set HEDDLE_HOME to a folder outside the repository",
    )
