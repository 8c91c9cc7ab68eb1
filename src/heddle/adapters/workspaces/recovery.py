"""Recovery refs: everything a workspace holds as one commit, and the way back.

The commit's tree is the working tree (untracked files included). Its parents are the head, a commit with the index,
the stages of a conflict, the stash entries, and commits that only this worktree still named. Its message tells which
parent is what, as JSON.
"""

import json
from dataclasses import dataclass

from heddle.core.errors import UserError
from heddle.ports import Repository, Snapshot

FOLDER = "refs/heddle/recovery/"


@dataclass(frozen=True, slots=True)
class Kept:
    """What a recovery ref brings back."""

    id: str
    base: str
    snapshot: Snapshot
    stash: tuple[str, ...]


async def keep(repository: Repository, id: str, base: str, snapshot: Snapshot, stash: tuple[str, ...]) -> str:
    """Write the recovery ref of a workspace; returns its name. The same content finds its ref again."""
    index = await repository.commit(snapshot.index, [snapshot.head], "index", as_person=False, at=0.0)
    stages = []
    if snapshot.unmerged:
        stages = [await repository.commit(snapshot.unmerged, [snapshot.head], "conflict", as_person=False, at=0.0)]
    told = {
        "id": id,
        "base": base,
        "head": snapshot.head,
        "branch": snapshot.branch,
        "index": snapshot.index,
        "unmerged": snapshot.unmerged,
        "also": snapshot.also,
        "stash": stash,
    }
    parents = list(dict.fromkeys((snapshot.head, index, *stages, *stash, *snapshot.also)))
    message = f"heddle: all that workspace {id} held\n\n{json.dumps(told)}\n"
    commit = await repository.commit(snapshot.worktree, parents, message, as_person=False, at=0.0)
    known = await repository.kept(f"{FOLDER}{id}/")
    for ref, kept in known:
        if kept == commit:
            return ref
    ref = f"{FOLDER}{id}/{len(known) + 1}"
    await repository.keep(ref, commit)
    return ref


async def load(repository: Repository, ref: str) -> Kept:
    """What a recovery ref keeps. Raises UserError(slug="no-such-recovery")."""
    known = dict(await repository.kept(FOLDER))
    if ref not in known:
        raise UserError(f"there is no recovery ref '{ref}'", slug="no-such-recovery", hint="see: heddle task show TASK")
    message = await repository.message(known[ref])
    told = json.loads(message.partition("\n\n")[2])
    snapshot = Snapshot(
        head=told["head"],
        branch=told["branch"],
        index=told["index"],
        worktree=await repository.tree_of(known[ref]),
        also=tuple(told["also"]),
        unmerged=told["unmerged"],
    )
    return Kept(told["id"], told["base"], snapshot, tuple(told["stash"]))
