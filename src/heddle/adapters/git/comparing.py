"""Many looks at objects in few commands: three-way merges in one process, what two trees differ in, contents, hunks.

Everything that is made on the way is thrown away with its folder; only the commits that trees are wrapped in are kept,
in the nursery, since every batch needs them again.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from heddle.adapters.git import merge
from heddle.adapters.git.commands import decoded
from heddle.adapters.git.objects import Store, require_id
from heddle.core.errors import HeddleError, OutsideError
from heddle.core.radar import Hunk, Touched
from heddle.ports import Conflicted, Merged, Trio, Unmerged

MOST_WRAPPED = 10_000
MOST_FRUITLESS = 3
"""So often in a row git may fail on the first pair that it is given; then it is not the pairs."""

_LARGEST = 1_000_000
_DIFF = ("--no-ext-diff", "--no-textconv", "--no-color", "--end-of-options")
_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_ESCAPES = {b"a": 7, b"b": 8, b"t": 9, b"n": 10, b"v": 11, b"f": 12, b"r": 13, b'"': 34, b"\\": 92}


class Comparing:
    """Looks at one repository's objects. It remembers which commit wraps which tree, and the attributes of a base."""

    def __init__(self, store: Store) -> None:
        self._store = store
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
        lines: dict[Trio, str] = {}
        for trio in trios:
            try:
                root = await self._wrap(ancestor, "")
                sides = [await self._wrap(side, root) for side in (trio.ours, trio.theirs)]
                lines[trio] = " ".join(sides)
            except HeddleError as error:  # a tree that is not there spoils no other pair
                found[trio] = Unmerged(_why(error))
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
        disarmed = dict.fromkeys(await merge.drivers(store), "false")
        args = ("merge-tree", "--write-tree", "--stdin", "-z", "--name-only", "--messages")
        with TemporaryDirectory(prefix="merges-", dir=store.folder) as folder:
            tree, objects = Path(folder, "tree"), Path(folder, "objects")
            tree.mkdir()
            objects.mkdir()
            await self._lay_out_attributes(ancestor, tree)
            place = store.place(work_tree=tree)
            env = {"GIT_OBJECT_DIRECTORY": str(objects), "GIT_ALTERNATE_OBJECT_DIRECTORIES": _all_of(store)}
            data = "".join(f"{line}\n" for line in lines).encode()
            answer = await store.git.run(*args, place=place, config=disarmed, env=env, stdin=data, ok=range(256))
        told = decoded(answer.out).split("\0")
        known = list(_answers(told, len(lines)))
        return known, "" if answer.status == 0 else answer.err.decode("utf-8", "replace").strip()[-500:]

    async def _lay_out_attributes(self, ancestor: str, folder: Path) -> None:
        if ancestor not in self._attributes:
            self._attributes.clear()  # there are few bases at a time, and the newest is asked for most
            self._attributes[ancestor] = await merge.attributes(self._store, ancestor)
        for path, data in self._attributes[ancestor]:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)

    async def _wrap(self, tree_ish: str, parent: str) -> str:
        key = (require_id(tree_ish), parent)
        if key not in self._wrapped:
            if len(self._wrapped) >= MOST_WRAPPED:
                self._wrapped.clear()
            self._wrapped[key] = await merge.wrapped(self._store, tree_ish, *filter(None, (parent,)))
        return self._wrapped[key]

    def _forget(self, trio: Trio) -> None:
        """What stands for its trees may have been swept away; the next time it is made anew."""
        gone = {trio.ours, trio.theirs, trio.ancestor}
        self._wrapped = {key: commit for key, commit in self._wrapped.items() if key[0] not in gone}

    async def touched(self, old: str, new: str) -> tuple[Touched, ...]:
        """See Repository.touched."""
        args = ("diff-tree", "-r", "-z", "--raw", "--find-renames", *_DIFF, require_id(old), require_id(new), "--")
        fields = iter((await self._store.run(*args)).fields)
        return tuple(_touched(record, fields) for record in fields)

    async def contents(self, asked: Sequence[str]) -> tuple[bytes | None, ...]:
        """See Repository.contents."""
        wanted = [blob for blob in dict.fromkeys(asked) if blob]
        if not wanted:
            return (None,) * len(asked)
        listed = "".join(f"{require_id(blob)}\n" for blob in wanted).encode()
        sizes = (await self._store.run("cat-file", "--batch-check=%(objecttype) %(objectsize)", stdin=listed)).text
        kept = [
            blob
            for blob, told in zip(wanted, sizes.splitlines(), strict=True)
            if told.startswith("blob ") and int(told[5:]) <= _LARGEST
        ]
        listed = "".join(f"{blob}\n" for blob in kept).encode()
        found = dict(_blobs((await self._store.run("cat-file", "--batch", stdin=listed)).out)) if kept else {}
        return tuple(found.get(blob) for blob in asked)

    async def hunks(self, old: str, new: str, paths: Sequence[str]) -> dict[str, tuple[Hunk, ...]]:
        """See Repository.hunks."""
        command = ("diff-tree", "-r", "-p", "--unified=0", "--no-renames", "--no-prefix", *_DIFF)
        answer = await self._store.run(*command, require_id(old), require_id(new), "--", *paths)
        found: dict[str, list[Hunk]] = {}
        for path, hunk in _hunks(answer.out.split(b"\n")):
            found.setdefault(path, []).append(hunk)
        return {path: tuple(found.get(path, ())) for path in paths}


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


def _touched(record: str, fields: Iterator[str]) -> Touched:
    """One raw record; a rename has two paths."""
    _, _, before, after, status = record[1:].split(" ")
    origin = next(fields) if status[0] in "RC" else ""
    return Touched(next(fields), before.strip("0") and before, after.strip("0") and after, origin)


def _blobs(data: bytes) -> Iterable[tuple[str, bytes]]:
    """What `cat-file --batch` says: a line with id, type and size, then the content and a newline."""
    position = 0
    while position < len(data):
        end = data.index(b"\n", position)
        oid, kind, size = data[position:end].split(b" ")
        if kind != b"blob":
            raise OutsideError("git cat-file told of something that is no file", slug="git-failed")
        yield oid.decode(), data[end + 1 : end + 1 + int(size)]
        position = end + 2 + int(size)


def _hunks(lines: Sequence[bytes]) -> Iterator[tuple[str, Hunk]]:
    """What a patch without context says, with the path of each; the lines of a hunk are counted off and not read."""
    path, position = "", 0
    while position < len(lines):
        line = lines[position]
        position += 1
        if line.startswith((b"--- ", b"+++ ")) and line[4:] != b"/dev/null":
            path = _unquoted(line[4:])
        elif (told := _HUNK.match(line)) is not None:
            first, old, new = int(told[1]), int(told[2] or b"1"), int(told[3] or b"1")
            yield path, Hunk(first, first + max(old, 1) - 1)
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
