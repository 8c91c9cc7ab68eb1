"""A repository's past and its files for the map: which commit touched what, and what source files say."""

import re
from collections.abc import AsyncIterator, Collection, Mapping
from itertools import islice

from heddle.adapters.git.objects import Store, require_id
from heddle.adapters.git.trees import PLAIN_FILES
from heddle.core.errors import OutsideError
from heddle.core.map.history import Touched

MOST = 10_000
"""Commits that are read; older ones would count next to nothing."""

_STATUS = re.compile(r"\n?([ACDMRTUX])\d*")
_WORDS = 1_000
"""Characters of a message that are kept."""

_AT_ONCE = 400
"""Files that one command reads."""


async def touched(store: Store, tip: str, since: str = "") -> list[Touched]:
    """Commits with one parent from `tip` back, newest first; with `since` only those that it does not reach."""
    command = ("log", "-z", f"--max-count={MOST}", "--no-merges", "--name-status", "-M100%", "-l200", "--no-ext-diff")
    shown = ("--no-color", "--no-notes", "--no-show-signature", "--format=%H%x00%an%x00%B", "--end-of-options")
    wanted = (require_id(tip), *((f"^{require_id(since)}",) if since else ()), "--")
    return _read(_fields((await store.run(*command, *shown, *wanted)).out))


def _fields(data: bytes) -> list[str]:
    """Fields that end in NUL, as text that can be shown and written: a map only tells of files, it opens none."""
    return data.decode("utf-8", "replace").split("\0")[:-1]


def _read(fields: list[str]) -> list[Touched]:
    """Per commit its id, author and message, then a status and one path or two for each file."""
    found, place = [], 0
    while place + 2 < len(fields):
        id, author, message = fields[place].lstrip("\n"), fields[place + 1], fields[place + 2]
        place += 3
        paths: dict[str, None] = {}
        renamed = []
        while place < len(fields) and (status := _STATUS.fullmatch(fields[place])):
            if status[1] in "RC":
                old, new = fields[place + 1 : place + 3]
                paths[new] = None
                renamed += [(old, new)] if status[1] == "R" else []
                place += 3
            else:
                paths[fields[place + 1]] = None
                place += 2
        found.append(Touched(id, author[:200], message[:_WORDS], tuple(paths), tuple(renamed)))
    return found


async def is_shallow(store: Store) -> bool:
    """Whether the past was cut off when the repository was cloned."""
    return (await store.run("rev-parse", "--is-shallow-repository")).text == "true"


async def blobs(store: Store, tip: str) -> dict[str, str]:
    """The plain files of a commit with the ids of what they hold."""
    args = ("ls-tree", "-r", "-z", "--full-tree", "--end-of-options", require_id(tip))
    found = {}
    for record in _fields((await store.run(*args)).out):
        about, _, path = record.partition("\t")
        mode, _, blob = about.split(" ")[:3]
        if mode in PLAIN_FILES:
            found[path] = blob
    return found


async def texts(store: Store, ids: Collection[str], largest: int) -> AsyncIterator[Mapping[str, bytes]]:
    """What blobs of at most `largest` bytes hold, some hundred at a time."""
    asked = "".join(f"{require_id(id)}\n" for id in ids).encode()
    sizes = await store.run("cat-file", "--batch-check=%(objectname) %(objecttype) %(objectsize)", stdin=asked)
    small = iter(
        id
        for id, kind, size in (line.split(" ")[:3] for line in sizes.text.splitlines() if line.count(" ") == 2)
        if kind == "blob" and int(size) <= largest
    )
    while chunk := list(islice(small, _AT_ONCE)):
        told = await store.run("cat-file", "--batch", stdin="".join(f"{id}\n" for id in chunk).encode())
        yield _contents(told.out)


def _contents(data: bytes) -> dict[str, bytes]:
    found, place = {}, 0
    while place < len(data):
        end = data.index(b"\n", place)
        head = data[place:end].decode("ascii", "replace").split(" ")
        if len(head) != 3:  # "missing": it was there a moment ago
            raise OutsideError(f"git cat-file: {' '.join(head)!a}", slug="git-failed", hint="see: git fsck")
        size = int(head[2])
        found[head[0]] = data[end + 1 : end + 1 + size]
        place = end + 1 + size + 1
    return found
