"""What a working tree holds, told as git objects."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a worktree holds, as objects that are written but not yet kept by any ref.

    `branch` is "" when HEAD is detached. `also`: further commits that only this worktree still names (the head log,
    MERGE_HEAD and its like). `unmerged` is "" or a tree with the folders 1, 2 and 3: the stages of a conflict; then
    `index` holds "our" side of those paths.
    """

    head: str
    branch: str
    index: str  # tree: as staged
    worktree: str  # tree: tracked and untracked files, without ignored and refused ones
    refused: tuple[tuple[str, str], ...] = ()  # (path, reason)
    also: tuple[str, ...] = ()
    unmerged: str = ""
