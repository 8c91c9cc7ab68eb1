"""A workspace with a git directory of its own, on disk; what Folder has, and besides:

<root>/<id>/git     the session's own git directory, unless the provider has it elsewhere
           /home    its HOME, where the sandbox gives it one
           /hooks   names the folder of the person's commit hooks, where they may run
"""

from pathlib import Path

from heddle.adapters.workspaces.folder import Folder

GITCONFIG = """[user]
\tname = agent
\temail = agent@heddle.invalid
[init]
\tdefaultBranch = main
"""
"""A session's own, for repositories that it makes; the person's stays outside."""

PINNED = ("config", "commondir", "info", "objects/info", "hooks")
"""The parts of a git directory that make git run something, or take it elsewhere."""


class Layout(Folder):
    """Paths of one workspace."""

    def __init__(self, root: Path, id: str) -> None:
        super().__init__(root, id)
        self.git = self.path / "git"
        self.home = self.path / "home"
        self.hooks = self.path / "hooks"

    def make_rooms(self) -> None:
        """All folders but the git directory."""
        self.make()
        for path in (self.tree, self.home):
            path.mkdir(mode=0o700)
        (self.home / ".gitconfig").write_text(GITCONFIG)

    def git_identity(self) -> str:
        """What tells the git directory from any other that may lie there."""
        about = self.git.lstat()
        return f"{about.st_dev}:{about.st_ino}"
