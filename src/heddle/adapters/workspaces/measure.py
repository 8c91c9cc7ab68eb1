"""How much lies in folders that a session writes to: hostile ground, so nothing is opened but folders, and no link is
followed."""

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from heddle.core.extent import Extent

DEEPEST = 100
"""Folders in folders that are looked into; each one of them takes a descriptor meanwhile."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_BLOCK = 512


def measure(folders: Iterable[Path], enough: Extent) -> Extent:
    """What lies below the folders; the walk ends once that is past `enough`, however much more there is.

    A file with several names counts once. What cannot be looked into counts as nothing: folders without rights or
    deeper than DEEPEST, and files without a name. The disk itself is watched for what hides there.
    """
    walk = _Walk(enough)
    for folder in folders:
        if walk.is_over:
            break
        with suppress(OSError):
            walk.below(os.open(folder, _FOLDER))
    return Extent(walk.bytes, walk.files)


class _Walk:
    def __init__(self, enough: Extent) -> None:
        self.enough = enough
        self.bytes = self.files = 0

    @property
    def is_over(self) -> bool:
        return self.bytes > self.enough.bytes or self.files > self.enough.files

    def below(self, folder: int) -> None:
        """Count what lies below an open folder, and close it."""
        path = [(folder, self._folders(folder))]
        try:
            while path and not self.is_over:
                here, further = path[-1]
                if not further or len(path) > DEEPEST:
                    os.close(path.pop()[0])
                    continue
                with suppress(OSError):  # it went, became something else, or cannot be looked into
                    inner = os.open(further.pop(), _FOLDER, dir_fd=here)
                    path.append((inner, self._folders(inner)))
        finally:
            for open_one, _ in path:
                os.close(open_one)

    def _folders(self, folder: int) -> list[str]:
        """Count what lies in a folder; returns the folders among it."""
        found: list[str] = []
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                with suppress(OSError):
                    about = entry.stat(follow_symlinks=False)
                    self.files += 1
                    if stat.S_ISDIR(about.st_mode):
                        self.bytes += about.st_blocks * _BLOCK
                        found.append(entry.name)
                    else:
                        self.bytes += about.st_blocks * _BLOCK // max(1, about.st_nlink)
                if self.is_over:
                    break
        return found
