"""What a worktree holds becomes objects, and nothing there is touched."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import pytest_asyncio

from heddle.adapters.git import GitRepository, open_repository
from heddle.adapters.git.worktrees import GitWorktrees
from heddle.core.errors import OutsideError, Refused
from heddle.ports import Snapshot
from repositories import Sample, files_below

pytestmark = pytest.mark.asyncio


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    sample = Sample(tmp_path)
    sample.commit({".gitignore": "*.log\nout/\n", "doomed": "d\n"})
    return sample


@pytest_asyncio.fixture
async def repository(sample: Sample) -> GitRepository:
    return await open_repository(sample.path, sample.env)


@pytest_asyncio.fixture
async def trees(repository: GitRepository) -> GitWorktrees:
    return GitWorktrees(repository.store)


@pytest_asyncio.fixture
async def path(trees: GitWorktrees, sample: Sample) -> Path:
    path = sample.folder / "t1"
    await trees.add(path, sample.git("rev-parse", "HEAD"), "t1", "heddle/t1")
    return path


async def kept(repository: GitRepository, snapshot: Snapshot, name: str = "t1") -> Snapshot:
    """Keep a snapshot the way a recovery does: every tree in a commit, all of them below one."""
    parents = [snapshot.head, *snapshot.also]
    for tree in filter(None, (snapshot.index, snapshot.unmerged)):
        parents.append(await repository.commit(tree, (), "part", as_person=False))
    whole = await repository.commit(snapshot.worktree, parents, "recovery", as_person=False)
    await repository.keep(f"refs/heddle/recovery/{name}", whole)
    return snapshot


async def test_staged_unstaged_and_untracked_are_told_apart_and_untouched(
    repository: GitRepository, trees: GitWorktrees, sample: Sample, path: Path
) -> None:
    sample.write({"notes.txt": "staged\n"}, path)
    sample.git("add", "notes.txt", cwd=path)
    odd = b"lat\xe9in".decode("utf-8", "surrogateescape")
    sample.write({"notes.txt": "unstaged\n", "doomed": None, "new/-x": "n\n", odd: "o\n", "x.log": "ignored"}, path)
    (path / "new" / "link").symlink_to("nowhere")
    (path / "README").chmod(0o755)
    index = path.parent / "sample/.git/worktrees/t1/index"
    before = files_below(path), index.read_bytes(), index.stat().st_mtime_ns
    snapshot = await trees.snapshot(path)
    assert (files_below(path), index.read_bytes(), index.stat().st_mtime_ns) == before
    assert (snapshot.head, snapshot.branch, snapshot.refused) == (sample.git("rev-parse", "HEAD"), "heddle/t1", ())
    staged = {change.path: change.kind for change in await repository.changes(snapshot.head, snapshot.index)}
    assert staged == {"notes.txt": "modified"}
    held = {change.path: change.kind for change in await repository.changes(snapshot.head, snapshot.worktree)}
    assert held == {
        "notes.txt": "modified",
        "doomed": "deleted",
        "new/-x": "added",
        "new/link": "added",
        odd: "added",
        "README": "type",
    }
    assert await trees.snapshot(path) == snapshot


async def test_a_snapshot_laid_out_elsewhere_is_the_same_worktree(
    repository: GitRepository, trees: GitWorktrees, sample: Sample, path: Path
) -> None:
    sample.write({"staged": "s\n", "notes.txt": "staged\n"}, path)
    sample.git("add", "staged", "notes.txt", cwd=path)
    sample.git("rm", "-q", "--cached", "README", cwd=path)
    sample.write({"notes.txt": "unstaged\n", "untracked/u": b"\0\xff", "doomed": None}, path)
    snapshot = await kept(repository, await trees.snapshot(path))
    sample.git("gc", "-q", "--prune=now")
    other = sample.folder / "t2"
    await trees.add(other, snapshot.head, "t2")
    await trees.fill(other, snapshot)
    assert files_below(other) == files_below(path)
    assert sample.git("status", "--porcelain", cwd=other) == sample.git("status", "--porcelain", cwd=path)
    with pytest.raises(Refused) as caught:
        await trees.fill(other, snapshot)
    assert caught.value.slug == "not-fresh"


async def test_a_conflict_in_the_middle_is_kept_with_all_its_stages(
    repository: GitRepository, trees: GitWorktrees, sample: Sample, path: Path
) -> None:
    theirs = sample.aside({"notes.txt": "theirs\n", "doomed": None})
    sample.write({"notes.txt": "ours\n", "doomed": "changed\n"}, path)
    sample.git("commit", "-qam", "ours", cwd=path)
    sample.git("merge", theirs, cwd=path, ok=False)
    stages = sample.git("ls-files", "-u", cwd=path)
    assert stages
    snapshot = await kept(repository, await trees.snapshot(path))
    assert theirs in snapshot.also and snapshot.unmerged
    assert await repository.read_file(snapshot.index, "notes.txt") == b"ours\n"
    assert b"<<<<<<<" in (await repository.read_file(snapshot.worktree, "notes.txt") or b"")
    other = sample.folder / "t2"
    await trees.add(other, snapshot.head, "t2")
    await trees.fill(other, snapshot)
    assert sample.git("ls-files", "-u", cwd=other) == stages
    assert files_below(other) == files_below(path)


async def test_commits_that_only_the_head_log_remembers_are_kept(
    repository: GitRepository, trees: GitWorktrees, sample: Sample, path: Path
) -> None:
    assert (await trees.snapshot(path)).also == ()
    lost = []
    for number in range(3):
        sample.write({"work": f"{number}\n"}, path)
        sample.git("add", "work", cwd=path)
        sample.git("commit", "-q", "-m", str(number), cwd=path)
        lost.append(sample.git("rev-parse", "HEAD", cwd=path))
    sample.git("reset", "-q", "--hard", "HEAD~3", cwd=path)
    snapshot = await kept(repository, await trees.snapshot(path))
    assert snapshot.also == (lost[2],)
    (sample.git_dir / "worktrees" / "t1" / "logs" / "HEAD").unlink()
    sample.git("reflog", "expire", "--expire=now", "--all")
    sample.git("gc", "-q", "--prune=now")
    assert sample.git("show", f"{lost[0]}:work") == "0"


async def test_nested_repositories_are_refused_and_said(
    repository: GitRepository, trees: GitWorktrees, sample: Sample, path: Path
) -> None:
    for name, empty in (("with commits", False), ("empty", True)):
        nested = path / "deep" / name
        nested.mkdir(parents=True)
        sample.git("init", "-q", cwd=nested)
        sample.write({"file": "f\n"}, nested)
        if not empty:
            sample.git("add", "file", cwd=nested)
            sample.git("commit", "-q", "-m", "nested", cwd=nested)
    sample.write({"deep/mine": "m\n"}, path)
    snapshot = await trees.snapshot(path)
    assert dict(snapshot.refused) == {
        "deep/with commits/": "a repository of its own",
        "deep/empty/": "a repository of its own",
    }
    assert [change.path for change in await repository.changes(snapshot.head, snapshot.worktree)] == ["deep/mine"]


async def test_a_result_holds_no_ignored_and_no_huge_files(
    repository: GitRepository, trees: GitWorktrees, sample: Sample, path: Path
) -> None:
    base = sample.git("rev-parse", "HEAD")
    sample.write({"out/forced": "f\n", "x.log": "x", "huge": "h" * 5000, "README": "r" * 5000, "fine": "f\n"}, path)
    sample.git("add", "-f", "out/forced", "huge", cwd=path)
    sample.git("commit", "-q", "-m", "the agent's own", cwd=path)
    sample.write({"huge2": "h" * 2000}, path)
    strict = await trees.snapshot(path, base=base, size_limit=1000)
    assert dict(strict.refused) == {
        "out/forced": "ignored by .gitignore",
        "huge": "5000 bytes, above the limit of 1000",
        "huge2": "2000 bytes, above the limit of 1000",
        "README": "5000 bytes, above the limit of 1000",
    }
    assert [change.path for change in await repository.changes(base, strict.worktree)] == ["fine"]
    lax = await trees.snapshot(path)
    assert lax.refused == ()
    held = {change.path for change in await repository.changes(base, lax.worktree)}
    assert held == {"out/forced", "huge", "huge2", "README", "fine"}


async def test_a_big_file_that_base_holds_already_may_change(
    repository: GitRepository, trees: GitWorktrees, sample: Sample
) -> None:
    base = sample.commit({"asset": "a" * 5000})
    path = sample.folder / "t2"
    await trees.add(path, base, "t2")
    sample.write({"asset": "b" * 6000}, path)
    snapshot = await trees.snapshot(path, base=base, size_limit=1000)
    assert snapshot.refused == ()
    assert [change.path for change in await repository.changes(base, snapshot.worktree)] == ["asset"]


async def test_pipes_and_sockets_are_passed_over(
    repository: GitRepository, trees: GitWorktrees, sample: Sample, path: Path
) -> None:
    os.mkfifo(path / "pipe")
    sample.write({"fine": "f\n"}, path)
    snapshot = await trees.snapshot(path)
    assert [change.path for change in await repository.changes(snapshot.head, snapshot.worktree)] == ["fine"]


CUT_AND_GROW = """
import os, sys
names = sys.argv[1:]
print("up", flush=True)
while not os.path.exists("stop.log"):
    for name in names:
        with open(name, "wb") as file:
            file.write(b"x" * 2_000_000)
        os.truncate(name, 1)
"""


async def test_files_that_are_cut_while_they_are_read_spoil_no_look(
    repository: GitRepository, trees: GitWorktrees, sample: Sample, path: Path
) -> None:
    sample.write({"fine": "f\n"}, path)
    (path / "doomed").chmod(0o755)
    writer = subprocess.Popen([sys.executable, "-c", CUT_AND_GROW, "doomed", "new"], cwd=path, stdout=subprocess.PIPE)
    with writer:
        assert writer.stdout is not None and writer.stdout.readline() == b"up\n"
        try:
            snapshots = [await kept(repository, await trees.snapshot(path), str(n)) for n in range(12)]
        finally:
            (path / "stop.log").touch()
    for snapshot in snapshots:
        changes = {change.path: change for change in await repository.changes(snapshot.head, snapshot.worktree)}
        assert {"doomed", "fine"} <= set(changes) <= {"doomed", "fine", "new"}
        listed = sample.git("ls-tree", snapshot.worktree, "doomed")
        assert listed.startswith("100755")
        assert set(sample.git("cat-file", "blob", f"{snapshot.worktree}:doomed")) <= {"x"}


async def test_files_that_became_a_pipe_or_a_socket_have_left_and_spoil_nothing(
    repository: GitRepository, trees: GitWorktrees, sample: Sample, path: Path
) -> None:
    for name in ("doomed", "notes.txt"):
        (path / name).unlink()
    os.mkfifo(path / "doomed")
    with socket.socket(socket.AF_UNIX) as there:
        there.bind(str(path / "notes.txt"))
    sample.write({"fine": "f\n", "src/app.py": "changed\n"}, path)
    snapshot = await trees.snapshot(path)
    held = {change.path: change.kind for change in await repository.changes(snapshot.head, snapshot.worktree)}
    assert held == {"doomed": "deleted", "fine": "added", "notes.txt": "deleted", "src/app.py": "modified"}


async def test_what_turns_into_something_else_while_it_is_read_is_taken_as_that(
    repository: GitRepository, trees: GitWorktrees, sample: Sample, path: Path
) -> None:
    """A filter of the person's runs while git has read the list of files already, but not yet all of them."""
    turn = "cat; rm late new; mkdir late; ln -s README new"
    sample.git("config", "filter.turn.clean", turn)
    sample.write({".gitattributes": "early filter=turn\n", "early": "e\n", "late": "l\n", "new": "n\n"}, path)
    snapshot = await kept(repository, await trees.snapshot(path))
    held = {change.path: change.kind for change in await repository.changes(snapshot.head, snapshot.worktree)}
    assert held == {".gitattributes": "added", "early": "added", "new": "added"}
    assert sample.git("ls-tree", snapshot.worktree, "new").startswith("120000")


async def test_a_file_becomes_a_directory_and_back(
    repository: GitRepository, trees: GitWorktrees, sample: Sample, path: Path
) -> None:
    sample.write({"doomed": None, "src/app.py": None}, path)
    (path / "src").rmdir()
    sample.write({"doomed/inside": "i\n", "src": "file\n"}, path)
    snapshot = await trees.snapshot(path)
    held = {change.path: change.kind for change in await repository.changes(snapshot.head, snapshot.worktree)}
    assert held == {"doomed": "deleted", "doomed/inside": "added", "src": "added", "src/app.py": "deleted"}


async def test_a_worktree_that_is_gone_or_forged_is_lost_and_no_git_runs_there(
    trees: GitWorktrees, sample: Sample, path: Path
) -> None:
    evil = Sample(sample.folder, "evil")
    evil.git("config", "core.fsmonitor", f"touch '{sample.folder}/witness'; false")
    (path / ".git").write_text(f"gitdir: {evil.git_dir}\n")
    for place in (path, sample.folder / "gone"):
        with pytest.raises(OutsideError) as caught:
            await trees.snapshot(place)
        assert caught.value.slug == "workspace-lost"
    assert not (sample.folder / "witness").exists()


async def test_a_file_written_together_with_the_index_is_doubted(
    repository: GitRepository, trees: GitWorktrees, sample: Sample, path: Path
) -> None:
    sample.git("config", "core.trustctime", "false")
    sample.git("config", "core.checkStat", "minimal")
    notes, index = path / "notes.txt", path.parent / "sample/.git/worktrees/t1/index"
    notes.write_text("one!\n")
    os.utime(notes, (1_000_000_000, 1_000_000_000))
    sample.git("add", "notes.txt", cwd=path)
    notes.write_text("two!\n")
    for file in (notes, index):
        os.utime(file, (1_000_000_000, 1_000_000_000))
    snapshot = await kept(repository, await trees.snapshot(path))
    assert sample.git("show", f"{snapshot.worktree}:notes.txt") == "two!"


@pytest.mark.parametrize("count", [2, 300])
async def test_a_result_tells_ignored_files_from_others_however_many(
    count: int, repository: GitRepository, trees: GitWorktrees, sample: Sample, path: Path
) -> None:
    base = sample.git("rev-parse", "HEAD")
    sample.write({f"[f]*{number}.{kind}": "x\n" for number in range(count) for kind in ("log", "txt")}, path)
    sample.git("add", "-f", ".", cwd=path)
    snapshot = await kept(repository, await trees.snapshot(path, base=base, size_limit=10))
    told = {change.path for change in await repository.changes(base, snapshot.worktree)}
    assert told == {f"[f]*{number}.txt" for number in range(count)}
    assert {name for name, _ in snapshot.refused} == {f"[f]*{number}.log" for number in range(count)}
