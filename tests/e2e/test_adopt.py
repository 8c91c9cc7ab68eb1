"""Work that was made elsewhere is taken in as it is, and nothing of it is moved or deleted (W2)."""

from pathlib import Path
from typing import Any

import pytest

from heddle.core.errors import HeddleError, OutsideError
from repositories import files_below
from support.fleet import Heddle, git, heddle, make_repository, scene


async def adopted(fleet: Heddle, what: str, **params: Any) -> dict[str, Any]:
    return await fleet.call("task.adopt", root=str(fleet.repository), what=what, **params)


async def refusal(fleet: Heddle, what: str, **params: Any) -> HeddleError:
    with pytest.raises(HeddleError) as caught:
        await adopted(fleet, what, **params)
    assert caught.value.hint
    assert (await fleet.call("board", all=True))["tasks"] == []
    return caught.value


def elsewhere(repository: Path) -> Path:
    """A worktree as another tool makes it, inside of the repository, with a commit and with work that is not committed."""
    tree = repository / ".claude" / "worktrees" / "login"
    git(repository, "worktree", "add", "-q", "-b", "worktree-login", str(tree))
    (tree / "b.txt").write_text("one\n")
    git(tree, "add", "-A")
    git(tree, "commit", "-q", "-m", "mend the login")
    (tree / "b.txt").write_text("two\n")
    (tree / "c.txt").write_text("new\n")
    (tree / "__pycache__").mkdir()
    (tree / "__pycache__" / "x.pyc").write_text("ignored\n")
    git(tree, "add", "c.txt")
    return tree


async def test_w2_a_worktree_is_adopted_with_what_is_not_committed_and_stays_as_it_is(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    tree = elsewhere(repository)
    (repository / "d.txt").write_text("main moved\n")
    git(repository, "add", "d.txt")
    git(repository, "commit", "-q", "-m", "meanwhile")
    before = (
        files_below(tree),
        git(tree, "status", "--porcelain"),
        git(repository, "worktree", "list").splitlines()[1:],
    )
    async with heddle(tmp_path, repository, []) as fleet:
        told = await adopted(fleet, str(tree), checks=["grep -q two b.txt", "test -s d.txt"])
        assert (told["title"], told["left_out"]) == ("mend the login", [])
        rows = await fleet.until(told["id"])
        assert rows[0]["status"] == "landed", rows[0]["why"]
        shown = await fleet.call("task.show", task=told["id"])
        assert shown["result"]["paths"] == ["b.txt", "c.txt"]
    assert git(repository, "show", "main:b.txt") == "two"
    assert git(repository, "show", "main:c.txt") == "new"
    assert (
        files_below(tree),
        git(tree, "status", "--porcelain"),
        git(repository, "worktree", "list").splitlines()[1:],
    ) == before
    assert git(repository, "rev-parse", "worktree-login") == git(tree, "rev-parse", "HEAD")


async def test_a_branch_is_adopted_by_its_commits_alone_and_a_red_one_goes_to_an_agent(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    elsewhere(repository)
    mends = scene("execute", {"do": "write", "path": "b.txt", "text": "good\n"}, {"do": "document", "text": "mended\n"})
    async with heddle(tmp_path, repository, [mends]) as fleet:
        told = await adopted(fleet, "worktree-login", text="the login", checks=["grep -q good b.txt"])
        rows = await fleet.until(told["id"])
        assert rows[0]["status"] == "landed", rows[0]["why"]
        kinds = await fleet.kinds(told["id"])
    assert kinds.count("result-delivered") == 2 and kinds.count("session-started") == 1
    assert git(repository, "show", "main:b.txt") == "good"
    with pytest.raises(Exception, match="c.txt|exit status 128"):
        git(repository, "show", "main:c.txt")
    assert git(repository, "show", "worktree-login:b.txt") == "one"


async def test_what_cannot_be_adopted_says_why_and_becomes_no_task(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    tree = elsewhere(repository)
    other = make_repository(tmp_path / "other")
    git(repository, "branch", "same")
    git(repository, "checkout", "-q", "--orphan", "apart")
    git(repository, "commit", "-q", "-m", "apart")
    git(repository, "checkout", "-q", "main")
    async with heddle(tmp_path, repository, []) as fleet:
        for what, slug in (
            ("nope", "no-such-work"),
            ("--all", "no-such-work"),
            (str(other), "no-such-work"),
            (str(repository), "no-such-work"),
            (f"{tmp_path}/", "no-such-work"),
            ("same", "nothing-to-adopt"),
            ("apart", "no-history"),
        ):
            assert (await refusal(fleet, what)).slug == slug, what
        assert (await refusal(fleet, str(tree), scope=["b.txt"])).slug == "outside-scope"
        assert (await refusal(fleet, str(tree), agent="nobody")).slug == "unknown-agent"
        (tree / "key.txt").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n")
        assert (await refusal(fleet, str(tree))).slug == "secret-in-diff"
        (tree / "key.txt").unlink()
        git(tree, "stash", "-q", "-u")
        git(tree, "checkout", "-q", "-b", "left", "main")
        (tree / "b.txt").write_text("left\n")
        git(tree, "add", "-A")
        git(tree, "commit", "-q", "-m", "left")
        with pytest.raises(Exception, match="exit status 1"):
            git(tree, "merge", "-q", "worktree-login")
        assert (await refusal(fleet, str(tree))).slug == "conflicts"


async def test_a_worktree_that_is_broken_is_an_error_and_not_an_empty_result(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    tree = elsewhere(repository)
    (tree / ".git").write_text("gitdir: /nowhere\n")
    async with heddle(tmp_path, repository, []) as fleet:
        error = await refusal(fleet, str(tree))
        assert error.slug == "no-such-work" or isinstance(error, OutsideError)
