"""Git, by its own command line: the person's repository, its landings, and worktrees in it."""

from heddle.adapters.git.opening import open_repository
from heddle.adapters.git.repository import GitRepository

__all__ = ["GitRepository", "open_repository"]
