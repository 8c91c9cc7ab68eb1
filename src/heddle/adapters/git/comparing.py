"""Many looks at objects in few commands: three-way merges in one process, what two trees differ in, contents, hunks.

What merges write goes to a folder aside and does not stay; only the commits that trees are wrapped in are kept, in the
nursery, since every batch needs them again.
"""

import asyncio
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from heddle.adapters.git import merge
from heddle.adapters.git.commands import decoded
from heddle.adapters.git.objects import Store, require_id
from heddle.core.errors import HeddleError
from heddle.core.radar import Hunk, Touched
from heddle.ports import Conflicted, Merged, Trio, Unmerged

MOST_WRAPPED = 10_000
MOST_FRUITLESS = 3
"""So often in a row git may fail on the first pair that it is given; then it is not the pairs."""

KEPT_S = 60.0
"""So long what merges write lies there at least."""

_LARGEST = 1_000_000
_DIFF = ("--no-ext-diff", "--no-textconv", "--no-color")
_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_TREES = re.compile(rb"([0-9a-f]{40,64}) ([0-9a-f]{40,64})")
_COMMIT = (
    "tree {tree}\n{parent}author Heddle <heddle@localhost> 0 +0000\ncommitter Heddle <heddle@localhost> 0 +0000\n\n"
)
_ESCAPES = {b"a": 7, b"b": 8, b"t": 9, b"n": 10, b"v": 11, b"f": 12, b"r": 13, b'"': 34, b"\\": 92}


class Comparing:
    """Looks at one repository's objects. It remembers which commit wraps which tree, and the attributes of a base."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._scratch = store.folder / "merges"
        self._cleared = 0.0
        self._wrapped: dict[tuple[str, str], str] = {}
        self._attributes: dict[str, tuple[tuple[str, bytes], ...]] = {}

    async def merges(self, asked: Sequence[Trio]) -> tuple[Merged | Conflicted | Unmerged, ...]:
        """See Repository.merges: one process for each ancestor, and one more for each pair that git fails on."""
        found: dict[Trio, Merged | Conflicted | Unmerged] = {}
        for ancestor in dict.fromkeys(trio.ancestor for trio in asked):
            trios = list(dict.fromkeys(trio for trio in asked if trio.ancestor == ancestor))
            found |= await self._over(ancestor, trios)
        return tuple(found[trio] for trio in asked)

    async def _over(self, ancestor: str, trios: list[Trio]) -> dict[Trio, Merged | Conflicted | Unmerged]:
        found: dict[Trio, Merged | Conflicted | Unmerged] = {}
        sides = list(dict.fromkeys(side for trio in trios for side in (trio.ours, trio.theirs)))
        try:
            root = (await self._wrap([(ancestor, "")]))[0]
            made, kinds = await asyncio.gather(
                self._wrap([(side, root) for side in sides]), self._kinds([ancestor, *sides])
            )
        except HeddleError as error:
            return dict.fromkeys(trios, Unmerged(_why(error)))
        wrapped = {side: commit for side, commit, kind in zip(sides, made, kinds[1:], strict=True) if kind == "tree"}
        lines = {
            trio: f"{wrapped[trio.ours]} {wrapped[trio.theirs]}"
            for trio in trios
            if kinds[0] == "tree" and trio.ours in wrapped and trio.theirs in wrapped
        }
        found |= {trio: Unmerged("one of its trees is not there") for trio in trios if trio not in lines}
        left, fruitless = list(lines), 0
        while left:
            try:
                known, why = await self._run(ancestor, [lines[trio] for trio in left])
            except HeddleError as error:
                known, why = [], _why(error)
            found |= dict(zip(left, known, strict=False))
            left, fruitless = left[len(known) :], 0 if known else fruitless + 1
            if fruitless > MOST_FRUITLESS:
                found |= dict.fromkeys(left, Unmerged(why))
                break
            if left:  # git gave up on this one, and with it on all that came after
                self._forget(left[0])
                found[left.pop(0)] = Unmerged(why or "git merge-tree said nothing of it")
        return found

    async def _run(self, ancestor: str, lines: list[str]) -> tuple[list[Merged | Conflicted], str]:
        """What git told of the pairs up to the first that it could not tell of, and why it could not."""
        store = self._store
        args = ("merge-tree", "--write-tree", "--stdin", "-z", "--name-only", "--messages")
        drivers, tree = await asyncio.gather(merge.drivers(store), self._attributes_of(ancestor))
        place = store.place(work_tree=tree)
        env = {"GIT_OBJECT_DIRECTORY": str(self._objects()), "GIT_ALTERNATE_OBJECT_DIRECTORIES": _all_of(store)}
        data, disarmed = "".join(f"{line}\n" for line in lines).encode(), dict.fromkeys(drivers, "false")
        answer = await store.git.run(*args, place=place, config=disarmed, env=env, stdin=data, ok=range(256))
        told = decoded(answer.out).split("\0")
        known = list(_answers(told, len(lines)))
        return known, "" if answer.status == 0 else answer.err.decode("utf-8", "replace").strip()[-500:]

    async def _attributes_of(self, ancestor: str) -> Path:
        """A folder with the .gitattributes files of a tree: git's merge reads them from files alone."""
        if ancestor not in self._attributes:
            self._attributes.clear()  # there are few bases at a time, and the newest is asked for most
            self._attributes[ancestor] = await merge.attributes(self._store, ancestor)
        folder = self._scratch / f"attributes-{ancestor}"
        folder.mkdir(parents=True, exist_ok=True)
        for path, data in self._attributes[ancestor]:
            if not (folder / path).exists():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(data)
        return folder

    def _objects(self) -> Path:
        """Where merges write; from time to time what lies there goes. Making the folder anew each time costs more than the
        merges do.
        """
        folder, now = self._scratch / "objects", time.time()
        folder.mkdir(parents=True, exist_ok=True)
        if now - self._cleared > KEPT_S:
            self._cleared = now
            for path in folder.glob("??/*"):
                with suppress(OSError):  # git makes what it needs again as young as new
                    if path.stat().st_mtime < now - KEPT_S:
                        path.unlink()
        return folder

    async def _wrap(self, asked: Sequence[tuple[str, str]]) -> list[str]:
        """Commits of trees, each with its parent or ""; whether the trees are there nobody asks here."""
        fresh = [one for one in dict.fromkeys(asked) if one not in self._wrapped]
        if fresh:
            if len(self._wrapped) + len(fresh) > MOST_WRAPPED:
                self._wrapped.clear()
                fresh = list(dict.fromkeys(asked))
            self._wrapped |= dict(zip(fresh, await self._made(fresh), strict=True))
        return [self._wrapped[one] for one in asked]

    async def _made(self, fresh: Sequence[tuple[str, str]]) -> list[str]:
        texts = [_commit(tree, parent) for tree, parent in fresh]
        args = ("hash-object", "-t", "commit", "-w", "--no-filters")
        if len(texts) == 1:
            return [(await self._store.run(*args, "--stdin", stdin=texts[0].encode())).text]
        with TemporaryDirectory(prefix="wraps-", dir=self._store.folder) as folder:
            paths = [Path(folder, str(number)) for number in range(len(texts))]
            for path, text in zip(paths, texts, strict=True):
                path.write_text(text)
            listed = "".join(f"{path.relative_to(self._store.common)}\n" for path in paths)
            return (await self._store.run(*args, "--stdin-paths", stdin=listed.encode())).text.split()

    async def _kinds(self, ids: Sequence[str]) -> list[str]:
        """What each is; a merge would take a tree that is not there for an empty one."""
        listed = "".join(f"{require_id(id)}\n" for id in ids).encode()
        told = (await self._store.run("cat-file", "--batch-check=%(objecttype)", stdin=listed)).text.splitlines()
        return [line.rpartition(" ")[2] for line in told]

    def _forget(self, trio: Trio) -> None:
        """What stands for its trees may have been swept away; the next time it is made anew."""
        gone = {trio.ours, trio.theirs, trio.ancestor}
        self._wrapped = {key: commit for key, commit in self._wrapped.items() if key[0] not in gone}

    async def touched(self, asked: Sequence[tuple[str, str]]) -> tuple[tuple[Touched, ...] | None, ...]:
        """See Repository.touched. Git passes over a tree that is not there with no more than a word, and gives up on all for
        one that is broken: what it did not tell of is asked for alone.
        """
        try:
            found = await self._touched(asked) if asked else {}
        except HeddleError:
            found = {}
        for pair in dict.fromkeys(asked):
            if pair not in found:
                with suppress(HeddleError):
                    found |= await self._touched([pair])
        return tuple(found.get(pair) for pair in asked)

    async def _touched(self, asked: Sequence[tuple[str, str]]) -> dict[tuple[str, str], tuple[Touched, ...]]:
        command = ("diff-tree", "--stdin", "-r", "-z", "--raw", "--find-renames", *_DIFF)
        return _read_touched((await self._store.run(*command, stdin=_pairs(asked))).out)

    async def contents(self, asked: Sequence[str]) -> tuple[bytes | None, ...]:
        """See Repository.contents."""
        wanted = [require_id(blob) for blob in dict.fromkeys(asked) if blob]
        if not wanted:
            return (None,) * len(asked)
        answer = await self._store.run("cat-file", "--batch", stdin="".join(f"{blob}\n" for blob in wanted).encode())
        found = dict(_blobs(answer.out))
        return tuple(found.get(blob) for blob in asked)

    async def hunks(
        self, asked: Sequence[tuple[str, str]], paths: Sequence[str]
    ) -> tuple[Mapping[str, tuple[Hunk, ...]], ...]:
        """See Repository.hunks."""
        command = ("diff-tree", "--stdin", "-r", "-p", "--unified=0", "--no-renames", "--no-prefix", *_DIFF)
        answer = await self._store.run(*command, "--", *paths, stdin=_pairs(asked)) if asked else None
        found: dict[tuple[str, str], dict[str, tuple[Hunk, ...]]] = {}
        for pair, path, hunk in _hunks(answer.out.split(b"\n") if answer else ()):
            known = found.setdefault(pair, {})
            known[path] = (*known.get(path, ()), hunk)
        return tuple(found.get(pair, {}) for pair in asked)


def _commit(tree: str, parent: str) -> str:
    line = f"parent {require_id(parent)}\n" if parent else ""
    return _COMMIT.format(tree=require_id(tree), parent=line)


def _pairs(asked: Sequence[tuple[str, str]]) -> bytes:
    return "".join(f"{require_id(old)} {require_id(new)}\n" for old, new in dict.fromkeys(asked)).encode()


def _all_of(store: Store) -> str:
    quoted = (str(path).replace("\\", "\\\\").replace('"', '\\"') for path in store.born() if path is not None)
    return ":".join(f'"{path}"' for path in quoted)


def _why(error: HeddleError) -> str:
    return f"{error.message}: {error.facts.get('tail', '')}".strip(": ")[-500:]


def _answers(told: list[str], most: int) -> Iterator[Merged | Conflicted]:
    """Whole answers, in order; one that is cut, or is none, ends them.

    Each is a status (1 clean, 0 conflict), a tree, paths up to an empty field, and messages up to another.
    """
    position = 0
    while most and position + 2 < len(told):
        status, tree = told[position : position + 2]
        try:
            end = told.index("", position + 2)
            paths, last = told[position + 2 : end], end + 1
            while told[last]:
                last += int(told[last]) + 3
            detail = merge.messages(told[end + 1 : last])
        except (ValueError, IndexError):
            return
        if status == "1" and not paths:
            yield Merged(require_id(tree))
        elif status == "0" and paths:
            yield Conflicted(tuple(dict.fromkeys(paths)), detail)
        else:
            return
        position, most = last + 1, most - 1


def _read_touched(data: bytes) -> dict[tuple[str, str], tuple[Touched, ...]]:
    """Raw records below a line of the two trees: a description and a path, or for a rename two."""
    found: dict[tuple[str, str], tuple[Touched, ...]] = {}
    pair, position = ("", ""), 0

    def field() -> str:
        nonlocal position
        end = data.index(b"\0", position)
        text, position = decoded(data[position:end]), end + 1
        return text

    while position < len(data):
        if data[position : position + 1] != b":":
            end = data.index(b"\n", position)
            old, new = data[position:end].decode().split(" ")
            pair, position = (old, new), end + 1
            found[pair] = ()
            continue
        _, _, before, after, status = field()[1:].split(" ")
        origin = field() if status[0] in "RC" else ""
        one = Touched(field(), before.strip("0") and before, after.strip("0") and after, origin)
        found[pair] = (*found[pair], one)
    return found


def _blobs(data: bytes) -> Iterable[tuple[str, bytes]]:
    """What `cat-file --batch` says of files: a line with id, type and size, then the content and a newline; or that there
    is no such object. What is very large is passed over.
    """
    position = 0
    while position < len(data):
        end = data.index(b"\n", position)
        oid, kind, *size = data[position:end].split(b" ")
        position = end + 1
        if size:
            last = position + int(size[0])
            if kind == b"blob" and last - position <= _LARGEST:
                yield oid.decode(), data[position:last]
            position = last + 1


def _hunks(lines: Sequence[bytes]) -> Iterator[tuple[tuple[str, str], str, Hunk]]:
    """What patches without context say, with the two trees and the path of each; the lines of a hunk are counted
    off and not read.
    """
    pair, path, position = ("", ""), "", 0
    while position < len(lines):
        line = lines[position]
        position += 1
        if (head := _TREES.fullmatch(line)) is not None:
            pair = (head[1].decode(), head[2].decode())
        elif line.startswith((b"--- ", b"+++ ")) and line[4:] != b"/dev/null":
            path = _unquoted(line[4:])
        elif (told := _HUNK.match(line)) is not None:
            first, old, new = int(told[1]), int(told[2] or b"1"), int(told[3] or b"1")
            yield pair, path, Hunk(first, first + max(old, 1) - 1)
            left = old + new
            while left and position < len(lines):
                left -= not lines[position].startswith(b"\\")  # no newline at the end of the file
                position += 1


def _unquoted(name: bytes) -> str:
    """A path in the head of a patch as it is; git quotes odd ones, and puts a tab after those with spaces."""
    name = name.removesuffix(b"\t")
    if not name.startswith(b'"'):
        return decoded(name)
    found, rest = bytearray(), name[1:-1]
    while rest:
        if rest[:1] != b"\\":
            found += rest[:1]
            rest = rest[1:]
        elif rest[1:2] in _ESCAPES:
            found.append(_ESCAPES[rest[1:2]])
            rest = rest[2:]
        else:
            found.append(int(rest[1:4], 8))
            rest = rest[4:]
    return decoded(bytes(found))
