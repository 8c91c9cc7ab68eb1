"""One private clone on disk, and what its sessions see: nothing is elsewhere than where the host has it.

<root>/<id>/tree        the checkout
           /tree/.git   its own git directory
           the rest: see Layout and Folder
"""

from pathlib import Path

from heddle.adapters.workspaces.private import Layout
from heddle.adapters.workspaces.private.layout import GITCONFIG, PINNED
from heddle.ports import Mount, View

CONFIG = f"""{GITCONFIG}[commit]
\tgpgSign = false
[tag]
\tgpgSign = false
"""
"""Who commits here, also where HOME is the person's: the session, which does not sign in their name."""


class CloneLayout(Layout):
    """Paths of one private clone."""

    def __init__(self, root: Path, id: str) -> None:
        super().__init__(root, id)
        self.git = self.tree / ".git"

    def git_identity(self) -> str:
        """The folder, and a file in it that git writes once: inodes are given out again."""
        return f"{super().git_identity()}:{(self.git / 'objects/info/alternates').lstat().st_mtime_ns}"


def view(layout: CloneLayout, key: str, shared: tuple[str, ...], hooks: str) -> View:
    """What a session sees: its checkout, its documents and its TMPDIR, and read-only what it borrows objects from.

    Where the sandbox can have a part of a folder read-only, what makes git run something or takes it elsewhere is.
    """
    written = (layout.tree, layout.out, layout.tmp)
    pinned = (str(layout.git / name) for name in PINNED)
    mounts = [Mount("write", str(path), source=str(path)) for path in written]
    mounts += [Mount("read", path, source=path) for path in (*pinned, *shared)]
    if hooks:
        mounts.append(Mount("read", hooks, source=hooks, optional=True))
    return View(key, tuple(mounts), str(layout.home), str(layout.path / "lock"))
