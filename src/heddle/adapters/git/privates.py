"""Private git directories: made by hand from a few files, read inside a box, fetched with every check git has."""

import asyncio
import os
import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from heddle.adapters.git.composing import Known, compose
from heddle.adapters.git.inside import read_back
from heddle.adapters.git.layers import AS_COMMITTED, difference, lay_over
from heddle.adapters.git.objects import Store, require_id
from heddle.adapters.git.snapshots import OUT
from heddle.core.errors import Bug, OutsideError
from heddle.core.snapshot import Snapshot
from heddle.ports import Entry

MTIME = 1_000_000_000
"""When every file of a base tree was last changed: long ago, so that git never takes it for a change of just now."""

CHECKED = {
    "protocol.file.allow": "always",
    "transfer.fsckObjects": "true",
    "fetch.recurseSubmodules": "false",
    "fetch.writeCommitGraph": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
}
"""How a session's objects are fetched: as a stranger's."""

READER = """
import sys
sys.path.append(sys.argv.pop(1))
from heddle.adapters.git.inside import main
sys.exit(main())
"""
_SOURCE = str(Path(__file__).resolve().parents[3])

TOLD_LIMIT = 4_000_000
OBJECT_MB = 512
"""What one object of a session's may take of the host's memory. Git itself never loads larger files whole, and a commit
or a tree of that size is an attack."""

_BRANCH = re.compile(r"(?!-)(?!.*(?:\.\.|@\{|//))[^\x00-\x20\x7f~^:?*\[\\]{1,250}")


class Told(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the reader inside says. None of it is believed before it is checked. Names are spelled (see inside)."""

    out: str
    head: str
    branch: str
    index: str
    worktree: str
    unmerged: str
    also: tuple[str, ...]
    stash: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]


class GitPrivates:
    """The PrivateGits port over one repository. `object_mb`: see OBJECT_MB."""

    def __init__(self, store: Store, object_mb: int = OBJECT_MB) -> None:
        self._store = store
        self._bounded = {"GIT_ALLOC_LIMIT": f"{object_mb}m"}
        self._ignoring: tuple[Path, Path] | None = None
        self._known: Known = {}

    @property
    def shared(self) -> tuple[str, ...]:
        """See the port."""
        objects = self._store.common / "objects"
        return tuple(dict.fromkeys((str(objects), str(self._store.nursery), *_alternates(objects))))

    async def check_out(self, commit: str, tree: Path, index: Path) -> None:
        """See the port."""
        place = self._store.place(work_tree=tree, index=index)
        await self._store.git.run("read-tree", "-m", "-u", require_id(commit), place=place, config=AS_COMMITTED)

    async def lay_out(self, commit: str, tree: Path, index: Path) -> None:
        """See the port."""
        await self.check_out(commit, tree, index)
        await self._settle(tree, index)

    async def differing(self, old: str, new: str) -> tuple[str, ...]:
        """See the port."""
        asked = ("diff-tree", "-r", "-z", "--name-only", "--no-renames", "--end-of-options")
        return tuple((await self._store.run(*asked, require_id(old), require_id(new), "--")).fields)

    async def distance(self, old: str, new: str) -> int | None:
        """See the port."""
        found = await difference(self._store, old, new)
        return found.size if found.is_shallow else None

    async def lay_over(self, old: str, below: Path, new: str, tree: Path, index: Path) -> None:
        """See the port."""
        found = await difference(self._store, old, new)
        await lay_over(self._store, old, new, found, below, tree, index)
        await self._settle(tree, index)

    async def _settle(self, tree: Path, index: Path) -> None:
        """Times that git will not doubt, and an index that knows them. What is not in `tree` stays as it was known."""
        await asyncio.to_thread(_settle_times, tree)
        place = self._store.place(work_tree=tree, index=index)
        await self._store.git.run("update-index", "-q", "--refresh", place=place, config=AS_COMMITTED, ok=(0, 1))

    async def ignores(self) -> bytes:
        """See the port. Where the files are is asked once; what they say is read each time."""
        if self._ignoring is None:
            asked = ("config", "--type=path", "--get", "core.excludesFile")
            told = (await self._store.run(*asked, ok=(0, 1))).text
            config = self._store.git.variable("XDG_CONFIG_HOME") or f"{self._store.git.variable('HOME')}/.config"
            self._ignoring = (Path(told or f"{config}/git/ignore"), self._store.common / "info" / "exclude")
        return b"".join(path.read_bytes() + b"\n" for path in self._ignoring if path.is_file())

    def make(self, path: Path, commit: str, shared: Sequence[str], ignores: bytes) -> None:
        """See the port."""
        path.mkdir()
        for folder in ("objects", "objects/info", "refs", "info", "hooks"):
            (path / folder).mkdir()
        ignorecase = "\tignorecase = true\n" if sys.platform == "darwin" else ""
        texts = {
            "HEAD": f"{require_id(commit)}\n",
            "config": CONFIG + ignorecase,
            "commondir": ".\n",
            "objects/info/alternates": "".join(f"{folder}\n" for folder in shared),
        }
        for name, text in texts.items():
            (path / name).write_text(text)
        (path / "info" / "exclude").write_bytes(ignores)

    async def compose(self, commit: str, entries: Iterable[Entry]) -> str:
        """See the port."""
        return await compose(self._store, commit, entries, self._known)

    def reader(self, tree: str, base: str, size_limit: int) -> tuple[str, ...]:
        """See the port."""
        return (sys.executable, "-I", "-S", "-c", READER, _SOURCE, tree, base, str(size_limit))

    async def take_over(
        self, told: bytes, tree: str, upload_pack: Sequence[str], *, base: str, size_limit: int
    ) -> tuple[Snapshot, tuple[str, ...]]:
        """See the port."""
        said = _checked(told)
        argv = ("fetch", "--no-tags", "--no-write-fetch-head", f"--upload-pack={shlex.join(upload_pack)}")
        # A branch of that name could shadow the ref; the full name with no destination can only mean the one.
        args = (*argv, "--end-of-options", f"{tree}/.git", OUT)
        await self._store.git.run(*args, place=self._store.place(), config=CHECKED, env=self._bounded)
        parts = [id for id in (said.index, said.worktree, said.unmerged) if id]
        trees = await self._trees((said.out, said.head, *parts, *said.also, *said.stash), parts)
        snapshot = Snapshot(
            head=said.head,
            branch=said.branch if _BRANCH.fullmatch(said.branch) else "",
            index=trees[said.index],
            worktree=trees[said.worktree],
            refused=said.refused,
            also=said.also,
            unmerged=trees[said.unmerged] if said.unmerged else "",
        )
        if size_limit:
            await self._require_small(base, snapshot.worktree, size_limit)
        return snapshot, said.stash

    async def _trees(self, commits: Sequence[str], parts: Sequence[str]) -> dict[str, str]:
        """The trees of `parts`, some of `commits`, all of which must be here."""
        listed = "".join(f"{asked}\n" for asked in (*commits, *(f"{id}^{{tree}}" for id in parts))).encode()
        told = await self._store.run("cat-file", "--batch-check=%(objecttype) %(objectname)", stdin=listed)
        found = told.text.split("\n")
        if any(not line.startswith("commit ") for line in found[: len(commits)]):
            raise _broken("it names commits that it does not hand over")
        return {id: require_id(line.partition(" ")[2]) for id, line in zip(parts, found[len(commits) :], strict=True)}

    async def _require_small(self, base: str, tree: str, limit: int) -> None:
        """No file has grown beyond the limit, whatever was judged inside: sizes alone are read here."""
        told = await self._store.run("diff-tree", "-r", "-z", "--no-renames", require_id(base), tree)
        pairs = [(words[2], words[3]) for words in (field.split(" ") for field in told.fields[::2])]
        sizes = await self._sizes({id for pair in pairs for id in pair})
        grown = max((sizes[new] for old, new in pairs if sizes[new] > limit >= sizes[old]), default=0)
        if grown:
            raise OutsideError(
                f"the result holds a file of {grown} bytes; the limit is {limit}",
                slug="result-too-large",
                hint="raise workspace.max_file_mb if it is meant to be there",
            )

    async def _sizes(self, ids: set[str]) -> dict[str, int]:
        """Bytes of each file; what is no file (absent, or a submodule) has none."""
        order = sorted(ids)
        listed = "".join(f"{id}\n" for id in order).encode()
        told = await self._store.run("cat-file", "--batch-check=%(objecttype) %(objectsize)", stdin=listed)
        sizes = (line.partition(" ") for line in told.text.splitlines())
        return {id: int(size) if kind == "blob" else 0 for id, (kind, _, size) in zip(order, sizes, strict=True)}


CONFIG = """[core]
\trepositoryformatversion = 0
\tbare = false
\tfilemode = true
\tlogallrefupdates = true
[gc]
\tauto = 0
\twriteCommitGraph = false
[maintenance]
\tauto = false
"""


def _settle_times(tree: Path) -> None:
    for folder, names, files in os.walk(tree):
        for name in (*files, *(name for name in names if os.path.islink(os.path.join(folder, name)))):
            os.utime(os.path.join(folder, name), (MTIME, MTIME), follow_symlinks=False)


def _alternates(objects: Path) -> list[str]:
    """Where the repository itself borrows objects, followed to the end."""
    found: list[str] = []
    pending = [objects]
    while pending:
        here = pending.pop()
        told = here / "info" / "alternates"
        lines = told.read_text(errors="surrogateescape").splitlines() if told.is_file() else []
        for line in filter(None, lines):
            path = os.path.normpath(here / line)
            if path not in found and not line.startswith("#"):
                found.append(path)
                pending.append(Path(path))
    return found


def _checked(told: bytes) -> Told:
    if len(told) > TOLD_LIMIT:
        raise _broken("it tells more than can be")
    try:
        said = msgspec.json.decode(told, type=Told)
        for id in (said.out, said.head, said.index, said.worktree, *said.also, *said.stash):
            require_id(id)
        if said.unmerged:
            require_id(said.unmerged)
        refused = tuple((read_back(path), why) for path, why in said.refused)
        said = msgspec.structs.replace(said, branch=read_back(said.branch), refused=refused)
    except (msgspec.DecodeError, ValueError, Bug) as error:
        raise _broken(str(error)) from error
    return said


def _broken(why: str) -> OutsideError:
    return OutsideError(
        f"the session's own git directory cannot be read: {why}",
        slug="session-git-broken",
        hint="the attempt fails and a new one gets a new workspace",
    )
