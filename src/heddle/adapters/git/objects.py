"""Where new objects are born, so that no gc or prune can take them before a ref keeps them (W5).

Git prunes what no ref names; `prune --expire=now` takes even what was written a moment ago. So everything
Heddle writes goes to a nursery next to the repository's objects, which git's own housekeeping does not know.
Only when a ref is about to name a commit is all that it needs put into the repository, as one pack that a
`.keep` file protects until the ref stands. Throw-away objects never reach the repository at all.
"""

import errno
import os
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from heddle.adapters.git.commands import Output, Place
from heddle.core.errors import Bug, OutsideError

if TYPE_CHECKING:
    from heddle.adapters.git.process import Git

FOLDER = "heddle"
"""Our folder in the common git directory: the nursery, copied indexes, worktrees in the making."""

SWEEP_S = 14 * 86_400.0
"""Age at which an object that nobody kept goes: the same that git gives its own."""

_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_KEEP = "heddle"
_KEPT = f"{_KEEP}\n"
"""What our `.keep` files say, as git writes them."""


class Store:
    """A repository's objects and refs, without any checkout.

    `common` is its common git directory, `main` the main checkout where that is known.
    """

    def __init__(self, git: "Git", common: Path, main: Path | None = None) -> None:
        self.git = git
        self.common = common
        self.main = main
        self.folder = common / FOLDER
        self.nursery = self.folder / "objects"
        self.nursery.mkdir(parents=True, exist_ok=True)
        import asyncio  # not above, as tempfile: the reader inside a box starts anew for every look, and needs neither

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

    def sweep(self, older_than_s: float = SWEEP_S) -> None:
        """Delete what was born in the nursery, and left by crashes around it, that long ago: no ref ever wanted it.

        A pack whose `.keep` file a crash left becomes one like all others.
        """
        limit = time.time() - older_than_s
        ours = [Path(folder, name) for folder, _, names in os.walk(self.folder) for name in names]
        for path in (*ours, *(self.common / "objects" / "pack").glob("pack-*.keep")):
            with suppress(OSError):
                if path.lstat().st_mtime < limit and (path.suffix != ".keep" or path.read_bytes() == _KEPT.encode()):
                    path.unlink()

    @asynccontextmanager
    async def scratch_index(self) -> AsyncIterator[Path]:
        """The path of an index file of our own that does not exist yet; removed afterwards."""
        from tempfile import TemporaryDirectory

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
        from tempfile import TemporaryFile

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
            said = await self.git.run(*taking, place=self.place(), stdin=pack)
        return [self._hand_over(said.text.split()[-1])]

    def _hand_over(self, name: str) -> Path:
        """Move a pack from the nursery into the repository, its index last: that is what makes it one.

        It is built aside because a prune deletes the unfinished packs of others, and its name is new: a pack that
        was there before would be deleted, `.keep` and all, by a gc that had listed it already, while that gc leaves
        out of its own pack whatever a `.keep` protects. Returns its `.keep` file.
        """
        source, target = self.nursery / "pack", self.common / "objects" / "pack"
        target.mkdir(exist_ok=True)
        fresh = os.urandom(len(name) // 2).hex()
        try:
            (target / f"pack-{fresh}.keep").write_text(_KEPT)
            for suffix in (".pack", ".rev", ".idx"):
                if (built := source / f"pack-{name}{suffix}").exists():
                    built.replace(target / f"pack-{fresh}{suffix}")
        except OSError as error:
            raise OutsideError(
                f"a pack could not be put into the repository: {error.strerror}",
                slug="disk-full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "publish-failed",
                hint="see whether the repository's object folder can be written to and has room",
                program="git",
                tail=str(error),
            ) from error
        (source / f"pack-{name}.keep").unlink(missing_ok=True)
        return target / f"pack-{fresh}.keep"

    async def _require_commit(self, commit: str) -> None:
        """Raise OutsideError unless the commit is there: `--ignore-missing` is for broken refs of others
        only."""
        await self.run("cat-file", "-e", f"{commit}^{{commit}}")


def require_id(value: str) -> str:
    """A full object id. Raises Bug for anything else: an option or a revision must not come this far."""
    if not _ID.fullmatch(value):
        raise Bug(f"'{value!a}' is not a full object id", slug="not-an-object-id")
    return value
