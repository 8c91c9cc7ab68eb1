"""Recovery refs: everything a workspace holds as one commit, and the way back.

The commit's tree is the working tree (untracked files included). Its parents are the head, a commit with the index,
the stages of a conflict, the stash entries, and commits that only this worktree still named. Its message tells which
parent is what, as JSON.
"""

import json
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from heddle.adapters.workspaces import faults, plain, results
from heddle.core.errors import UserError
from heddle.ports import Repository, Snapshot, Worktrees

FOLDER = "refs/heddle/recovery/"
SAVES = "refs/heddle/saves/"


@dataclass(frozen=True, slots=True)
class Kept:
    """What a recovery ref brings back."""

    id: str
    base: str
    snapshot: Snapshot
    stash: tuple[str, ...]


async def keep_unkept(
    repository: Repository, id: str, base: str, start: str, snapshot: Snapshot, stash: tuple[str, ...]
) -> str:
    """The recovery ref for what nothing else keeps; "" when everything is kept already."""
    refs = results.refs(id)
    kept = [commit for ref, commit in await repository.kept(*refs) if ref in refs]
    heads = {commit for commit in (base, start, *kept) if commit}
    trees = {await repository.tree_of(commit) for commit in heads}
    clean = snapshot.head in heads and snapshot.worktree in trees and snapshot.index in trees
    if clean and not stash and not snapshot.also and not snapshot.unmerged:
        return ""
    return await keep(repository, id, base, snapshot, stash)


async def stash_since(worktrees: Worktrees, branch: str, before: Container[str]) -> tuple[str, ...]:
    """Stash entries that may have been made in a workspace, newest first; `before`: those older than it.

    Git has one list for all worktrees and notes only the branch, so an entry made meanwhile on a detached HEAD
    elsewhere is among them: rather too much is kept than too little.
    """
    found = [entry for on in dict.fromkeys(("", branch)) for entry in await worktrees.stash_entries(on)]
    return tuple(entry for entry in dict.fromkeys(found) if entry not in before)


async def keep(repository: Repository, id: str, base: str, snapshot: Snapshot, stash: tuple[str, ...]) -> str:
    """Write the recovery ref of a workspace; returns its name. The same content finds its ref again."""
    return await _named(repository, id, await _commit(repository, id, base, snapshot, stash))


async def save(repository: Repository, id: str, base: str, snapshot: Snapshot, stash: tuple[str, ...]) -> None:
    """Keep what a workspace holds now in the one ref of its saves, which the next one takes over."""
    await repository.keep(f"{SAVES}{id}", await _commit(repository, id, base, snapshot, stash))


async def keep_saved(repository: Repository, id: str) -> str:
    """A recovery ref for what was saved last; "" when nothing was."""
    commit = dict(await repository.kept(f"{SAVES}{id}")).get(f"{SAVES}{id}", "")
    return await _named(repository, id, commit) if commit else ""


async def drop_saved(repository: Repository, id: str) -> None:
    """What was saved is kept elsewhere, or nobody's work any more."""
    await repository.forget(f"{SAVES}{id}")


async def _commit(repository: Repository, id: str, base: str, snapshot: Snapshot, stash: tuple[str, ...]) -> str:
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
    faults.step("recovery-made")
    return commit


async def _named(repository: Repository, id: str, commit: str) -> str:
    """The recovery ref of a commit: the one that it has, else the next."""
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
    try:
        told = json.loads(message.partition("\n\n")[2])
    except ValueError:
        raise UserError(
            f"'{ref}' is no recovery ref of this version", slug="no-such-recovery", hint="see: heddle task show TASK"
        ) from None
    snapshot = Snapshot(
        head=told["head"],
        branch=told["branch"],
        index=told["index"],
        worktree=await repository.tree_of(known[ref]),
        also=tuple(told["also"]),
        unmerged=told["unmerged"],
    )
    return Kept(told["id"], told["base"], snapshot, tuple(told["stash"]))


async def restore(repository: Repository, worktrees: Worktrees, ref: str, path: Path) -> None:
    """Bring back what a recovery ref keeps as a plain worktree at `path`.

    Stash entries become refs/heddle/restored/<id>/stash-<n>: the person's own list stays as it is.
    Raises UserError (slug no-such-recovery, path-taken).
    """
    kept = await load(repository, ref)
    with faults.outside(kept.id):
        for number, stash in enumerate(kept.stash, start=1):
            await repository.keep(f"refs/heddle/restored/{kept.id}/stash-{number}", stash)
        faults.step("stash-kept")
        await plain.lay_out(worktrees, path, "restored", kept.id, kept.snapshot)
