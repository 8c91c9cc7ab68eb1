"""W1-W4, W8 and D6 on real worktrees and private clones, with real held processes."""

import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from heddle.adapters.git import GitRepository, open_repository
from heddle.adapters.git.privates import GitPrivates
from heddle.adapters.git.worktrees import GitWorktrees
from heddle.adapters.sandbox.none import Unconfined
from heddle.adapters.workspaces.apart import PortBlocks
from heddle.adapters.workspaces.clone import CloneWorkspaces
from heddle.adapters.workspaces.private import PrivateWorkspace
from heddle.adapters.workspaces.worktree import WorktreeWorkspace, WorktreeWorkspaces
from heddle.core.errors import OutsideError, Refused
from heddle.ports import Command, WorkspaceOrder
from support.fleet import git, make_repository
from support.yard import Crash


class Clock:
    """A clock that stands still."""

    def now(self) -> float:
        return 1000.0


@dataclass
class Yard:
    """A repository with a maker of workspaces."""

    path: Path
    repository: GitRepository
    workspaces: WorktreeWorkspaces | CloneWorkspaces
    sandbox: Unconfined
    base: str

    async def make(self, id: str = "t1-1-execute-1") -> WorktreeWorkspace | PrivateWorkspace:
        return await self.workspaces.create(WorkspaceOrder(id, self.base))


@pytest.fixture(params=["worktree", "clone"])
async def yard(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Yard]:
    path = make_repository(tmp_path / "repo", {"a.txt": "one\n", "b.txt": "two\n", ".gitignore": "*.log\n.env\n"})
    repository = await open_repository(path)
    home = Path(os.environ["HEDDLE_HOME"])
    sandbox = Unconfined(home / "holders", Path(os.environ["HEDDLE_RUNTIME_DIR"]), os.environ)
    worktrees = GitWorktrees(repository.store)
    places = (home / "workspaces", home / "trash")
    rest = (sandbox, Clock(), PortBlocks(home / "ports"))
    made: WorktreeWorkspaces | CloneWorkspaces
    if request.param == "worktree":
        made = WorktreeWorkspaces(*places, repository, worktrees, *rest, max_file_bytes=1000)
    else:
        privates = GitPrivates(repository.store)
        made = CloneWorkspaces(*places, repository, worktrees, privates, *rest, max_file_bytes=1000)
    yield Yard(path, repository, made, sandbox, git(path, "rev-parse", "HEAD"))
    for key in await sandbox.live():
        held = await sandbox.find(key)
        if held is not None:
            await held.stop(0)
    await sandbox.close()


def soil(tree: Path) -> None:
    """Commits, stash, index, unstaged and untracked work in a worktree."""
    (tree / "b.txt").write_text("stashed\n")
    git(tree, "stash", "-q")
    (tree / "c.txt").write_text("committed\n")
    git(tree, "add", "c.txt")
    git(tree, "commit", "-q", "-m", "my own commit")
    (tree / "a.txt").write_text("staged\n")
    git(tree, "add", "a.txt")
    (tree / "a.txt").write_text("unstaged\n")
    (tree / "d.txt").write_bytes(b"untracked\0\xff")


async def test_w1_all_that_a_workspace_held_comes_back(yard: Yard, tmp_path: Path) -> None:
    workspace = await yard.make()
    soil(Path(workspace.tree))
    removal = await workspace.remove()
    assert removal.recovery.startswith("refs/heddle/recovery/t1-1-execute-1/")
    assert not Path(workspace.tree).exists()
    git(yard.path, "stash", "clear")
    git(yard.path, "gc", "-q", "--prune=now")
    back = tmp_path / "back"
    await yard.workspaces.restore(removal.recovery, back)
    assert (back / "a.txt").read_text() == "unstaged\n"
    assert (back / "d.txt").read_bytes() == b"untracked\0\xff"
    assert git(back, "show", ":a.txt") == "staged"
    assert git(back, "log", "-1", "--format=%s") == "my own commit"
    stash = git(yard.path, "rev-parse", "refs/heddle/restored/t1-1-execute-1/stash-1")
    assert git(yard.path, "show", f"{stash}:b.txt") == "stashed"


async def test_w1_a_workspace_whose_work_is_kept_already_needs_no_recovery(yard: Yard) -> None:
    workspace = await yard.make()
    (Path(workspace.tree) / "new.txt").write_text("x\n")
    await workspace.collect("result")
    assert (await workspace.remove()).recovery == ""


HOSTILE = {
    "marker gone": lambda tree: (tree.parent / "heddle.json").unlink(),
    "tree replaced": lambda tree: (shutil.rmtree(tree), shutil.copytree(tree.parents[3] / "repo", tree, symlinks=True)),
    "tree is a link": lambda tree: (tree.rename(tree.with_name("moved")), tree.symlink_to(tree.with_name("moved"))),
    "pointer elsewhere": lambda tree: (
        (tree / ".git").rename(tree / "was"),
        (tree / ".git").write_text("gitdir: /nowhere\n"),
    ),
    "git directory copied": lambda tree: (
        (tree / ".git").rename(tree / "was"),
        shutil.copytree(tree / "was", tree / ".git") if (tree / "was").is_dir() else None,
    ),
    "folder is a link": lambda tree: (
        tree.parent.rename(tree.parent.with_name("real")),
        tree.parent.symlink_to(tree.parent.with_name("real")),
    ),
}


@pytest.mark.parametrize("layout", HOSTILE)
async def test_w2_what_cannot_be_proved_ours_is_never_removed(yard: Yard, layout: str, tmp_path: Path) -> None:
    workspace = await yard.make()
    tree = Path(workspace.tree)
    shutil.copytree(yard.path, tree.parents[3] / "repo", symlinks=True) if layout == "tree replaced" else None
    HOSTILE[layout](tree)
    precious = tree / "precious.txt" if tree.exists() else None
    if precious is not None:
        precious.write_text("mine\n")
    with pytest.raises((OutsideError, Refused)):
        await workspace.remove()
    assert precious is None or precious.read_text() == "mine\n"
    assert await yard.workspaces.find(workspace.id) is None


async def test_w2_workspaces_inside_a_checkout_are_refused(yard: Yard, tmp_path: Path) -> None:
    git(yard.path, "worktree", "add", "-q", "--detach", str(tmp_path / "linked"))
    for place, what in ((yard.path, "checkout"), (tmp_path / "linked", "worktree")):
        yard.workspaces.root = place / "workspaces"
        with pytest.raises(Refused, match=f"inside the {what}"):
            await yard.make()


async def test_w3_removal_is_a_rename_to_the_trash_with_everything_in_it(yard: Yard) -> None:
    workspace = await yard.make()
    tree = Path(workspace.tree)
    git(tree, "init", "-q", "nested")
    (tree / "nested" / "deep.txt").write_text("deep\n")
    (tree / "noise.log").write_text("ignored\n")
    await workspace.remove()
    (kept,) = yard.workspaces.trash.iterdir()
    assert (kept / "tree" / "nested" / "deep.txt").read_text() == "deep\n"
    assert (kept / "tree" / "noise.log").read_text() == "ignored\n"
    assert await yard.workspaces.empty_trash(1e12) == 0


async def test_w3_work_that_comes_during_a_removal_is_kept_too(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = await yard.make()
    tree = Path(workspace.tree)
    (tree / "a.txt").write_text("first\n")
    kind: Any = type(workspace)
    keep = kind._keep
    late = iter(["late\n"])

    async def slow(self: object, *held: object) -> str:
        ref: str = await keep(self, *held)
        for text in late:
            (tree / "a.txt").write_text(text)
        return ref

    monkeypatch.setattr(kind, "_keep", slow)
    removal = await workspace.remove()
    assert git(yard.path, "show", f"{removal.recovery}:a.txt") == "late"


async def test_w4_a_workspace_with_a_live_process_stays(yard: Yard) -> None:
    workspace = await yard.make()
    held = await workspace.enter(Command("k1", ("sleep", "60"), ""))
    with pytest.raises(Refused, match="in use"):
        await workspace.remove()
    assert Path(workspace.tree).is_dir()
    await workspace.seal()
    assert held.ended() is not None
    with pytest.raises(Refused, match="sealed"):
        await workspace.enter(Command("k2", ("true",), ""))
    await workspace.remove()


async def test_w8_a_result_holds_nothing_ignored_huge_or_foreign(yard: Yard) -> None:
    workspace = await yard.make()
    tree = Path(workspace.tree)
    (tree / "good.txt").write_text("good\n")
    (tree / "noise.log").write_text("ignored\n")
    (tree / "huge.bin").write_bytes(b"x" * 2000)
    git(tree, "init", "-q", "nested")
    (tree / "nested" / "x.txt").write_text("x\n")
    git(tree / "nested", "add", "-A")
    git(tree / "nested", "commit", "-q", "-m", "x")
    collected = await workspace.collect("result")
    assert [change.path for change in collected.changes.paths] == ["good.txt"]
    assert git(yard.path, "ls-tree", "-r", "--name-only", collected.commit).split() == [
        ".gitignore",
        "a.txt",
        "b.txt",
        "good.txt",
    ]
    assert {path.split("/")[0] for path, _ in collected.changes.refused} == {"huge.bin", "nested"}


@pytest.mark.parametrize("ask", ["changes", "collect", "remove", "enter", "taken"])
async def test_d6_a_deleted_tree_is_lost_whatever_is_asked(yard: Yard, ask: str) -> None:
    workspace = await yard.make()
    shutil.rmtree(workspace.tree)
    asked = {
        "changes": lambda: workspace.changes(),
        "collect": lambda: workspace.collect("x"),
        "remove": lambda: workspace.remove(),
        "enter": lambda: workspace.enter(Command("k", ("true",), "")),
        "taken": lambda: workspace.taken("handoff.md"),
    }
    with pytest.raises(OutsideError) as caught:
        await asked[ask]()
    assert caught.value.slug == "workspace-lost"


async def test_making_a_workspace_again_after_a_crash_finds_or_finishes_it(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    from heddle.adapters.workspaces.folder import Folder

    write = Folder.write_marker

    def crash(self: Folder, marker: object) -> None:
        raise Crash

    monkeypatch.setattr(Folder, "write_marker", crash)
    with pytest.raises(Crash):
        await yard.make()
    assert await yard.workspaces.find("t1-1-execute-1") is None
    monkeypatch.setattr(Folder, "write_marker", write)
    first, second = await yard.make(), await yard.make()
    assert first.tree == second.tree
    assert (Path(first.tree) / "a.txt").read_text() == "one\n"


async def test_ignored_files_that_the_repository_names_are_there(yard: Yard) -> None:
    (yard.path / ".worktreeinclude").write_text(".env\na.txt\n")
    git(yard.path, "add", ".worktreeinclude")
    git(yard.path, "commit", "-q", "-m", "include")
    (yard.path / ".env").write_text("SECRET=1\n")
    (yard.path / "noise.log").write_text("not asked for\n")
    (yard.path / "a.txt").write_text("dirty in the checkout\n")
    yard.base = git(yard.path, "rev-parse", "HEAD")
    tree = Path((await yard.make()).tree)
    assert (tree / ".env").read_text() == "SECRET=1\n"
    assert not (tree / "noise.log").exists()
    assert (tree / "a.txt").read_text() == "one\n"


async def test_documents_are_taken_without_following_links(yard: Yard) -> None:
    workspace = await yard.make()
    (Path(workspace.out) / "plan.md").symlink_to("/etc/hostname")
    assert await workspace.taken("plan.md") is None
    await workspace.put("plan.md", b"fine")
    assert await workspace.taken("plan.md") == b"fine"
