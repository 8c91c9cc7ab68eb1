"""Reading takes no lock of git's and touches no index, so polling costs nobody a failed command (C6)."""

import os
from pathlib import Path

import pytest
import pytest_asyncio

from heddle.adapters.git import GitRepository, open_repository
from heddle.adapters.git.worktrees import GitWorktrees
from repositories import Sample

pytestmark = pytest.mark.asyncio


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return Sample(tmp_path)


@pytest_asyncio.fixture
async def repository(sample: Sample) -> GitRepository:
    return await open_repository(sample.path, sample.env)


async def read_everything(repository: GitRepository, worktree: Path, first: str) -> None:
    branch = await repository.current_branch()
    head = await repository.resolve(f"refs/heads/{branch}")
    assert await repository.unsaved() == ("notes.txt",)
    await repository.tree_of(head)
    await repository.is_ancestor(first, head)
    await repository.read_file(head, "README")
    await repository.list_files(head)
    await repository.changes(first, head)
    await repository.diff(first, head)
    await repository.log(first, head)
    await repository.merge(head, first, first)
    await repository.kept("results")
    await GitWorktrees(repository.store).identify(worktree)
    snapshot = await GitWorktrees(repository.store).snapshot(worktree)
    assert snapshot.worktree != snapshot.index


async def test_reads_neither_need_nor_take_a_lock_and_leave_every_index_alone(
    repository: GitRepository, sample: Sample
) -> None:
    """The index is stale on purpose (files look changed and are not): a plain `git status` would write it anew."""
    worktree = sample.folder / "worktree"
    await GitWorktrees(repository.store).add(worktree, sample.first, "one")
    sample.commit({"a": "a\n"})
    folders = (sample.git_dir, sample.git_dir / "worktrees" / "one")
    for root in (sample.path, worktree):
        (root / "notes.txt").write_text("unsaved\n")
        os.utime(root / "README", (1, 1))
    for locked in (True, False):
        for folder in folders:
            (folder / "index.lock").unlink(missing_ok=True)
            if locked:
                (folder / "index.lock").touch()
        before = [(index.read_bytes(), index.stat().st_mtime_ns, index.stat().st_ino) for index in indexes(folders)]
        await read_everything(repository, worktree, sample.first)
        after = [(index.read_bytes(), index.stat().st_mtime_ns, index.stat().st_ino) for index in indexes(folders)]
        assert after == before
    assert not list(sample.git_dir.rglob("*.lock"))
    # The trap was armed: the person's own git does write the index here.
    sample.git("status")
    assert indexes(folders)[0].stat().st_mtime_ns != before[0][1]


def indexes(folders: tuple[Path, ...]) -> list[Path]:
    return [folder / "index" for folder in folders]
