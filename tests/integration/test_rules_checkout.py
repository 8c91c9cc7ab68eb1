"""The files of guidance in a real checkout: what is read, what git ignores, and writing that runs over nothing."""

import os
from pathlib import Path

import pytest

from heddle.adapters.git import open_repository
from heddle.adapters.rules import FolderCheckout
from heddle.core.errors import OutsideError, Refused
from heddle.core.rules.syncing import Write
from support.fleet import git, make_repository

pytestmark = pytest.mark.asyncio


async def checkout(path: Path) -> FolderCheckout:
    repository = await open_repository(path)
    return FolderCheckout(repository.top, repository)


FILES: dict[str, str | bytes] = {"a.md": "a\n", "src/b.py": "b\n", ".gitignore": "dist/\n*.log\n"}


async def test_paths_are_tracked_or_untracked_and_never_ignored(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo", FILES)
    (repository / "new.md").write_text("n")
    (repository / "x.log").write_text("l")
    Path(os.fsdecode(os.fsencode(repository) + b"/\xff.md")).write_text("odd")
    before = git(repository, "status", "--porcelain")
    paths, whole = await (await checkout(repository / "src")).paths()
    assert paths == (".gitignore", "a.md", "new.md", "src/b.py", "\ufffd.md") and whole
    assert git(repository, "status", "--porcelain") == before


async def test_a_place_is_there_when_it_exists_or_nobody_can_say(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo", FILES)
    places = [
        "a.md",
        "src",
        "dist/made.js",
        "run.log",
        "lost.md",
        "src/lost.py",
        "a.md/inside",
        ":(top)lost",
        "x" * 5000,
        "a\0b",
    ]
    there = await (await checkout(repository)).there(places)
    assert there == {"a.md", "src", "dist/made.js", "run.log", "a.md/inside"}


async def test_links_are_followed_within_the_checkout_alone(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo", FILES)
    (repository / "in.md").symlink_to("src/../a.md")
    (repository / "out.md").symlink_to("/etc/hostname")
    (repository / "loop.md").symlink_to("loop.md")
    (repository / "dangling.md").symlink_to("nothing")
    read = {
        file.path: file
        for file in await (await checkout(repository)).read(["in.md", "out.md", "loop.md", "dangling.md", "no"])
    }
    assert (read["in.md"].text, read["in.md"].link, read["in.md"].trouble) == ("a\n", "a.md", "")
    assert set(read) == {"in.md", "out.md", "loop.md", "dangling.md"}
    assert all(read[name].trouble and not read[name].text for name in ("out.md", "loop.md", "dangling.md"))


async def test_what_changed_meanwhile_is_not_run_over(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo", FILES)
    found = await checkout(repository)
    for stale in (Write("a.md", "x", "", "other\n"), Write("a.md", "x", "", None), Write("gone.md", "x", "", "was\n")):
        with pytest.raises(Refused) as caught:
            await found.write([Write("new.md", "n", "", None), stale])
        assert caught.value.slug == "rules-moved"
    assert not (repository / "new.md").exists() and (repository / "a.md").read_text() == "a\n"
    await found.write([Write("deep/er/new.md", "n\r\n", "", None), Write("a.md", "z", "", "a\n")])
    assert (repository / "deep/er/new.md").read_bytes() == b"n\r\n" and (repository / "a.md").read_text() == "z"
    assert sorted(path.name for path in (repository / "deep/er").iterdir()) == ["new.md"]


async def test_a_link_or_a_folder_in_the_place_is_refused(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo", FILES)
    (repository / "link.md").symlink_to(tmp_path / "target")
    (repository / "dir.md").mkdir()
    for path, slug in (("link.md", "rules-outside"), ("dir.md", "rules-moved")):
        with pytest.raises(Refused) as caught:
            await (await checkout(repository)).write([Write(path, "x", "", None)])
        assert caught.value.slug == slug
    assert not (tmp_path / "target").exists()


async def test_a_disk_that_takes_nothing_is_told(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo", FILES)
    with pytest.raises(OutsideError) as caught:
        await (await checkout(repository)).write([Write("a.md/x.md", "x", "", None)])
    assert caught.value.slug == "rules-unwritable"


async def test_what_the_commit_holds_is_told_for_this_checkout(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo", FILES)
    git(repository, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    (tmp_path / "side/a.md").write_text("side\n")
    git(tmp_path / "side", "commit", "-qam", "side")
    assert await (await checkout(tmp_path / "side")).committed(["a.md", "no.md"]) == {"a.md": "side\n", "no.md": None}
    assert await (await checkout(repository)).committed(["a.md"]) == {"a.md": "a\n"}
    (tmp_path / "empty").mkdir()
    git(tmp_path / "empty", "init", "-q")
    assert await (await checkout(tmp_path / "empty")).committed(["a.md"]) == {"a.md": None}
