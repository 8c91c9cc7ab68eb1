"""Runs inside a box: writes down what the session's tree and git directory hold, for the host to fetch.

One commit, at refs/heddle/out, leads to everything; one line of JSON says what is what. Both are data to the host.
"""

import asyncio
import json
import sys
from pathlib import Path

from heddle.adapters.git import snapshots
from heddle.adapters.git.commits import write_commit
from heddle.adapters.git.objects import Store
from heddle.adapters.git.process import Git
from heddle.adapters.git.snapshots import OUT
from heddle.core.errors import HeddleError


class OwnStore(Store):
    """A store without a nursery: nobody but its session collects garbage in a private git directory."""

    def born(self) -> tuple[Path | None, Path | None]:
        """See Store."""
        return None, None


async def read(tree: Path, base: str, size_limit: int) -> dict[str, object]:
    """Write everything down; returns what is what."""
    store = OwnStore(Git(), tree / ".git")
    place = store.place(tree / ".git", tree)
    snapshot = await snapshots.take(store, place, base=base, size_limit=size_limit)

    async def wrap(tree_id: str, *parents: str) -> str:
        return await write_commit(store, tree_id, parents, "held", as_person=False, at=0.0)

    listed = await store.git.run("log", "-g", "--format=%H", "refs/stash", "--", place=place, ok=(0, 128))
    stash = listed.text.split() if listed.status == 0 else []
    wrapped = {
        name: await wrap(tree_id) if tree_id else ""
        for name, tree_id in (
            ("index", snapshot.index),
            ("worktree", snapshot.worktree),
            ("unmerged", snapshot.unmerged),
        )
    }
    found = [snapshot.head, *filter(None, wrapped.values()), *snapshot.also, *stash]
    out = await wrap(snapshot.worktree, *dict.fromkeys(found))
    await store.git.run("update-ref", OUT, out, place=place)
    return {
        "out": out,
        "head": snapshot.head,
        "branch": spelled(snapshot.branch),
        **wrapped,
        "also": snapshot.also,
        "stash": stash,
        "refused": [(spelled(path), why) for path, why in snapshot.refused],
    }


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
        told = asyncio.run(read(Path(tree), base, int(limit)))
    except HeddleError as error:
        sys.stderr.write(f"{error.message}\n{error.facts.get('tail', '')}\n")
        return 1
    sys.stdout.write(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
