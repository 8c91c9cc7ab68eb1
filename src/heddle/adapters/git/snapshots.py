"""What a worktree holds, as objects, without touching it: everything happens in a copy of its index."""

import os
import signal
import stat
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from heddle.adapters.git.commands import Place, decoded
from heddle.adapters.git.commits import write_commit
from heddle.adapters.git.objects import Store, require_id
from heddle.core.errors import OutsideError, Refused
from heddle.core.snapshot import Snapshot

NESTED = "a repository of its own"
IGNORED = "ignored by .gitignore"
UNREADABLE = "not readable"
SUBMODULE = "a submodule, whose content is not taken"

_LOG_LIMIT = 1_000
_FEW = 200
_STUMBLED = "Unable to process path"
"""What git says of a file that changed, or became something else, while it was read."""

_LINK = "120000"
_SUBMODULE = "160000"
OUT = "refs/heddle/out"
_KEEPING_ONLY = (OUT, "refs/heddle/recovery/*")
"""Refs that name what is here because somebody looked: the next who looks must find it all the same."""

_REFS = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "REBASE_HEAD", "ORIG_HEAD")


async def take(store: Store, place: Place, *, base: str, size_limit: int) -> Snapshot:
    """See Worktrees.snapshot. New objects go to the nursery: they last until a ref keeps a commit of them."""
    async with _copied(store, place) as (copy, head):
        noted = await copy.noted()
        unmerged = await copy.settle_conflicts(noted)
        staged = (await copy.run("write-tree")).strip()
        links = _links(noted)
        refused = await (copy.add_result(links, require_id(base), size_limit) if base else copy.add_all(links))
        worktree = await copy.written()
        branch = await _branch(store, place)
        also = await _also(store, place, head)
    return Snapshot(head, branch, staged, worktree, tuple(sorted(refused.items())), also, unmerged)


async def take_result(store: Store, place: Place, *, base: str, size_limit: int) -> Snapshot:
    """As `take` with a base, but of head and files alone: nothing else is part of a result."""
    async with _copied(store, place) as (copy, head):
        noted = await copy.noted()
        await copy.resolve_conflicts(noted)
        refused = await copy.add_result(_links(noted), require_id(base), size_limit)
        worktree = await copy.written()
    return Snapshot(head, "", worktree, worktree, tuple(sorted(refused.items())))


@asynccontextmanager
async def _copied(store: Store, place: Place) -> AsyncIterator[tuple["_Copy", str]]:
    """A copy of the index that is there, and the commit that HEAD is."""
    async with store.scratch_index() as index:
        _copy_index(place.git_dir / "index", index)
        copy = _Copy(store, replace(place, index=index))
        yield copy, require_id((await copy.run("rev-parse", "--verify", "HEAD^{commit}")).strip())


async def lay_out(store: Store, place: Place, snapshot: Snapshot) -> None:
    """See Worktrees.fill."""
    if (await store.git.run("status", "--porcelain", "-z", place=place)).out:
        raise Refused(f"'{place.work_tree}' has changes already", slug="not-fresh", hint="choose a new directory")
    plain = store.place(place.git_dir, place.work_tree)
    copy = _Copy(store, plain)
    await copy.run("read-tree", "-m", "-u", "HEAD", require_id(snapshot.worktree))
    kept = snapshot.head  # from now on the worktree's index needs what these trees hold
    for tree in filter(None, (snapshot.unmerged, snapshot.index)):
        kept = await write_commit(store, tree, [kept], "held", as_person=False, at=0.0)
    async with store.published(kept):
        await copy.run("read-tree", require_id(snapshot.index))
        if snapshot.unmerged:
            await copy.feed(await copy.stages(snapshot.unmerged))
    await store.git.run("update-index", "-q", "--refresh", place=plain, ok=(0, 1))


def _copy_index(source: Path, copy: Path) -> None:
    """With its time: git doubts what it knows of every file that changed no earlier than its index was written."""
    with suppress(FileNotFoundError), source.open("rb") as known, copy.open("wb") as file:
        written_ns = os.fstat(known.fileno()).st_mtime_ns
        while piece := known.read(1 << 20):
            file.write(piece)
        file.flush()  # what is written afterwards would set the time anew
        os.utime(copy, ns=(written_ns, written_ns))


@dataclass(frozen=True, slots=True)
class _Copy:
    """A worktree seen through an index that may be written."""

    store: Store
    place: Place

    async def run(self, *args: str, stdin: bytes = b"", ok: Sequence[int] = (0,)) -> str:
        try:
            return decoded((await self.store.git.run(*args, place=self.place, stdin=stdin, ok=ok)).out)
        except OutsideError as error:
            if _was_cut(error) and self.place.index is not None:  # by this signal git leaves its lock behind
                self.place.index.with_name(f"{self.place.index.name}.lock").unlink(missing_ok=True)
            raise

    async def names(self, *args: str) -> list[str]:
        return (await self.run(*args)).split("\0")[:-1]

    async def feed(self, entries: Iterable[str]) -> None:
        """Write index entries as they are told."""
        data = "".join(f"{entry}\0" for entry in entries)
        if data:
            await self.run("update-index", "-z", "--index-info", stdin=_bytes(data))

    async def noted(self) -> list["_Entry"]:
        """Entries that are no settled files: unmerged ones, and those that stand for another repository."""
        records = await self.names("ls-files", "-z", "--stage")
        stage = records[0].index("\t") - 1 if records else 0
        return [_Entry.read(record) for record in records if record[stage] != "0" or record.startswith(_SUBMODULE)]

    async def settle_conflicts(self, noted: Iterable["_Entry"]) -> str:
        """Keep the stages of unmerged paths as a tree (folders 1, 2, 3) and put "our" side into the index."""
        entries = [e for e in noted if e.stage != "0"]
        if not entries:
            return ""
        async with self.store.scratch_index() as index:
            stages = _Copy(self.store, replace(self.place, index=index))
            await stages.feed(f"{e.mode} {e.blob} 0\t{e.stage}/{e.path}" for e in entries)
            tree = (await stages.run("write-tree")).strip()
        await self.resolve_conflicts(entries)
        return tree

    async def resolve_conflicts(self, noted: Iterable["_Entry"]) -> None:
        """Put "our" side of unmerged paths into the index."""
        entries = [e for e in noted if e.stage != "0"]
        if entries:
            none = "0" * len(entries[0].blob)
            await self.feed(f"0 {none}\t{path}" for path in {e.path for e in entries})
            await self.feed(f"{e.mode} {e.blob} 0\t{e.path}" for e in entries if e.stage == "2")

    async def written(self) -> str:
        """The tree that the index holds, of files that were there to the end."""
        tree = (await self.run("write-tree")).strip()
        if not self.place.work_tree.is_dir():
            raise OutsideError(
                f"'{self.place.work_tree}' went away while it was read",
                slug="workspace-lost",
                hint="what was kept of it can be brought back with 'heddle restore TASK'",
            )
        return tree

    async def stages(self, tree: str) -> list[str]:
        """The index entries that a tree of stages stands for; the settled entries of those paths go first."""
        none = "0" * len(require_id(tree))
        conflicted = []
        for record in await self.names("ls-tree", "-r", "-z", "--full-tree", tree):
            about, _, name = record.partition("\t")
            mode, _, blob = about.split(" ")
            stage, _, path = name.partition("/")
            conflicted.append(_Entry(mode, blob, stage, path))
        cleared = [f"0 {none}\t{path}" for path in {e.path for e in conflicted}]
        return cleared + [f"{e.mode} {e.blob} {e.stage}\t{e.path}" for e in conflicted]

    async def add_all(self, links: Iterable[str]) -> dict[str, str]:
        """Bring the index to what the files are: changed, deleted and untracked ones. Returns what was refused."""
        changed, untracked = await self._differing()
        for path in self._filled(links):
            untracked += _files_in(self.place.work_tree, path)
        refused = _refused(self.place.work_tree, untracked)
        await self.write([path for path in dict.fromkeys((*changed, *untracked)) if path not in refused])
        return refused

    async def add_result(self, links: Iterable[str], base: str, size_limit: int) -> dict[str, str]:
        """As `add_all`, but for what a result must not hold (W8): base's entry, or none, takes its place."""
        changed, untracked = await self._differing()
        submodules = dict.fromkeys(self._filled(links), SUBMODULE)
        refused = _refused(self.place.work_tree, untracked) | submodules
        wanted = [path for path in dict.fromkeys((*changed, *untracked)) if path not in refused]
        large = await self._too_large(base, wanted, size_limit)  # not even read
        refused |= large
        await self.write([path for path in wanted if path not in large])
        differing = await self.names("diff-index", "-z", "--name-only", "--cached", base)
        before = await self._entries(base, differing)
        left_out = dict.fromkeys(await self._ignored([path for path in differing if path not in before]), IGNORED)
        left_out |= await self._too_large(base, [path for path in differing if path not in left_out], size_limit)
        left_out |= {path: SUBMODULE for path in differing if path in submodules}
        none = "0" * len(base)
        await self.feed([f"0 {none}\t{path}" for path in left_out])
        await self.feed([f"{e.mode} {e.blob} 0\t{e.path}" for path, e in before.items() if path in left_out])
        return refused | left_out

    async def write(self, paths: Sequence[str]) -> None:
        """Take paths into the index as they are on disk; one that is gone leaves it.

        Git gives up on all of them when one changes under it, as a log does that is cut: halves find that one.
        """
        if not paths:
            return
        data = _bytes("".join(f"{path}\0" for path in paths))
        try:
            await self.run("update-index", "--add", "--remove", "--replace", "-z", "--stdin", stdin=data)
        except OutsideError as error:
            if not _was_cut(error) and _STUMBLED not in str(error.facts.get("tail")):
                raise
            if len(paths) == 1:
                await self._write_moving(paths[0], error)
                return
            middle = len(paths) // 2
            await self.write(paths[:middle])
            await self.write(paths[middle:])

    async def _write_moving(self, path: str, error: OutsideError) -> None:
        """Take what one reading finds of a file that does not hold still; no file there: it leaves the index.

        Raises `error`, which git gave, when it cannot be read.
        """
        try:
            mode, data = _mode_and_data(self.place.work_tree / path)
        except OSError:
            raise error from None
        if not mode:
            await self.run("update-index", "--force-remove", "-z", "--stdin", stdin=_bytes(f"{path}\0"))
            return
        filters = ["--no-filters"] if mode == _LINK else [f"--path={path}"]
        blob = (await self.run("hash-object", "-w", "--stdin", *filters, stdin=data)).strip()
        await self.feed([f"{mode} {blob} 0\t{path}"])

    async def _differing(self) -> tuple[list[str], list[str]]:
        """Paths of the index whose files may not be as it says, and files of which it says nothing."""
        changed = await self.names("diff-files", "-z", "--name-only", "--ignore-submodules=dirty")
        return changed, await self.names("ls-files", "-z", "--others", "--exclude-standard")

    def _filled(self, links: Iterable[str]) -> list[str]:
        """Those entries for another repository that have something in their place, which git passes over."""
        return [path for path in links if _is_filled(self.place.work_tree / path)]

    async def _ignored(self, paths: Sequence[str]) -> set[str]:
        """Those of some paths of the index that would be ignored if nobody had added them."""
        if not paths:
            return set()
        told = await self.names("ls-files", "-z", "--cached", "--ignored", "--exclude-standard", "--", *_few(paths))
        return set(paths).intersection(told)

    async def _too_large(self, base: str, paths: Sequence[str], limit: int) -> dict[str, str]:
        """Files above the limit, but for those that `base` has above it already."""
        sizes = {path: _size(self.place.work_tree / path) for path in paths}
        large = {path: size for path, size in sizes.items() if 0 < limit < size}
        before = await self._entries(base, list(large))
        fresh = (path for path in large if path not in before or before[path].size <= limit)
        return {path: f"{large[path]} bytes, above the limit of {limit}" for path in fresh}

    async def _entries(self, commit: str, paths: Sequence[str]) -> dict[str, "_Entry"]:
        wanted = set(paths)
        found = {}
        asked = ("ls-tree", "-r", "-l", "-z", "--full-tree", commit, "--", *_few(paths))
        for record in await self.names(*asked) if wanted else ():
            about, _, name = record.partition("\t")
            if name in wanted:
                mode, _, blob, size = about.split()
                found[name] = _Entry(mode, blob, "0", name, int(size) if size.isdigit() else 0)
        return found


@dataclass(frozen=True, slots=True)
class _Entry:
    mode: str
    blob: str
    stage: str
    path: str
    size: int = 0

    @classmethod
    def read(cls, record: str) -> "_Entry":
        """One record of `ls-files -u -z`: mode, blob and stage, a tab, the path."""
        about, _, path = record.partition("\t")
        mode, blob, stage = about.split(" ")
        return cls(mode, blob, stage, path)


def _was_cut(error: OutsideError) -> bool:
    """Whether git died because a file that it had mapped into memory became shorter."""
    return error.facts.get("signal") == signal.SIGBUS


def _refused(root: Path, untracked: Iterable[str]) -> dict[str, str]:
    """Untracked things that git could only take in wrongly: repositories inside, and what cannot be read."""
    refused: dict[str, str] = {}
    for path in untracked:
        full = root / path
        nested = any((root / parent / ".git").exists() for parent in Path(path).parents if parent != Path())
        if path.endswith("/") or nested:
            refused[path] = NESTED
        elif not full.is_symlink() and full.exists() and not os.access(full, os.R_OK):
            refused[path] = UNREADABLE
    return refused


def _few(paths: Sequence[str]) -> Sequence[str]:
    """Paths to ask git for; nothing, which stands for all there are, when a command line would not hold them."""
    return paths if len(paths) <= _FEW else ()


def _links(noted: Iterable[_Entry]) -> list[str]:
    """Paths that stand for another repository, by "our" side."""
    return [e.path for e in noted if e.mode == _SUBMODULE and e.stage in ("0", "2")]


def _is_filled(folder: Path) -> bool:
    return folder.is_dir() and not folder.is_symlink() and any(folder.iterdir())


def _files_in(root: Path, folder: str) -> list[str]:
    """Files and links below a folder that is no repository; none below one that is."""
    if os.path.lexists(root / folder / ".git"):
        return []
    found = ((Path(parent).relative_to(root), names + folders) for parent, folders, names in os.walk(root / folder))
    paths = (parent / name for parent, names in found for name in names)
    return [str(path) for path in paths if (root / path).is_symlink() or not (root / path).is_dir()]


def _mode_and_data(path: Path) -> tuple[str, bytes]:
    """A file or link as git would hold it; no mode: it is neither. Raises OSError."""
    try:
        kind = path.lstat().st_mode
        if stat.S_ISLNK(kind):
            return _LINK, os.fsencode(os.readlink(path))
        if not stat.S_ISREG(kind):
            return "", b""
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return "", b""
    with open(descriptor, "rb") as file:
        return ("100755" if kind & stat.S_IXUSR else "100644"), file.read()


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


async def _branch(store: Store, place: Place) -> str:
    """The branch HEAD is on; status 1 says that it is on none."""
    head = await store.git.run("symbolic-ref", "--quiet", "HEAD", place=place, ok=(0, 1))
    return head.text.removeprefix("refs/heads/") if head.status == 0 else ""


async def _also(store: Store, place: Place, head: str) -> tuple[str, ...]:
    """Commits that a removal would lose: named by the head log or a pseudo ref of this worktree and by no
    ref."""
    told: dict[str, None] = {}
    for name in _REFS:
        with suppress(OSError):
            told |= dict.fromkeys((place.git_dir / name).read_text().split())
    with suppress(OSError):
        lines = (place.git_dir / "logs" / "HEAD").read_text("utf-8", "replace").splitlines()[-_LOG_LIMIT:]
        told |= dict.fromkeys(line.split(" ")[1] for line in lines if line.count(" ") > 1)
    wanted = [oid for oid in told if oid != head and set(oid) != {"0"}]
    if not wanted:
        return ()
    listed = "".join(f"{oid}\n" for oid in wanted).encode()
    types = (await store.git.run("cat-file", "--batch-check=%(objecttype)", place=place, stdin=listed)).text
    commits = [oid for oid, kind in zip(wanted, types.splitlines(), strict=True) if kind == "commit"]
    return await _tips(store, place, commits, head) if commits else ()


async def _tips(store: Store, place: Place, commits: list[str], head: str) -> tuple[str, ...]:
    """Those of `commits` that neither `head`, nor a ref, nor another of them leads to."""
    excluded = (f"--exclude={ref}" for ref in _KEEPING_ONLY)
    args = ("rev-list", "--parents", *commits, "--not", head, *excluded, "--all", "--")
    told = (await store.git.run(*args, place=place)).text.splitlines()
    unnamed = {line.split(" ")[0] for line in told}
    parents = {parent for line in told for parent in line.split(" ")[1:]}
    return tuple(oid for oid in commits if oid in unnamed and oid not in parents)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
