"""Runs inside a box: writes down what the session's tree and git directory hold, for the host to fetch.

One commit, at refs/heddle/out, leads to everything; one line of JSON says what is what. Both are data to the host.
"""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar, cast

from heddle.adapters.git import snapshots
from heddle.adapters.git.commands import (
    FIXED,
    LIMIT,
    PINS,
    TAIL,
    Output,
    Place,
    config_variables,
    failure,
    is_kept,
    not_started,
)
from heddle.adapters.git.commits import write_commit
from heddle.adapters.git.objects import FOLDER, Store
from heddle.adapters.git.snapshots import OUT
from heddle.core.errors import HeddleError, OutsideError
from heddle.core.snapshot import Snapshot

if TYPE_CHECKING:
    from heddle.adapters.git.process import Git

T = TypeVar("T")


class OwnGit:
    """Of Git what reading needs. Each command is waited for on the spot: an event loop takes longer to load than they do.

    `folder` is where files may lie that are open and have no name.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._env = {name: value for name, value in os.environ.items() if is_kept(name)} | dict(FIXED)

    async def run(
        self,
        *args: str,
        place: Place,
        env: Mapping[str, str] | None = None,
        config: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        ok: Sequence[int] = (0,),
    ) -> Output:
        """See Git."""
        told = self._env | config_variables({**PINS, **(config or {})}) | place.environment | dict(env or {})
        with self._unnamed(stdin) as source, self._unnamed(b"") as errors:
            try:
                process = subprocess.Popen(  # noqa: ASYNC220 - there is no loop here
                    ["git", *map(os.fsencode, args)],
                    stdin=source,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    cwd=place.work_tree,
                    env=told,
                )
            except OSError as error:
                raise not_started(args, place.work_tree, error) from error
            with process:
                out = cast(IO[bytes], process.stdout).read(LIMIT + 1)
                if len(out) > LIMIT:
                    process.kill()
                    raise OutsideError(f"git {args[0]} wrote more than {LIMIT} bytes", slug="output-limit")
            errors.seek(max(0, errors.seek(0, os.SEEK_END) - TAIL))
            output = Output(process.returncode, out, errors.read())
        if output.status not in ok:
            raise failure(args, output)
        return output

    @contextmanager
    def _unnamed(self, data: bytes) -> Iterator[IO[bytes]]:
        path = self._folder / f"stream-{os.getpid()}"
        with path.open("w+b") as file:
            path.unlink()
            file.write(data)
            file.seek(0)
            yield file


class OwnStore(Store):
    """A store without a nursery: nobody but its session collects garbage in a private git directory."""

    def __init__(self, common: Path) -> None:
        self.common, self.main = common, None
        self.folder = common / FOLDER
        self._clear()
        self.git = cast("Git", OwnGit(self.folder))
        self._scratched = 0

    def _clear(self) -> None:
        """What a reader that was killed left goes: its locks would be in the way of the next with its number. One reads at
        a time."""
        if self.folder.is_symlink():
            self.folder.unlink()
        self.folder.mkdir(exist_ok=True)
        for left in self.folder.iterdir():
            with suppress(OSError):  # the session's own, whatever it is
                left.unlink()

    def point(self, ref: str, commit: str) -> None:
        """Have a ref of ours, as git would, but for the lock: one that a kill left would keep everybody from reading."""
        path, draft = self.common / ref, self.folder / f"ref-{os.getpid()}"
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(f"{commit}\n")
        os.replace(draft, path)

    def born(self) -> tuple[Path | None, Path | None]:
        """See Store."""
        return None, None

    @asynccontextmanager
    async def scratch_index(self) -> AsyncIterator[Path]:
        """See Store."""
        self._scratched += 1
        index = self.folder / f"index-{os.getpid()}-{self._scratched}"
        try:
            yield index
        finally:
            index.unlink(missing_ok=True)


async def read(tree: Path, base: str, size_limit: int) -> dict[str, object]:
    """Write everything down, or with a base no more than makes a result; returns what is what."""
    store = OwnStore(tree / ".git")
    place = store.place(tree / ".git", tree)
    if base:
        snapshot = await snapshots.take_result(store, place, base=base, size_limit=size_limit)
        out = await _wrap(store, snapshot.worktree, snapshot.head)
        told: dict[str, object] = {"index": out, "worktree": out, "unmerged": "", "also": (), "stash": ()}
    else:
        snapshot = await snapshots.take(store, place, base="", size_limit=0)
        out, told = await _wrap_all(store, place, snapshot)
    store.point(OUT, out)
    refused = [(spelled(path), why) for path, why in snapshot.refused]
    return {"out": out, "head": snapshot.head, "branch": spelled(snapshot.branch), **told, "refused": refused}


async def _wrap_all(store: Store, place: Place, snapshot: Snapshot) -> tuple[str, dict[str, object]]:
    """The commit that leads to everything, and the commits for its parts."""
    listed = await store.git.run("log", "-g", "--format=%H", "refs/stash", "--", place=place, ok=(0, 128))
    stash = listed.text.split() if listed.status == 0 else []
    parts = {"index": snapshot.index, "worktree": snapshot.worktree, "unmerged": snapshot.unmerged}
    wrapped = {name: await _wrap(store, tree) if tree else "" for name, tree in parts.items()}
    found = [snapshot.head, *filter(None, wrapped.values()), *snapshot.also, *stash]
    out = await _wrap(store, snapshot.worktree, *dict.fromkeys(found))
    return out, {**wrapped, "also": snapshot.also, "stash": stash}


async def _wrap(store: Store, tree: str, *parents: str) -> str:
    return await write_commit(store, tree, parents, "held", as_person=False, at=0.0)


def run_through(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as done:
        return cast(T, done.value)
    raise RuntimeError("what runs inside waits for its commands on the spot")


def spelled(name: str) -> str:
    """A name of any bytes as text that JSON can hold: a character for each byte."""
    return name.encode("utf-8", "surrogateescape").decode("latin-1")


def read_back(text: str) -> str:
    """The name that was spelled. Raises ValueError for what no bytes are spelled as."""
    return text.encode("latin-1").decode("utf-8", "surrogateescape")


def main() -> int:
    """`TREE BASE LIMIT`: the answer on standard output, or why there is none on standard error."""
    tree, base, limit = sys.argv[1:]
    try:
        told = run_through(read(Path(tree), base, int(limit)))
    except HeddleError as error:
        sys.stderr.write(f"{error.message}\n{error.facts.get('tail', '')}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
