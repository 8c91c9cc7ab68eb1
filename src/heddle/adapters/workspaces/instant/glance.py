"""What a layer changes, told from outside and without git: O(what was written), whatever the repository's size.

The kernel keeps in a layer all that was written over a base, and nothing else; what hides a file of the base is a
device 0:0, what hides a folder's old content is an attribute. As long as the session used git as it found it (no index
of its own, no settings, attributes or filters that change what git would make of a file), that is the whole answer.
Whatever is not plain, or not certain, is for git to tell: then there is no answer here.

This is hostile ground: folders and plain files are opened from descriptor to descriptor, no link is followed, and what
is read is data.
"""

import os
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from heddle.adapters.workspaces.documents import load_document
from heddle.adapters.workspaces.instant.bases import Base
from heddle.adapters.workspaces.instant.counting import count, is_binary, lines_of
from heddle.adapters.workspaces.instant.ignored import Ignored
from heddle.adapters.workspaces.instant.layout import LayerLayout
from heddle.adapters.workspaces.instant.stamp import opened
from heddle.adapters.workspaces.instant.touched import is_touched
from heddle.ports import Change, Entry

MOST_FILES = 500
MOST_BYTES = 8_000_000
PATIENCE_S = 0.5
"""What is read here, and for how long; above that git is about as quick."""

DEEPEST = 100
_LIST_BYTES = 64_000
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_OPAQUE = "user.overlay.opaque"
_CONVERTING = (b"filter", b"ident", b"encoding", b"[attr]")
"""In attributes: git may hold another thing than the file."""

_STEERING = (b"core", b"filter", b"include", b"file", b"extensions", b"index", b"feature", b"attr")
"""In settings: git may see files in another way than it comes."""

_Found = tuple[str, os.stat_result]
"""Where the base has something, and what it is."""


class NotPlain(Exception):
    """Git has to be asked."""


@dataclass(frozen=True, slots=True)
class Part:
    """A path that is not what it was: git's mode and the content, before and now; no mode: not there."""

    path: str
    was_mode: str
    was: bytes
    mode: str
    data: bytes

    def change(self) -> Change:
        """As a look tells it. Raises NotPlain when git might count other lines."""
        if self.was_mode and self.mode:
            return self._modified()
        data = self.data or self.was
        lines = None if is_binary(data) else lines_of(data)
        if self.mode:
            return Change(self.path, "added", lines, 0 if lines is not None else None)
        return Change(self.path, "deleted", 0 if lines is not None else None, lines)

    def entry(self) -> Entry:
        """What a tree is to hold there now."""
        return Entry(self.path, self.mode, self.data)

    def _modified(self) -> Change:
        if self.was == self.data:
            return Change(self.path, "type", 0, 0)
        if is_binary(self.was) or is_binary(self.data):
            return Change(self.path, "modified", None, None)
        lines = count(self.was, self.data)
        if lines is None:
            raise NotPlain
        return Change(self.path, "modified", *lines)


def glance(
    layout: LayerLayout, base: Base, known: Iterable[str] = (), *, over_layers: bool, limit: int = MOST_BYTES
) -> tuple[Part, ...] | None:
    """What is not as in `base`; None when git has to be asked. `limit`: bytes of one file.

    `base` is without dependency layers; `over_layers`: whether the workspace lies over some. `known`: what `base` itself
    changes of another commit that the answer is about.
    """
    try:
        _require_plain_settings(layout.home)
        look = _Glance(base, load(layout.git / "info", "exclude"), over_layers=over_layers, limit=limit)
        with opened(str(layout.tree)) as tree:
            look.folder(tree, "", shown=True, hidden=False)
        look.require_apart(known)
        look.require_unconverted()
        if any(is_touched(layer, look.relied) for layer in base.layers):
            return None
    except (OSError, ValueError, NotPlain):
        return None
    return tuple(look.parts)


def told(parts: Iterable[Part]) -> tuple[Change, ...] | None:
    """What a look tells of them; None when git has to be asked."""
    until, found = time.monotonic() + PATIENCE_S, list[Change]()
    for part in parts:
        try:
            found.append(part.change())
        except NotPlain:
            return None
        if time.monotonic() > until:
            return None
    return tuple(found)


def has_plain_head(layout: LayerLayout) -> bool:
    """Whether git inside works with the index that it found, and HEAD names a commit."""
    try:
        if os.path.lexists(layout.git / "index"):
            return False
        head = load(layout.git, "HEAD").decode("ascii").removesuffix("\n")
        if head.startswith("ref: refs/heads/"):
            name = head.removeprefix("ref: ")
            if ".." in name or "\0" in name:
                return False
            *folders, last = name.split("/")
            head = _load_below(layout.git, folders, last).decode("ascii").removesuffix("\n")
        return len(head) in (40, 64) and set(head) <= set("0123456789abcdef")
    except (OSError, ValueError, NotPlain):
        return False


def load(folder: Path, name: str) -> bytes:
    """A plain file directly in a folder; b"" when there is none. Raises NotPlain for one too large."""
    text = load_document(folder, name, _LIST_BYTES + 1) or b""
    if len(text) > _LIST_BYTES:
        raise NotPlain
    return text


def _load_below(folder: Path, names: list[str], last: str) -> bytes:
    with opened(str(folder)) as here:
        fds = [here]
        try:
            for name in names:
                fds.append(os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fds[-1]))
            return _content(fds[-1], last, _LIST_BYTES)
        finally:
            for fd in fds[1:]:
                os.close(fd)


def _require_plain_settings(home: Path) -> None:
    """Raises NotPlain unless git inside reads nothing that makes it see files in another way."""
    for folder, name in ((Path("/etc"), "gitconfig"), (home, ".gitconfig")):
        text = load(folder, name).lower()
        if (not text and os.path.lexists(folder / name)) or any(word in text for word in _STEERING):
            raise NotPlain
    config = home / ".config"
    if os.path.lexists("/etc/gitattributes") or config.is_symlink() or os.path.lexists(config / "git"):
        raise NotPlain


class _Glance:
    def __init__(self, base: Base, exclude: bytes, *, over_layers: bool, limit: int) -> None:
        self.base, self.over_layers, self.limit = base, over_layers, limit
        self.parts: list[Part] = []
        self.relied: set[str] = set()
        self._left = MOST_BYTES
        self._until = time.monotonic() + PATIENCE_S
        self._seen: set[str] = set()
        self._lists: dict[str, bytes] = {}
        self._ignored = Ignored(lambda at: self._list(os.fsdecode(at)), exclude)

    def folder(self, fd: int, at: str, *, shown: bool, hidden: bool) -> None:
        """Take in what lies in an open folder. `shown`: the base shows through; `hidden`: what is new is ignored."""
        if at.count("/") > DEEPEST:
            raise NotPlain
        with os.scandir(fd) as entries:
            found = {entry.name: entry.stat(follow_symlinks=False) for entry in entries}
        if ".git" in found or ".gitattributes" in found or (self.over_layers and ".gitignore" in found):
            raise NotPlain
        if ".gitignore" in found:
            about = found[".gitignore"]
            self._lists[at] = b"" if _is_whiteout(about) else _content(fd, ".gitignore", _LIST_BYTES)
        elif not shown:
            self._lists[at] = b""
        for name, about in found.items():
            self._entry(fd, f"{at}{name}", about, shown=shown, hidden=hidden)

    def require_apart(self, known: Iterable[str]) -> None:
        """Raises NotPlain unless the changes of the base can be told beside those of the layer."""
        changed = {part.path for part in self.parts}
        for path in known:
            below = self.base.find(path)
            if path in changed or (below is not None and (self._is_hidden(path) or below[1].st_size > self.limit)):
                raise NotPlain

    def require_unconverted(self) -> None:
        """Raises NotPlain where attributes may have git hold another thing than the file."""
        told: dict[str, bytes] = {}
        for part in self.parts:
            text = b"".join(self._attributes(at, told) for at in _folders(part.path))
            if text and (any(word in text for word in _CONVERTING) or b"\r" in part.was or b"\r" in part.data):
                raise NotPlain

    def _is_hidden(self, path: str) -> bool:
        above = any(self._ignored.hides(os.fsencode(at[:-1]), folder=True) for at in _folders(path)[1:])
        return above or self._ignored.hides(os.fsencode(path), folder=False)

    def require_time(self) -> None:
        """Raises NotPlain when it has taken long enough."""
        if time.monotonic() > self._until:
            raise NotPlain

    def _entry(self, fd: int, path: str, about: os.stat_result, *, shown: bool, hidden: bool) -> None:
        self.require_time()
        below = self.base.find(path)
        if _is_whiteout(about):
            self._gone(path, below)
        elif stat.S_ISDIR(about.st_mode):
            self._below(fd, path, below, shown=shown, hidden=hidden)
        elif below is not None or not (hidden or self._ignored.hides(os.fsencode(path), folder=False)):
            self._file(fd, path, about, below)

    def _below(self, fd: int, path: str, below: _Found | None, *, shown: bool, hidden: bool) -> None:
        hidden = hidden or self._ignored.hides(os.fsencode(path), folder=True)
        if below is None and hidden:
            return
        if below is not None and (not stat.S_ISDIR(below[1].st_mode) or not os.listdir(below[0])):
            raise NotPlain  # a file before, or a submodule
        with opened(path.rpartition("/")[2], fd) as inner:
            replaced = _is_opaque(inner)
            self.folder(inner, f"{path}/", shown=shown and below is not None and not replaced, hidden=hidden)
        if replaced and shown and below is not None:
            for name, kept in list(self._files_of(path)):
                if name not in self._seen:
                    self._gone(name, kept)

    def _gone(self, path: str, below: _Found | None) -> None:
        if below is None:
            return
        if stat.S_ISDIR(below[1].st_mode):
            for name, kept in list(self._files_of(path)):
                self._gone(name, kept)
            return
        self._add(Part(path, *self._was(below), "", b""))

    def _file(self, fd: int, path: str, about: os.stat_result, below: _Found | None) -> None:
        readable = stat.S_ISREG(about.st_mode) and about.st_mode & stat.S_IRUSR
        if not readable or about.st_size > self.limit:
            raise NotPlain
        self._seen.add(path)
        was_mode, was = self._was(below) if below is not None else ("", b"")
        data = self._taken(_content(fd, path.rpartition("/")[2], self.limit))
        part = Part(path, was_mode, was, _mode(about), data)
        if (part.was_mode, part.was) != (part.mode, part.data):
            self._add(part)

    def _add(self, part: Part) -> None:
        self.parts.append(part)
        self.relied.add(part.path)
        if len(self.parts) > MOST_FILES:
            raise NotPlain

    def _was(self, below: _Found) -> tuple[str, bytes]:
        path, about = below
        if not stat.S_ISREG(about.st_mode) or about.st_size > self.limit:
            raise NotPlain
        with open(path, "rb", buffering=0) as file:
            return _mode(about), self._taken(file.read())

    def _taken(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0:
            raise NotPlain
        return data

    def _files_of(self, path: str) -> Iterator[tuple[str, _Found]]:
        """What of the base lies below a folder, but for folders."""
        names = set[str]()
        for tree in self.base.trees:
            with suppress(FileNotFoundError, NotADirectoryError):
                names.update(os.listdir(tree / path))
        if not names:
            raise NotPlain  # a submodule
        for name in names:
            inner = f"{path}/{name}"
            below = self.base.find(inner)
            if below is not None and stat.S_ISDIR(below[1].st_mode):
                yield from self._files_of(inner)
            elif below is not None:
                yield inner, below

    def _list(self, at: str) -> bytes:
        """What is ignored, as it is listed in a folder."""
        return self._lists[at] if at in self._lists else self._committed(f"{at}.gitignore")

    def _attributes(self, at: str, told: dict[str, bytes]) -> bytes:
        if at not in told:
            told[at] = self._committed(f"{at}.gitattributes")
        return told[at]

    def _committed(self, path: str) -> bytes:
        """A file of the base; b"" where it has none."""
        below = self.base.find(path)
        if below is None:
            return b""
        self.relied.add(path)
        return self._was(below)[1]


def _folders(path: str) -> list[str]:
    """Those that lead to a path, the root first, as prefixes."""
    parts = path.split("/")[:-1]
    return ["", *("/".join(parts[: number + 1]) + "/" for number in range(len(parts)))]


def _mode(about: os.stat_result) -> str:
    return "100755" if about.st_mode & stat.S_IXUSR else "100644"


def _is_whiteout(about: os.stat_result) -> bool:
    return stat.S_ISCHR(about.st_mode) and about.st_rdev == 0


def _is_opaque(folder: int) -> bool:
    """Whether nothing of what lies below shows. Raises NotPlain for what this kernel should not have written."""
    try:
        said = os.getxattr(folder, _OPAQUE)
    except OSError:
        return False
    if said != b"y":
        raise NotPlain
    return True


def _content(folder: int, name: str, limit: int) -> bytes:
    """All of a plain file in an open folder. Raises NotPlain for another thing and for one beyond the limit."""
    fd, data = os.open(name, _FILE, dir_fd=folder), bytearray()
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise NotPlain
        while piece := os.read(fd, limit + 1 - len(data)):
            data += piece
    finally:
        os.close(fd)
    if len(data) > limit:
        raise NotPlain
    return bytes(data)
