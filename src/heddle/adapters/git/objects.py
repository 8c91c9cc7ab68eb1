"""Where new objects are born, so that no gc or prune can take them before a ref keeps them (W5).

Git prunes what no ref names; `prune --expire=now` takes even what was written a moment ago. So everything
Heddle writes goes to a nursery next to the repository's objects, which git's own housekeeping does not know.
Only when a ref is about to name a commit is all that it needs put into the repository, as one pack that a
`.keep` file protects until the ref stands. Throw-away objects never reach the repository at all.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

from heddle.adapters.git.process import Git, Output, Place
from heddle.core.errors import Bug

FOLDER = "heddle"
"""Our folder in the common git directory: the nursery, copied indexes, worktrees in the making."""

_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_KEEP = "heddle"


class Store:
    """A repository's objects and refs, without any checkout.

    `common` is its common git directory, `main` the main checkout where that is known.
    """

    def __init__(self, git: Git, common: Path, main: Path | None = None) -> None:
        self.git = git
        self.common = common
        self.main = main
        self.folder = common / FOLDER
        self.nursery = self.folder / "objects"
        self.nursery.mkdir(parents=True, exist_ok=True)
        self.refs = asyncio.Lock()

    def place(self, git_dir: Path | None = None, work_tree: Path | None = None, index: Path | None = None) -> Place:
        """A place that writes into the nursery and reads both; by default one without a checkout.

        The common directory stands in for the work tree then: no .gitattributes of a checkout, dirty or not,
        can colour an answer about commits.
        """
        objects, alternate = self.born()
        return Place(git_dir or self.common, work_tree or self.common, index, objects, alternate)

    def born(self) -> tuple[Path | None, Path | None]:
        """Where new objects go and where the others are."""
        return self.nursery, self.common / "objects"

    def public(self, git_dir: Path | None = None, work_tree: Path | None = None) -> Place:
        """A place as any other git has it: without the nursery."""
        return Place(git_dir or self.common, work_tree or self.common)

    async def run(self, *args: str, stdin: bytes = b"", ok: tuple[int, ...] = (0,)) -> Output:
        """A command on objects and refs alone."""
        return await self.git.run(*args, place=self.place(), stdin=stdin, ok=ok)

    @asynccontextmanager
    async def scratch_index(self) -> AsyncIterator[Path]:
        """The path of an index file of our own that does not exist yet; removed afterwards."""
        with TemporaryDirectory(prefix="index-", dir=self.folder) as folder:
            yield Path(folder) / "index"

    async def ref(self, name: str) -> str:
        """The object a full ref name points at; "" when there is no such ref."""
        found = await self.run("for-each-ref", "--format=%(objectname)%00%(refname)", name)
        for line in found.text.splitlines():
            oid, _, refname = line.partition("\0")
            if refname == name:
                return oid
        return ""

    @asynccontextmanager
    async def published(self, commit: str) -> AsyncIterator[None]:
        """Put all that `commit` needs into the repository; inside the block a ref can be pointed at it
        safely.

        What other refs hold is not packed again, so none of ours may be deleted meanwhile: `refs` guards
        that.
        """
        async with self.refs:
            kept = await self._publish(commit)
            try:
                yield
            finally:
                for path in kept:
                    path.unlink(missing_ok=True)

    async def _publish(self, commit: str) -> list[Path]:
        await self._require_commit(commit)
        with TemporaryFile(dir=self.folder) as listed, TemporaryFile(dir=self.folder) as pack:
            args = ("rev-list", "--objects", "--ignore-missing", require_id(commit), "--not", "--all", "--")
            await self.git.run(*args, place=self.place(), stdout=listed)
            if listed.seek(0, os.SEEK_END) == 0:
                return []
            listed.seek(0)
            packing = ("pack-objects", "--stdout", "-q", "--delta-base-offset")
            await self.git.run(*packing, place=self.place(), stdin=listed, stdout=pack)
            pack.seek(0)
            taking = ("index-pack", "--stdin", f"--keep={_KEEP}")
            said = await self.git.run(*taking, place=self.public(), stdin=pack)
        name = said.text.split("\t")[-1].strip()
        keep = self.common / "objects" / "pack" / f"pack-{name}.keep"
        return [keep] if _is_ours(keep) else []

    async def _require_commit(self, commit: str) -> None:
        """Raise OutsideError unless the commit is there: `--ignore-missing` is for broken refs of others
        only."""
        await self.run("cat-file", "-e", f"{commit}^{{commit}}")


def require_id(value: str) -> str:
    """A full object id. Raises Bug for anything else: an option or a revision must not come this far."""
    if not _ID.fullmatch(value):
        raise Bug(f"'{value!a}' is not a full object id", slug="not-an-object-id")
    return value


def _is_ours(keep: Path) -> bool:
    try:
        return keep.read_text().strip() == _KEEP
    except OSError:
        return False
