"""Git's housekeeping in the middle of our work loses nothing (W5)."""

import asyncio
import os
from pathlib import Path

import pytest
import pytest_asyncio

from heddle.adapters.git import GitRepository, open_repository
from heddle.core.errors import OutsideError
from heddle.ports import Advanced, Merged
from repositories import Sample, numbered

pytestmark = pytest.mark.asyncio


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return Sample(tmp_path)


@pytest_asyncio.fixture
async def repository(sample: Sample) -> GitRepository:
    return await open_repository(sample.path, sample.env)


def prune(sample: Sample) -> None:
    """The harshest housekeeping there is: whatever no ref names goes, however young."""
    sample.git("reflog", "expire", "--expire=now", "--all")
    sample.git("gc", "-q", "--prune=now")
    sample.git("prune", "--expire=now")


def whole(sample: Sample) -> bool:
    return "missing" not in sample.git("fsck", "--full", "--no-dangling", "--connectivity-only")


async def test_pruning_between_any_two_steps_loses_no_object(repository: GitRepository, sample: Sample) -> None:
    ours = sample.commit({"src/app.py": numbered(20, l2="ours")})
    side = sample.aside({"src/app.py": numbered(20, l18="theirs"), "new": "n\n"}, sample.first)
    await repository.keep("refs/heddle/results/1", side)
    prune(sample)
    merged = await repository.merge(ours, side, sample.first)
    assert isinstance(merged, Merged)
    prune(sample)
    landing = await repository.commit(merged.tree, (ours,), "landing", as_person=True)
    prune(sample)
    await repository.keep("refs/heddle/queue/1", landing)
    prune(sample)
    await repository.forget("refs/heddle/results/1")
    prune(sample)
    assert await repository.advance("main", ours, landing, {"refs/heddle/landed/1": landing}) == Advanced("updated")
    await repository.forget("refs/heddle/queue/1")
    prune(sample)
    assert whole(sample) and sample.git("show", "main:new") == "n"
    assert not list((sample.git_dir / "objects" / "pack").glob("*.keep"))


async def test_housekeeping_beside_many_commits_loses_no_object(repository: GitRepository, sample: Sample) -> None:
    """Two clean-ups run without a pause while results are committed and kept, and the person commits."""
    done = asyncio.Event()

    async def clean(*command: str) -> None:
        while not done.is_set():
            await asyncio.to_thread(sample.git, *command, ok=False)

    async def one(number: int) -> str:
        theirs = await repository.commit(
            await repository.tree_of(sample.first), (sample.first,), f"result {number}", as_person=False
        )
        merged = await repository.merge(theirs, sample.first, sample.first)
        assert isinstance(merged, Merged)
        await repository.keep(f"refs/heddle/results/{number}", theirs)
        return theirs

    cleaning = [
        asyncio.ensure_future(clean("gc", "-q", "--prune=now", "--force")),
        asyncio.ensure_future(clean("prune", "--expire=now")),
    ]
    commits = []
    try:
        for batch in range(4):
            commits += await asyncio.gather(*(one(batch * 5 + number) for number in range(5)))
    finally:
        done.set()
        await asyncio.gather(*cleaning)
    prune(sample)
    assert whole(sample)
    assert {commit for _, commit in await repository.kept("results")} == set(commits)


async def test_an_agents_commits_survive_plain_housekeeping(repository: GitRepository, sample: Sample) -> None:
    """An agent commits in a worktree with its own git while `git gc` runs twice at once, as git runs it itself."""
    tree = sample.folder / "agent"
    sample.git("worktree", "add", "-q", "--detach", str(tree))

    def commit(number: int) -> str:
        """Git's gc may remove a folder under the feet of another git: that command fails, and is given again. What
        is promised is that nothing it wrote is lost, not that no command of the agent's own git ever fails."""
        sample.write({f"file{number}": f"{number}\n"}, tree)
        before = sample.git("rev-parse", "HEAD", cwd=tree)
        for _ in range(20):
            sample.git("add", "-A", cwd=tree, ok=False)
            sample.git("commit", "-q", "-m", str(number), cwd=tree, ok=False)
            if (after := sample.git("rev-parse", "HEAD", cwd=tree)) != before:
                return after
        raise AssertionError("the agent's git could not commit in 20 attempts")

    done = asyncio.Event()

    async def clean() -> None:
        while not done.is_set():
            await asyncio.to_thread(sample.git, "gc", "-q", "--force", ok=False)

    cleaning = [asyncio.ensure_future(clean()) for _ in range(2)]
    try:
        for number in range(12):
            own = await asyncio.to_thread(commit, number)
            await repository.keep("refs/heddle/results/agent", own)
    finally:
        done.set()
        await asyncio.gather(*cleaning)
    assert whole(sample) and len(await repository.log(sample.first, own)) == 12
    assert {f"file{number}" for number in range(12)} < set(await repository.list_files(own))


async def test_a_pack_that_a_gc_is_about_to_delete_is_never_kept_anew(
    repository: GitRepository, sample: Sample, tmp_path: Path
) -> None:
    """A gc lists the packs that it will delete first, and spares later what a `.keep` of that moment holds: a pack
    that were listed without and kept afterwards would be in neither, and go with all that lies in it alone."""
    tree = await repository.tree_of(sample.first)
    lone = await repository.commit(tree, (), "no parent, so the person's tree is in its pack", as_person=False, at=0.0)
    await repository.keep("refs/heddle/results/1", lone)
    sample.git("prune-packed")
    await repository.forget("refs/heddle/results/1")
    gc = Stopped(sample, tmp_path / "exec")
    cleaning = asyncio.ensure_future(asyncio.to_thread(gc.run, "gc", "-q", "--prune=now"))
    await asyncio.to_thread(gc.listed.read_bytes)
    async with repository.store.published(lone):
        gc.go.write_bytes(b"")
        await cleaning
        sample.git("update-ref", "refs/heddle/results/1", lone)
    assert whole(sample)
    assert sample.git("show", "main:README") == "hello"


class Stopped:
    """The person's git, which stops before it packs: `listed` can be read then, and it goes on once `go` is written."""

    def __init__(self, sample: Sample, folder: Path) -> None:
        self.sample, self.folder = sample, folder
        self.listed, self.go = folder / "listed", folder / "go"
        folder.mkdir()
        for fifo in (self.listed, self.go):
            os.mkfifo(fifo)
        real = sample.git("--exec-path")
        script = folder / "git"
        script.write_text(
            f"""#!/bin/sh
if [ "$1" = pack-objects ] && ! [ -e {folder}/once ]; then
  : > {folder}/once; : > {self.listed}; read -r _ < {self.go}
fi
exec {real}/git "$@"
"""
        )
        script.chmod(0o755)

    def run(self, *args: str) -> None:
        """One command of it."""
        self.sample.git(*args, GIT_EXEC_PATH=str(self.folder))


async def test_what_is_not_kept_never_enters_the_repository(repository: GitRepository, sample: Sample) -> None:
    theirs = sample.aside({"new": "n\n"})
    before = sample.git("count-objects", "-v")
    merged = await repository.merge(sample.first, theirs, sample.first)
    assert isinstance(merged, Merged)
    await repository.commit(merged.tree, (sample.first,), "m", as_person=False)
    assert sample.git("count-objects", "-v") == before


async def test_a_commit_with_a_hole_is_not_kept(repository: GitRepository, sample: Sample) -> None:
    broken = sample.aside({"new": "n\n"})
    blob = sample.git("rev-parse", f"{broken}:new")
    (sample.git_dir / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(OutsideError):
        await repository.keep("refs/heddle/results/1", broken)
    assert await repository.kept("results") == ()


async def test_a_broken_ref_of_somebody_does_not_stop_ours(repository: GitRepository, sample: Sample) -> None:
    (sample.git_dir / "refs" / "heads" / "broken").write_text("1" * 40 + "\n")
    await repository.keep("refs/heddle/results/1", sample.aside({"new": "n\n"}))
    assert len(await repository.kept("results")) == 1


async def test_only_what_nobody_kept_for_long_is_swept(repository: GitRepository, sample: Sample) -> None:
    tree = await repository.tree_of(sample.first)
    kept, old, young = [
        await repository.commit(tree, (sample.first,), message, as_person=False) for message in ("a", "b", "c")
    ]
    await repository.keep("refs/heddle/results/1", kept)
    nursery = repository.store.nursery
    packs = sample.git_dir / "objects" / "pack"
    for name, said in (("pack-crash", "heddle\n"), ("pack-young", "heddle\n"), ("pack-theirs", "mine\n")):
        (packs / f"{name}.keep").write_text(said)
    for path in (
        *(nursery / id[:2] / id[2:] for id in (kept, old)),
        packs / "pack-crash.keep",
        packs / "pack-theirs.keep",
    ):
        os.utime(path, (1, 1))
    again = await open_repository(sample.path, sample.env)
    assert await again.tree_of(kept) == await again.tree_of(young) == tree
    with pytest.raises(OutsideError):
        await again.tree_of(old)
    assert sorted(path.stem for path in packs.glob("*.keep")) == ["pack-theirs", "pack-young"]
    assert whole(sample)
