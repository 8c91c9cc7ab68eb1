"""Whether anything happened in a layer since it was last read, told from outside and without git.

What a look finds depends on the files of the layer, on the session's index and refs, and on settings of git's;
nobody can set the time of a file's last change (ctime), so it is the witness. This is hostile ground: nothing is opened
but folders and short settings files, no link is followed, and what is odd has no stamp.
"""

import hashlib
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from heddle.adapters.workspaces.instant.layout import LayerLayout
from heddle.adapters.workspaces.private.looks import Stamp

MOST = 20_000
"""Entries above which reading is about as cheap as looking at all of them."""

DEEPEST = 100
OWN = frozenset(("objects", "heddle", "logs", "refs/heddle"))
"""Of a git directory: what reading writes itself, and what changes no answer."""

_SYSTEM = "/etc"
_SETTINGS_LIMIT = 65_536
_LEADS_ELSEWHERE = (b"include", b"file")
"""In the name of every setting by which git reads what lies elsewhere: include, includeIf, excludesFile, attributesFile."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class _Odd(Exception):
    """There is something whose changes could not be seen."""


def stamp(layout: LayerLayout) -> Stamp | None:
    """The stamp of a layer; None when there can be none. While it is written to it has one that nobody finds again."""
    taken_ns = time.time_ns()
    witness = _Witness()
    try:
        with opened(str(layout.tree)) as tree:
            witness.note("", os.fstat(tree), times=True)
            witness.walk(tree, "", times=True)
        with opened(str(layout.git)) as git:
            witness.walk(git, "", skip=OWN)
        with opened(_SYSTEM) as system:
            witness.settings(system, "gitconfig")
        with opened(str(layout.home)) as home:
            witness.settings(home, ".gitconfig")
            with suppress(FileNotFoundError), opened(".config", home) as config, opened("git", config) as own:
                witness.settings(own, "config")
                witness.walk(own, "")
    except (OSError, _Odd):
        return None
    return Stamp(witness.digest.digest(), witness.youngest_ns, taken_ns)


class _Witness:
    def __init__(self) -> None:
        self.digest = hashlib.blake2b(digest_size=32)
        self.youngest_ns = 0
        self.noted = 0

    def note(self, path: str, about: os.stat_result, *, times: bool) -> None:
        """Write down what tells an entry from any other in its place."""
        self.noted += 1
        if self.noted > MOST:
            raise _Odd
        facts = f"{path}\0{about.st_mode} {about.st_dev} {about.st_ino} {about.st_rdev}"
        if times:
            facts += f" {about.st_size} {about.st_mtime_ns} {about.st_ctime_ns}"
            self.youngest_ns = max(self.youngest_ns, about.st_ctime_ns)
        self.digest.update(f"{facts}\0".encode(errors="surrogateescape"))

    def walk(self, folder: int, at: str, *, times: bool = False, skip: frozenset[str] = frozenset()) -> None:
        """Note what lies below an open folder. `times`: of folders too, to which nobody but the session writes here."""
        if at.count("/") > DEEPEST:
            raise _Odd
        with os.scandir(folder) as entries:
            found = sorted((entry.name, entry.stat(follow_symlinks=False)) for entry in entries)
        for name, about in found:
            path = f"{at}{name}"
            if path in skip:
                continue
            is_folder = stat.S_ISDIR(about.st_mode)
            if not times and stat.S_ISLNK(about.st_mode):
                raise _Odd  # git follows links of its own directory
            self.note(path, about, times=times or not is_folder)
            if is_folder:
                with opened(name, folder) as inner:
                    self.walk(inner, f"{path}/", times=times, skip=skip)

    def settings(self, folder: int, name: str) -> None:
        """Note a settings file, or that there is none; one that leads elsewhere is odd."""
        try:
            file = os.open(name, _FILE, dir_fd=folder)
        except FileNotFoundError:
            self.digest.update(b"none\0")
            return
        with open(file, "rb") as opened:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise _Odd
            text = opened.read(_SETTINGS_LIMIT + 1)
            self.note(name, os.fstat(file), times=True)
        if len(text) > _SETTINGS_LIMIT or any(word in text.lower() for word in _LEADS_ELSEWHERE):
            raise _Odd


@contextmanager
def opened(name: str, within: int | None = None) -> Iterator[int]:
    """A folder, open for the length of a block; a link in its place is an OSError."""
    folder = os.open(name, _FOLDER, dir_fd=within)
    try:
        yield folder
    finally:
        os.close(folder)
