"""Worktrees that no other git command can trip over, and proof of whose they are."""

import asyncio
import itertools
from pathlib import Path

import pytest
import pytest_asyncio

from heddle.adapters.git import open_repository, worktrees
from heddle.adapters.git.worktrees import GitWorktrees
from heddle.core.errors import Bug, OutsideError, Refused, UserError
from repositories import Sample, files_below

pytestmark = pytest.mark.asyncio


class Crash(BaseException):
    """Stands for kill -9 of the daemon at a step."""


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return Sample(tmp_path)


@pytest_asyncio.fixture
async def trees(sample: Sample) -> GitWorktrees:
    return GitWorktrees((await open_repository(sample.path, sample.env)).store)


async def test_a_worktree_is_one_for_every_git(trees: GitWorktrees, sample: Sample) -> None:
    path = sample.folder / "größe and space" / "t1"
    owned = await trees.add(path, sample.first, "t1", "heddle/t1")
    assert files_below(path) == files_below(sample.path)
    assert sample.git("status", "--porcelain", "--branch", cwd=path) == "## heddle/t1"
    listing = sample.git("worktree", "list", "--porcelain")
    assert f"worktree {path}\nHEAD {sample.first}\nbranch refs/heads/heddle/t1\nlocked" in listing
    sample.git("worktree", "prune", "--expire=now")
    sample.write({"new": "n\n"}, path)
    sample.git("add", "new", cwd=path)
    sample.git("commit", "-q", "-m", "new", cwd=path)
    assert await trees.identify(path) == owned
    assert sample.git("fsck", "--no-dangling") == ""


async def test_a_detached_worktree_needs_no_branch(trees: GitWorktrees, sample: Sample) -> None:
    second = sample.commit({"a": "a\n"})
    path = sample.folder / "t1"
    await trees.add(path, sample.first, "t1")
    assert sample.git("status", "--porcelain", "--branch", cwd=path) == "## HEAD (no branch)"
    assert sample.git("rev-parse", "HEAD", cwd=path) == sample.first != second
    assert sample.git("branch", "--format=%(refname)") == "refs/heads/main"


async def test_a_commit_that_only_heddle_knows_can_be_checked_out(trees: GitWorktrees, sample: Sample) -> None:
    repository = await open_repository(sample.path, sample.env)
    tree = await repository.tree_of(sample.aside({"new": "n\n"}))
    commit = await repository.commit(tree, (sample.first,), "composed", as_person=False)
    await trees.add(sample.folder / "t1", commit, "t1")
    sample.git("gc", "-q", "--prune=now")
    assert sample.git("show", "HEAD:new", cwd=sample.folder / "t1") == "n"


async def test_eighty_at_once_beside_other_git_commands_make_no_error(trees: GitWorktrees, sample: Sample) -> None:
    remote = sample.folder / "remote"
    sample.git("clone", "-q", ".", str(remote))
    for number in range(10):
        sample.git("branch", f"b{number}", cwd=remote)
    sample.git("remote", "add", "far", str(remote))
    done, errors = asyncio.Event(), []
    numbers = itertools.count()

    async def traffic(*commands: str) -> None:
        while not done.is_set():
            for command in commands:
                words = command.replace("N", str(next(numbers))).split()
                ran = await asyncio.create_subprocess_exec(
                    "git", *words, cwd=sample.path, env=sample.env, stderr=asyncio.subprocess.PIPE, stdout=-3
                )
                said = (await ran.communicate())[1]
                if ran.returncode:
                    errors.append((command, said))

    busy = [
        asyncio.ensure_future(traffic("fetch -q --prune far", "worktree prune")),
        asyncio.ensure_future(traffic("branch tmpN", "worktree list --porcelain", "for-each-ref")),
    ]
    try:
        owned = await asyncio.gather(
            *(
                trees.add(sample.folder / "w" / f"t{number}", sample.first, f"t{number}", f"heddle/t{number}")
                for number in range(80)
            )
        )
    finally:
        done.set()
        await asyncio.gather(*busy)
    assert errors == []
    assert len({one.gitdir for one in owned}) == len({one.inode for one in owned}) == 80
    listing = sample.git("worktree", "list").split("\n")
    assert len(listing) == 81 and sum(line.endswith("locked") for line in listing) == 80
    assert sample.git("fsck", "--no-dangling") == ""
    dropped = await asyncio.gather(
        *(trees.drop_admin(sample.folder / "w" / f"t{number}", f"t{number}") for number in range(80))
    )
    assert all(dropped) and len(sample.git("worktree", "list").split("\n")) == 1


async def test_git_may_remove_the_empty_folder_of_worktrees_while_one_is_published(
    trees: GitWorktrees, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, pruned = Path.rename, []

    def prune_first(self: Path, target: Path) -> Path:
        if target.parent.name == "worktrees" and not pruned:
            pruned.append(target)
            sample.git("worktree", "prune")
            assert not target.parent.exists(), "git found nothing to remove"
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", prune_first)
    await trees.add(sample.folder / "t1", sample.first, "t1")
    assert pruned
    assert (sample.folder / "t1" / ".git").is_file()


async def test_asked_again_it_is_the_same_one(trees: GitWorktrees, sample: Sample) -> None:
    path = sample.folder / "t1"
    owned = await trees.add(path, sample.first, "t1", "heddle/t1")
    sample.write({"mine": "m\n"}, path)
    assert await trees.add(path, sample.first, "t1", "heddle/t1") == owned
    assert (path / "mine").read_text() == "m\n"


@pytest.mark.parametrize("where", ["drafted", "admin"])
async def test_a_crash_while_making_it_leaves_all_or_nothing(
    trees: GitWorktrees, sample: Sample, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sample.folder / "t1"

    def crash(name: str) -> None:
        if name == where:
            raise Crash

    monkeypatch.setattr(worktrees, "step", crash)
    with pytest.raises(Crash):
        await trees.add(path, sample.first, "t1", "heddle/t1")
    assert not path.exists() and await trees.identify(path) is None
    sample.git("worktree", "list")
    sample.git("worktree", "prune", "--expire=now")
    sample.git("gc", "-q", "--prune=now")
    monkeypatch.setattr(worktrees, "step", lambda name: None)
    again = GitWorktrees((await open_repository(sample.path, sample.env)).store)
    assert await again.add(path, sample.first, "t1", "heddle/t1") == await again.identify(path)
    assert sample.git("status", "--porcelain", cwd=path) == ""
    assert [p.name for p in sample.folder.iterdir() if "t1" in p.name] == ["t1"]
    assert [p.name for p in (sample.git_dir / "heddle").iterdir() if "t1" in p.name] == []


async def test_nothing_that_is_there_is_taken(trees: GitWorktrees, sample: Sample) -> None:
    await trees.add(sample.folder / "t1", sample.first, "t1", "heddle/t1")
    second = sample.aside({"a": "a\n"})
    (sample.folder / "occupied").mkdir()
    (sample.folder / "dangling").symlink_to("nowhere")
    cases = (
        ("occupied", sample.first, "t2", None, "path-taken"),
        ("dangling", sample.first, "t2", None, "path-taken"),
        ("t1", sample.first, "t2", None, "path-taken"),
        ("sample", sample.first, "t2", None, "path-taken"),
        ("t2", sample.first, "t1", None, "name-taken"),
        ("t2", second, "t2", "heddle/t1", "branch-taken"),
    )
    for folder, commit, name, branch, slug in cases:
        with pytest.raises(UserError) as caught:
            await trees.add(sample.folder / folder, commit, name, branch)
        assert caught.value.slug == slug, folder
    for name in ("", "../x", "A", "a/b", "-x", "a b"):
        with pytest.raises(Bug):
            await trees.add(sample.folder / "t2", sample.first, name)
    with pytest.raises(OutsideError):
        await trees.add(sample.folder / "t2", sample.first, "t2", "bad..name")
    assert not (sample.folder / "t2").exists()


# ------------------------------------------------------------------------------------------------- whose


async def test_only_a_pair_that_agrees_is_identified(trees: GitWorktrees, sample: Sample) -> None:
    path, other = sample.folder / "t1", sample.folder / "t2"
    await trees.add(path, sample.first, "t1")
    await trees.add(other, sample.first, "t2")
    good = (path / ".git").read_bytes()
    stranger = Sample(sample.folder, "stranger")
    stranger.git("worktree", "add", "-q", "--detach", str(sample.folder / "theirs"))
    link = sample.folder / "link"
    link.symlink_to(path)
    for nobody in (sample.path, sample.folder, sample.folder / "gone", sample.folder / "theirs", link):
        assert await trees.identify(nobody) is None, nobody
    for forged in (b"", b"gitdir: /etc\n", b"nonsense", (other / ".git").read_bytes(), good + b"more\n", b"\xff"):
        (path / ".git").write_bytes(forged)
        assert await trees.identify(path) is None, forged
    (path / ".git").write_bytes(good)
    assert await trees.identify(path) is not None
    (sample.git_dir / "worktrees" / "t1" / "commondir").write_text("/somewhere\n")
    assert await trees.identify(path) is None


async def test_another_directory_at_the_same_path_is_another_one(trees: GitWorktrees, sample: Sample) -> None:
    path = sample.folder / "t1"
    owned = await trees.add(path, sample.first, "t1")
    path.rename(sample.folder / "moved")
    assert await trees.identify(path) is None and await trees.identify(sample.folder / "moved") is None
    path.mkdir()
    (path / ".git").write_bytes((sample.folder / "moved" / ".git").read_bytes())
    found = await trees.identify(path)
    assert found is not None and found != owned


async def test_only_the_admin_folder_of_that_path_is_dropped(trees: GitWorktrees, sample: Sample) -> None:
    path = sample.folder / "t1"
    await trees.add(path, sample.first, "t1")
    await trees.add(sample.folder / "t2", sample.first, "t2")
    assert not await trees.drop_admin(path, "t2") and not await trees.drop_admin(path, "t3")
    assert await trees.drop_admin(path, "t1") and not await trees.drop_admin(path, "t1")
    assert path.is_dir() and await trees.identify(sample.folder / "t2") is not None
    assert sorted(p.name for p in (sample.git_dir / "worktrees").iterdir()) == ["t2"]


async def test_a_moved_worktree_is_repaired_and_a_foreign_one_is_not(trees: GitWorktrees, sample: Sample) -> None:
    path, moved = sample.folder / "t1", sample.folder / "moved"
    await trees.add(path, sample.first, "t1")
    await trees.add(sample.folder / "t2", sample.first, "t2")
    path.rename(moved)
    await trees.repair_admin(moved, "t1")
    assert await trees.identify(moved) is not None and sample.git("status", "--porcelain", cwd=moved) == ""
    (moved / ".git").unlink()
    await trees.repair_admin(moved, "t1")
    assert await trees.identify(moved) is not None
    with pytest.raises(Refused) as caught:
        await trees.repair_admin(moved, "t2")
    assert caught.value.slug == "not-ours"
    with pytest.raises(UserError):
        await trees.repair_admin(moved, "t3")


# -------------------------------------------------------------------------------------------------- stash


async def test_stash_entries_are_told_by_the_branch_they_were_made_on(trees: GitWorktrees, sample: Sample) -> None:
    path, loose = sample.folder / "t1", sample.folder / "t2"
    await trees.add(path, sample.first, "t1", "heddle/t1")
    await trees.add(loose, sample.first, "t2")
    assert await trees.stash_entries("heddle/t1") == ()
    entries: list[str] = []
    for where, options in ((sample.path, ()), (path, ("-m", "On main: sly")), (loose, ()), (path, ())):
        sample.write({"notes.txt": f"{where} {options}\n"}, where)
        sample.git("stash", "push", "-q", *options, cwd=where)
        entries.append(sample.git("rev-parse", "refs/stash"))
    assert await trees.stash_entries("heddle/t1") == (entries[3], entries[1])
    assert await trees.stash_entries("main") == (entries[0],)
    assert await trees.stash_entries("") == (entries[2],)
    assert await trees.stash_entries("heddle") == ()
