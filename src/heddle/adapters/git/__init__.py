"""Git, by its own command line: the person's repository, its landings, and worktrees in it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from heddle.adapters.git.opening import open_repository
    from heddle.adapters.git.repository import GitRepository

__all__ = ["GitRepository", "open_repository"]


def __getattr__(name: str) -> object:
    """Loaded when first asked for: the reader inside a box needs a few modules of this folder, and anew for every look."""
    if name == "open_repository":
        from heddle.adapters.git.opening import open_repository

        return open_repository
    if name == "GitRepository":
        from heddle.adapters.git.repository import GitRepository

        return GitRepository
    raise AttributeError(name)
