"""Landing next to a person who works in the checkout, and next to crashes at every step."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import pytest_asyncio

from heddle.adapters.git import GitRepository, landing, open_repository
from heddle.core.errors import OutsideError
from heddle.ports import Advanced, Blocked, MovedOn
from repositories import Sample, files_below, numbered

pytestmark = pytest.mark.asyncio

RECORD = "refs/heddle/landed/1"


class Crash(BaseException):
    """Stands for kill -9 of the daemon at a step."""


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return Sample(tmp_path)


@pytest_asyncio.fixture
async def repository(sample: Sample) -> GitRepository:
    return await open_repository(sample.path, sample.env)


def persons_work(sample: Sample) -> dict[str, object]:
    """All that belongs to the person and is no part of a commit: staged, unstaged, untracked, ignored, stash,
    branch name, configuration."""
    return {
        "staged": sample.git("diff", "--cached", "--raw", "--abbrev=40"),
        "unstaged": sample.git("diff", "--raw", "-p"),
        "untracked": sample.git("ls-files", "--others"),
        "stash": sample.git("stash", "list", "--format=%H %gs"),
        "branch": sample.git("symbolic-ref", "HEAD"),
        "branches": sample.git("branch", "--format=%(refname)"),
        "config": (sample.git_dir / "config").read_bytes(),
    }


def hidden(sample: Sample, option: str) -> None:
    """A local change that the person told git to overlook: it is theirs all the same."""
    sample.git("update-index", option, "src/app.py")
    sample.write({"src/app.py": "a local setting\n"})


def make_a_mess(sample: Sample) -> None:
    """A checkout in the middle of work: stash, staged, half staged, unstaged, deleted, untracked, ignored."""
    sample.commit({"half": numbered(30), "doomed": "d\n", ".gitignore": "*.log\n.env\n"})
    sample.write({"README": "to be stashed\n"})
    sample.git("stash", "push", "-q", "-m", "mine")
    sample.write({"staged.txt": "s\n", "half": numbered(30, l3="staged")})
    sample.git("add", "staged.txt", "half")
    sample.write({"half": numbered(30, l3="staged", l28="not staged"), "src/app.py": numbered(20, l9="mine")})
    sample.write({"doomed": None, "untracked/u": b"\0\xff", "debug.log": "ignored\n", ".env": "secret\n"})
    (sample.path / "untracked" / "tool").symlink_to("nowhere")


# ---------------------------------------------------------------------------------------------------- W11


async def test_landings_leave_unsaved_work_as_it_is(repository: GitRepository, sample: Sample) -> None:
    make_a_mess(sample)
    head = old = sample.git("rev-parse", "HEAD")
    before, work = files_below(sample.path), persons_work(sample)
    for number in range(1, 4):
        new = sample.aside({"notes.txt": f"{number}\n", f"landed/{number}": "n\n", "README": f"{number}\n"}, old)
        assert await repository.advance("main", old, new, {f"refs/heddle/landed/{number}": new}) == Advanced("updated")
        old = new
    after = files_below(sample.path)
    landed = {"notes.txt", "README", "landed/1", "landed/2", "landed/3"}
    assert {name: found for name, found in after.items() if name not in landed} == {
        name: found for name, found in before.items() if name not in landed
    }
    assert persons_work(sample) == work
    assert sample.git("diff", "--name-only", head, old).split() == sorted(landed)
    assert (sample.path / "README").read_text() == "3\n"


@pytest.mark.parametrize(
    ("path", "dirty"),
    [
        ("src/app.py", lambda s: s.write({"src/app.py": "unstaged\n"})),
        ("src/app.py", lambda s: (s.write({"src/app.py": "staged\n"}), s.git("add", "src/app.py"))),
        ("src/app.py", lambda s: s.write({"src/app.py": None})),
        ("src/app.py", lambda s: s.git("rm", "-q", "--cached", "src/app.py")),
        ("src/app.py", lambda s: (s.path / "src/app.py").chmod(0o755)),
        ("src/app.py", lambda s: hidden(s, "--skip-worktree")),
        ("src/app.py", lambda s: hidden(s, "--assume-unchanged")),
        ("new.txt", lambda s: s.write({"new.txt": "untracked\n"})),
        ("new.txt", lambda s: (s.write({"new.txt": "staged\n"}), s.git("add", "new.txt"))),
        ("new.txt", lambda s: (s.path / "new.txt").symlink_to("nowhere")),
        ("new.txt", lambda s: s.write({"new.txt/inside": "a file where a directory is\n"})),
        ("dir/new.txt", lambda s: s.write({"dir": "a file where a directory goes\n"})),
        (".env", lambda s: s.write({".env": "ignored and precious\n"})),
        ("dir.ignored/x", lambda s: s.write({"dir.ignored": "ignored and precious\n"})),
        ("y.ignored", lambda s: s.write({"y.ignored/deep/z": "ignored and precious\n"})),
    ],
)
async def test_unsaved_work_in_the_way_holds_the_landing(
    repository: GitRepository, sample: Sample, path: str, dirty: Callable[[Sample], object]
) -> None:
    old = sample.commit({".gitignore": ".env\n*.ignored\n"})
    new = sample.aside({path: "landed\n", "README": "landed too\n"}, old)
    dirty(sample)
    before, work, index = files_below(sample.path), persons_work(sample), (sample.git_dir / "index").read_bytes()
    blocked = await repository.advance("main", old, new, {RECORD: new})
    assert isinstance(blocked, Blocked) and blocked.detail
    assert any(path.startswith(told) or told.startswith(path) for told in blocked.paths), blocked
    assert (files_below(sample.path), persons_work(sample)) == (before, work)
    assert (sample.git_dir / "index").read_bytes() == index
    assert sample.git("rev-parse", "main") == old and await repository.kept("landed") == ()
    assert not list(sample.git_dir.rglob("*.lock"))


async def test_a_held_landing_goes_on_when_the_way_is_free(repository: GitRepository, sample: Sample) -> None:
    new = sample.aside({"notes.txt": "landed\n"})
    sample.write({"notes.txt": "unsaved\n"})
    assert isinstance(await repository.advance("main", sample.first, new, {RECORD: new}), Blocked)
    sample.git("checkout", "-q", "--", "notes.txt")
    assert await repository.advance("main", sample.first, new, {RECORD: new}) == Advanced("updated")


@pytest.mark.parametrize("operation", ["merge", "cherry-pick", "rebase", "revert"])
async def test_an_operation_in_progress_holds_the_landing(
    repository: GitRepository, sample: Sample, operation: str
) -> None:
    sample.git("checkout", "-q", "-b", "side")
    side = sample.commit({"notes.txt": "side\n"})
    sample.git("checkout", "-q", "main")
    old = sample.commit({"notes.txt": "main\n"})
    target = {"merge": side, "cherry-pick": side, "rebase": "side", "revert": sample.first}[operation]
    sample.git(operation, target, ok=False)
    assert sample.git("ls-files", "-u")
    new = sample.aside({"README": "landed\n"}, old)
    before, index = files_below(sample.path), (sample.git_dir / "index").read_bytes()
    blocked = await repository.advance("main", old, new, {RECORD: new})
    assert isinstance(blocked, Blocked) and f"a {operation}" in blocked.detail
    assert files_below(sample.path) == before and (sample.git_dir / "index").read_bytes() == index
    assert sample.git("rev-parse", "main") == old


async def test_a_conflict_that_is_not_settled_holds_the_landing(repository: GitRepository, sample: Sample) -> None:
    """A popped stash that conflicts leaves an unmerged index and no operation in progress."""
    sample.write({"notes.txt": "stashed\n"})
    sample.git("stash", "push", "-q")
    old = sample.commit({"notes.txt": "main\n"})
    sample.git("stash", "pop", ok=False)
    new = sample.aside({"README": "landed\n"}, old)
    before = files_below(sample.path)
    assert isinstance(await repository.advance("main", old, new, {RECORD: new}), Blocked)
    assert files_below(sample.path) == before and sample.git("stash", "list")


async def test_every_checkout_of_the_branch_moves_along(repository: GitRepository, sample: Sample) -> None:
    linked = sample.folder / "linked tree"
    sample.git("branch", "side")
    sample.git("worktree", "add", "-q", str(linked), "side")
    sample.write({"mine": "m\n", "notes.txt": "mine\n"}, linked)
    new = sample.aside({"README": "landed\n", "added": "a\n"})
    assert await repository.advance("side", sample.first, new, {RECORD: new}) == Advanced("updated")
    assert sample.git("status", "--porcelain", cwd=linked).split() == ["M", "notes.txt", "??", "mine"]
    assert (linked / "README").read_text() == "landed\n"
    assert sample.git("status", "--porcelain") == "" and (sample.path / "README").read_text() == "hello\n"


async def test_of_two_checkouts_of_one_branch_either_can_hold_the_landing(
    repository: GitRepository, sample: Sample
) -> None:
    linked = sample.folder / "linked"
    sample.git("worktree", "add", "-q", "--force", str(linked), "main")
    sample.write({"README": "unsaved\n"}, linked)
    new = sample.aside({"README": "landed\n"})
    assert isinstance(await repository.advance("main", sample.first, new, {RECORD: new}), Blocked)
    assert (sample.path / "README").read_text() == "hello\n" and sample.git("status", "--porcelain") == ""
    sample.git("checkout", "-q", "--", "README", cwd=linked)
    assert await repository.advance("main", sample.first, new, {RECORD: new}) == Advanced("updated")
    assert sample.git("status", "--porcelain") == sample.git("status", "--porcelain", cwd=linked) == ""


async def test_a_checkout_that_is_gone_does_not_hold_and_one_on_a_lost_disk_does(
    repository: GitRepository, sample: Sample
) -> None:
    linked = sample.folder / "linked"
    sample.git("worktree", "add", "-q", "-b", "side", str(linked))
    sample.git("worktree", "lock", str(linked))
    linked.rename(sample.folder / "elsewhere")
    new = sample.aside({"README": "landed\n"})
    blocked = await repository.advance("side", sample.first, new, {RECORD: new})
    assert isinstance(blocked, Blocked) and str(linked) in blocked.detail
    (sample.git_dir / "worktrees" / "linked" / "locked").unlink()
    assert await repository.advance("side", sample.first, new, {RECORD: new}) == Advanced("not-checked-out")


async def test_a_lock_on_the_index_is_an_error_and_moves_nothing(repository: GitRepository, sample: Sample) -> None:
    new = sample.aside({"README": "landed\n"})
    (sample.git_dir / "index.lock").touch()
    with pytest.raises(OutsideError) as caught:
        await repository.advance("main", sample.first, new, {RECORD: new})
    assert caught.value.slug == "git-busy"
    assert sample.git("rev-parse", "main") == sample.first and (sample.path / "README").read_text() == "hello\n"
    (sample.git_dir / "index.lock").unlink()
    assert await repository.advance("main", sample.first, new, {RECORD: new}) == Advanced("updated")


async def test_changed_kinds_of_files_land(repository: GitRepository, sample: Sample) -> None:
    """A file becomes a directory, a directory a file, with an ignored file of the person's left in peace."""
    old = sample.commit({"thing": "file\n", "folder/a": "a\n", ".gitignore": "*.log\n"})
    sample.write({"src/mine.log": "ignored\n"})
    new = sample.aside({"thing": None, "folder/a": None}, old)
    new = sample.aside({"thing/inside": "i\n", "folder": "file\n", "src/app.py": None}, new)
    assert await repository.advance("main", old, new, {RECORD: new}) == Advanced("updated")
    assert sample.git("status", "--porcelain") == ""
    assert (sample.path / "thing/inside").read_text() == "i\n" and (sample.path / "folder").is_file()
    assert (sample.path / "src/mine.log").read_text() == "ignored\n"


# ----------------------------------------------------------------------------------------------------- M1


async def test_only_the_validated_tree_lands_and_only_from_where_it_was_validated(
    repository: GitRepository, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Main moves in the last moment before the compare-and-swap: the landing must not go over it."""
    sample.git("checkout", "-q", "--detach")
    new = sample.aside({"README": "landed\n"})
    somebody = sample.aside({"notes.txt": "somebody's\n"})

    def meanwhile(name: str) -> None:
        if name == "published":
            sample.git("update-ref", "refs/heads/main", somebody)

    monkeypatch.setattr(landing, "step", meanwhile)
    assert await repository.advance("main", sample.first, new, {RECORD: new}) == MovedOn(somebody)
    assert sample.git("rev-parse", "main") == somebody
    monkeypatch.setattr(landing, "step", lambda name: None)
    rebased = sample.aside({"README": "landed\n"}, somebody)
    assert await repository.advance("main", somebody, rebased, {RECORD: rebased}) == Advanced("not-checked-out")
    assert sample.git("rev-parse", "main^{tree}") == await repository.tree_of(rebased)


async def test_nobody_can_commit_between_the_checkout_and_the_ref(
    repository: GitRepository, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The person commits at the worst moment: git refuses them, loses nothing, and the landing is whole."""
    sample.write({"mine": "m\n"})
    sample.git("add", "mine")
    new = sample.aside({"README": "landed\n"})
    refused: list[int] = []

    def commit(name: str) -> None:
        if name == "updated":
            done = subprocess.run(("git", "commit", "-qm", "mine"), cwd=sample.path, env=sample.env, check=False)
            refused.append(done.returncode)

    monkeypatch.setattr(landing, "step", commit)
    assert await repository.advance("main", sample.first, new, {RECORD: new}) == Advanced("updated")
    assert refused and refused[0] != 0
    assert sample.git("rev-parse", "main") == new and sample.git("diff", "--cached", "--name-only") == "mine"
    sample.git("commit", "-qm", "mine")
    assert sample.git("diff", "--name-only", new, "HEAD") == "mine"


async def test_two_landings_at_once_have_one_winner(repository: GitRepository, sample: Sample) -> None:
    news = [sample.aside({f"file{number}": "x\n"}) for number in range(4)]
    other = await open_repository(sample.path, sample.env)
    outcomes = await asyncio.gather(
        *(
            (repository, other)[number % 2].advance("main", sample.first, new, {f"refs/heddle/landed/{number}": new})
            for number, new in enumerate(news)
        ),
        return_exceptions=True,
    )
    winners = [new for new, outcome in zip(news, outcomes, strict=True) if outcome == Advanced("updated")]
    assert len(winners) == 1 and sample.git("rev-parse", "main") == winners[0]
    assert [commit for _, commit in await repository.kept("landed")] == winners
    assert sample.git("status", "--porcelain") == ""


# ------------------------------------------------------------------------------------------------ crashes


@pytest.mark.parametrize("where", ["published", "prepared", "checkout", "updated", "committed"])
async def test_a_crash_at_any_step_is_mended_by_doing_it_again(
    repository: GitRepository, sample: Sample, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    sample.write({"mine": "m\n", "src/app.py": "unsaved\n"})
    work = persons_work(sample)
    new = sample.aside({"notes.txt": "landed\n", "added/file": "f\n", "README": None})

    def crash(name: str) -> None:
        if name == where:
            raise Crash

    monkeypatch.setattr(landing, "step", crash)
    with pytest.raises(Crash):
        await repository.advance("main", sample.first, new, {RECORD: new})
    assert sample.git("rev-parse", "main") == (new if where == "committed" else sample.first)
    monkeypatch.setattr(landing, "step", lambda name: None)
    again = await open_repository(sample.path, sample.env)
    assert await again.advance("main", sample.first, new, {RECORD: new}) == Advanced("updated")
    assert sample.git("rev-parse", "main", RECORD).split() == [new, new]
    assert persons_work(sample) == work and (sample.path / "notes.txt").read_text() == "landed\n"
    assert await again.advance("main", sample.first, new, {RECORD: new}) == Advanced("updated")
    assert persons_work(sample) == work


async def test_a_killed_daemon_leaves_no_lock_behind(sample: Sample) -> None:
    """kill -9 of the whole process while the ref transaction is prepared: git lets its locks go by itself."""
    new = sample.aside({"notes.txt": "landed\n"})
    script = (
        "import asyncio, os, signal, pathlib\n"
        "from heddle.adapters.git import landing, open_repository\n"
        "landing.step = lambda name: os.kill(os.getpid(), signal.SIGKILL) if name == 'updated' else None\n"
        "async def main():\n"
        f"    repository = await open_repository(pathlib.Path({str(sample.path)!r}))\n"
        f"    await repository.advance('main', {sample.first!r}, {new!r}, {{{RECORD!r}: {new!r}}})\n"
        "asyncio.run(main())\n"
    )
    env = sample.env | {"PYTHONPATH": os.pathsep.join(sys.path)}
    daemon = await asyncio.create_subprocess_exec(sys.executable, "-c", script, env=env)
    assert await daemon.wait() == -signal.SIGKILL
    async with asyncio.timeout(20):
        while list(sample.git_dir.rglob("*.lock")):
            await asyncio.sleep(0)
    assert sample.git("rev-parse", "main") == sample.first
    assert sample.git("diff", "--cached", "--name-only") == "notes.txt"
    repository = await open_repository(sample.path, sample.env)
    assert await repository.advance("main", sample.first, new, {RECORD: new}) == Advanced("updated")
    assert sample.git("status", "--porcelain") == ""
