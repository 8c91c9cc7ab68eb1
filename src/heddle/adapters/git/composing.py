"""The tree of a commit with some files changed, made from the trees on the way to them alone: O(changes).

Two commands, whatever the repository's size, where an index would be read and written whole.
"""

import hashlib
import os
import struct
import zlib
from collections.abc import Callable, Iterable

from heddle.adapters.git.objects import Store, require_id
from heddle.core.errors import OutsideError
from heddle.ports import Entry

_FOLDER = b"40000"
_TYPES = {"tree": 2, "blob": 3}
"""As packs number them."""

Listing = dict[bytes, tuple[bytes, bytes]]
"""A tree: mode and id by name."""


Known = dict[tuple[str, bytes], Listing]
"""Folders of commits that were read before, by commit and path: they never change."""

MOST_KNOWN = 4_096


async def compose(store: Store, commit: str, entries: Iterable[Entry], known: Known) -> str:
    """See PrivateGits.compose."""
    wanted = {os.fsencode(entry.path): entry for entry in entries}
    folders = {b"", *(folder for path in wanted for folder in _folders(path))}
    if unread := sorted(folder for folder in folders if (commit, folder) not in known):
        if len(known) >= MOST_KNOWN:
            known.clear()
            unread = sorted(folders)
        known |= {(commit, at): read for at, read in (await _load(store, require_id(commit), unread)).items()}
    listings = {folder: dict(known[commit, folder]) for folder in folders}
    written = _Objects(_sha1 if len(commit) == 40 else hashlib.sha256)
    for path, entry in wanted.items():
        folder, _, name = path.rpartition(b"/")
        listings[folder].pop(name, None)
        if entry.mode:
            listings[folder][name] = (entry.mode.encode(), written.add("blob", entry.data))
    for folder in sorted(folders - {b""}, key=lambda folder: -folder.count(b"/")):
        above, _, name = folder.rpartition(b"/")
        listings[above].pop(name, None)
        if listings[folder]:  # git knows no empty folders
            listings[above][name] = (_FOLDER, written.add("tree", _tree(listings[folder])))
    root = written.add("tree", _tree(listings[b""]))
    await store.run("unpack-objects", "-q", "--strict", stdin=written.pack())
    return root.hex()


def _folders(path: bytes) -> list[bytes]:
    parts = path.split(b"/")[:-1]
    return [b"/".join(parts[: number + 1]) for number in range(len(parts))]


async def _load(store: Store, commit: str, folders: list[bytes]) -> dict[bytes, Listing]:
    """Those folders of a commit; one that it has not is empty."""
    asked = [b"%s:%s" % (commit.encode(), folder) for folder in folders]
    told = (await store.run("cat-file", "-z", "--batch", stdin=b"".join(b"%s\0" % spec for spec in asked))).out
    found, at = dict[bytes, Listing](), 0
    for folder, spec in zip(folders, asked, strict=True):
        missing = b"%s missing\n" % spec
        if told.startswith(missing, at):
            found[folder], at = {}, at + len(missing)
            continue
        head, _, _ = told[at : at + 200].partition(b"\n")
        id, kind, size = head.split(b" ")
        if kind != b"tree":
            raise OutsideError(f"'{spec!a}' is no folder", slug="git-failed", hint="try again", program="git")
        start = at + len(head) + 1
        found[folder] = _listing(told[start : start + int(size)], len(id) // 2)
        at = start + int(size) + 1
    return found


def _listing(data: bytes, width: int) -> Listing:
    found, at = Listing(), 0
    while at < len(data):
        end = data.index(b"\0", at)
        mode, _, name = data[at:end].partition(b" ")
        at = end + 1 + width
        found[name] = (mode, data[end + 1 : at])
    return found


def _tree(listing: Listing) -> bytes:
    """In git's order: a folder's name counts as if a slash followed."""
    order = sorted(listing.items(), key=lambda item: item[0] + (b"/" if item[1][0] == _FOLDER else b""))
    return b"".join(b"%s %s\0%s" % (mode, name, id) for name, (mode, id) in order)


def _sha1(data: bytes) -> "hashlib._Hash":
    return hashlib.sha1(data, usedforsecurity=False)


class _Objects:
    def __init__(self, digest: Callable[[bytes], "hashlib._Hash"]) -> None:
        self._digest = digest
        self._records: dict[bytes, bytes] = {}

    def add(self, kind: str, data: bytes) -> bytes:
        """Take in an object; its id."""
        id = self._digest(f"{kind} {len(data)}\0".encode() + data).digest()
        self._records[id] = _size(_TYPES[kind], len(data)) + zlib.compress(data, 1)
        return id

    def pack(self) -> bytes:
        """All of them, as git packs them."""
        body = b"PACK" + struct.pack(">II", 2, len(self._records)) + b"".join(self._records.values())
        return body + self._digest(body).digest()


def _size(kind: int, size: int) -> bytes:
    """The head of a packed object: its type, and its size in groups of four and then seven bits."""
    head, size = bytearray([kind << 4 | size & 15]), size >> 4
    while size:
        head[-1] |= 128
        head.append(size & 127)
        size >>= 7
    return bytes(head)
