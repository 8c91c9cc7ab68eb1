"""What a workspace holds against its base, and the commit that keeps it."""

from heddle.adapters.workspaces import faults
from heddle.ports import Changes, Collected, Repository, Snapshot


def refs(id: str) -> tuple[str, str]:
    """The refs of a workspace's result and of the agent's own commits."""
    return f"refs/heddle/results/{id}", f"refs/heddle/own/{id}"


async def changes(repository: Repository, base: str, snapshot: Snapshot) -> Changes:
    """What `snapshot`, taken by the rules of a result, holds against `base`."""
    return Changes(await repository.changes(base, snapshot.worktree), snapshot.refused, snapshot.worktree)


async def collect(repository: Repository, id: str, base: str, snapshot: Snapshot, message: str) -> Collected:
    """Keep the snapshot's tree as one commit on `base`; an unchanged tree finds its commit again."""
    found = await changes(repository, base, snapshot)
    result, own = refs(id)
    commit = dict(await repository.kept(result)).get(result, "")
    if not commit or await repository.tree_of(commit) != snapshot.worktree:
        commit = await repository.commit(snapshot.worktree, [base], message, as_person=False)
        faults.step("committed")
        await repository.keep(result, commit)
        faults.step("result-kept")
    await repository.keep(own, snapshot.head)
    faults.step("own-kept")
    return Collected(commit, snapshot.worktree, found, snapshot.head)
