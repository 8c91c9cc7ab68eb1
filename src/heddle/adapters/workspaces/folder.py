"""A workspace's folder on disk, and the marker that proves whose it is.

<root>/<id>/tree          the git worktree, locked from birth
           /out           documents between Heddle and the agent
           /tmp           its TMPDIR
           /keys          the processes that entered, a file each
           /sealed        there: no process may enter any more
           /heddle.json   the marker, written last: without it there is no workspace
"""

import hashlib
import json
import os
import re
import stat
from dataclasses import asdict, dataclass
from pathlib import Path

from heddle.core.errors import OutsideError, UserError
from heddle.ports import Ownership

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,80}")


@dataclass(frozen=True, slots=True)
class Marker:
    """What a folder must say and be to count as ours."""

    id: str
    base: str
    start: str
    admin: str
    device: int
    inode: int
    gitdir: str

    def proves(self, owned: Ownership | None) -> bool:
        """Whether the tree is the very one that was made."""
        return owned is not None and (owned.device, owned.inode, owned.gitdir) == (self.device, self.inode, self.gitdir)


class Folder:
    """Paths of one workspace."""

    def __init__(self, root: Path, id: str) -> None:
        if not _ID.fullmatch(id):
            raise UserError(f"'{id}' cannot name a workspace", slug="bad-workspace-id", hint="use a-z, 0-9 and dashes")
        self.id = id
        self.root = root
        self.path = root / id
        self.tree = self.path / "tree"
        self.out = self.path / "out"
        self.tmp = self.path / "tmp"
        self.keys = self.path / "keys"
        self.sealed = self.path / "sealed"
        self.marker = self.path / "heddle.json"

    @property
    def admin(self) -> str:
        """The name of the worktree in the repository; two state folders never share one."""
        return f"{self.id}-{hashlib.sha256(os.fsencode(self.root)).hexdigest()[:6]}"

    def make(self) -> None:
        """The folders around the tree."""
        for path in (self.path, self.out, self.tmp, self.keys):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def load_marker(self) -> Marker | None:
        """The marker, or None when there is no whole one."""
        try:
            return Marker(**json.loads(self.marker.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def write_marker(self, marker: Marker) -> None:
        """Put the marker into place: from now on the workspace exists."""
        temporary = self.marker.with_suffix(".new")
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, json.dumps(asdict(marker)).encode())
            os.fsync(fd)
        finally:
            os.close(fd)
        os.replace(temporary, self.marker)

    def is_genuine(self) -> bool:
        """Whether the folder is a real one directly below the root: no link, no other place."""
        return not self.path.is_symlink() and self.path.resolve() == self.root.resolve() / self.id

    def enter(self, key: str) -> None:
        """Remember that the process of `key` works here."""
        name = hashlib.sha256(key.encode()).hexdigest()[:16]
        (self.keys / name).write_text(key)

    def entered(self) -> tuple[str, ...]:
        """Keys of all processes that ever entered."""
        if not self.keys.is_dir():
            return ()
        return tuple(sorted(path.read_text() for path in self.keys.iterdir()))


def lost(id: str, why: str) -> OutsideError:
    """The error for a workspace that is not there any more."""
    return OutsideError(
        f"workspace '{id}' is lost: {why}",
        slug="workspace-lost",
        hint="the attempt fails and a new one gets a new workspace",
    )


def read_plain(folder: Path, name: str, limit: int) -> bytes | None:
    """A plain file directly in a folder; None when there is none. Links and other things are never followed."""
    if "/" in name or name in ("", ".", ".."):
        raise UserError(f"'{name}' is not a document's name", slug="bad-document-name", hint="name a plain file")
    try:
        fd = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(fd, "rb") as file:
        return file.read(limit) if stat.S_ISREG(os.fstat(fd).st_mode) else None
