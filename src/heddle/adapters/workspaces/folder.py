"""A workspace's folder on disk, and the marker that proves whose it is.

<root>/<id>/tree          the git worktree, locked from birth
           /out           documents between Heddle and the agent
           /tmp           its TMPDIR
           /keys          the processes that entered, a file each
           /sealed        there: no process may enter any more
           /heddle.json   the marker, written last: without it there is no workspace
"""

import errno
import hashlib
import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from heddle.core.errors import UserError
from heddle.ports import Ownership

MARKER = "heddle.json"

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,80}")


@dataclass(frozen=True, slots=True)
class Marker:
    """What a folder must say and be to count as ours.

    `stashed`: stash entries that were there before it was made, hence are nobody's in it. `layers`: what was installed
    beforehand, which it lies over.
    """

    id: str
    base: str
    start: str
    admin: str
    device: int
    inode: int
    gitdir: str
    created: float = 0.0
    stashed: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()

    def proves(self, owned: Ownership | None) -> bool:
        """Whether the tree is the very one that was made."""
        return owned is not None and (owned.device, owned.inode, owned.gitdir) == (self.device, self.inode, self.gitdir)


class Folder:
    """Paths of one workspace."""

    def __init__(self, root: Path, id: str) -> None:
        require_id(id)
        self.id = id
        self.root = root
        self.path = root / id
        self.tree = self.path / "tree"
        self.out = self.path / "out"
        self.tmp = self.path / "tmp"
        self.keys = self.path / "keys"
        self.sealed = self.path / "sealed"
        self.marker = self.path / MARKER

    @property
    def admin(self) -> str:
        """The name of the worktree in the repository; two state folders never share one."""
        return f"{self.id}-{digest(self.root)}"

    def make(self) -> None:
        """The folders around the tree. Raises FileExistsError where something else has a name of theirs."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in (self.path, self.out, self.tmp, self.keys):
            if path.is_symlink():
                raise FileExistsError(errno.EEXIST, "a link is in its place", str(path))
            path.mkdir(mode=0o700, exist_ok=True)

    def load_marker(self) -> Marker | None:
        """The marker, or None when there is no whole one."""
        return load_marker(self.marker)

    def write_marker(self, marker: Marker) -> None:
        """Put the marker into place: from now on the workspace exists."""
        temporary = self.marker.with_suffix(".new")
        with temporary.open("w") as file:
            json.dump(asdict(marker), file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.marker)

    def is_genuine(self) -> bool:
        """Whether the folder is a real one directly below the root: no link, no other place."""
        return not self.path.is_symlink() and self.path.resolve() == self.root.resolve() / self.id

    def seal(self) -> None:
        """From now on no process may enter."""
        if self.path.is_dir() and self.is_genuine():
            self.sealed.touch()

    def enter(self, key: str) -> None:
        """Remember that the process of `key` works here."""
        name = hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()[:16]
        (self.keys / name).write_text(key, errors="surrogateescape")

    def entered(self) -> tuple[str, ...]:
        """Keys of all processes that ever entered."""
        if not self.keys.is_dir() or not self.is_genuine():
            return ()
        return tuple(sorted(path.read_text(errors="surrogateescape") for path in self.keys.iterdir()))


def digest(root: Path) -> str:
    """Tells the workspaces below one root from those of the same ids below another."""
    return hashlib.sha256(os.fsencode(root)).hexdigest()[:6]


def require_id(id: str) -> None:
    """Raises UserError(slug="bad-workspace-id")."""
    if not is_id(id):
        raise UserError(f"'{id!a}' cannot name a workspace", slug="bad-workspace-id", hint="use a-z, 0-9 and dashes")


def is_id(text: str) -> bool:
    """Whether it can name a workspace: flat and lower-case, so that no two differ by case or depth alone."""
    return _ID.fullmatch(text) is not None


def load_marker(path: Path) -> Marker | None:
    """A marker, or None when there is no whole one that this version can read."""
    try:
        told = json.loads(path.read_bytes())
        return Marker(**{**told, **{name: tuple(told.get(name, ())) for name in ("stashed", "layers")}})
    except (OSError, ValueError, TypeError, AttributeError):
        return None
