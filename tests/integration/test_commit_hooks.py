"""Which commit hooks a person has, and what they may do to a message."""

from pathlib import Path

import pytest

from heddle.adapters.git import open_repository
from heddle.engine.commithooks import with_trailers
from support.fleet import git, make_repository

MESSAGE = "Add it\n\nAt length.\n\nHeddle-Task: T1\nHeddle-Run: T1-1\n"


def put_hook(folder: Path, name: str = "commit-msg", mode: int = 0o755) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("#!/bin/sh\n")
    (folder / name).chmod(mode)


async def test_hooks_are_where_git_would_look_for_them(tmp_path: Path) -> None:
    path = make_repository(tmp_path / "repo")
    repository = await open_repository(path)
    assert await repository.commit_hooks() == ""
    put_hook(path / ".git/hooks", mode=0o644)
    put_hook(path / ".git/hooks", "post-commit")
    assert await repository.commit_hooks() == ""
    put_hook(path / ".git/hooks", "pre-commit")
    assert await repository.commit_hooks() == str(path / ".git/hooks")
    git(path, "config", "core.hooksPath", ".husky")
    assert await repository.commit_hooks() == ""
    put_hook(path / ".husky")
    assert await repository.commit_hooks() == str(path / ".husky")
    put_hook(tmp_path / "far")
    git(path, "config", "core.hooksPath", str(tmp_path / "far"))
    assert await repository.commit_hooks() == str(tmp_path / "far")


@pytest.mark.parametrize(
    ("left", "landed"),
    [
        ("", MESSAGE),
        (MESSAGE.strip(), MESSAGE),
        (f"ABC-1 {MESSAGE}".strip(), f"ABC-1 {MESSAGE}"),
        ("All mine", "All mine\n\nHeddle-Task: T1\nHeddle-Run: T1-1\n"),
        ("Mine\n\nSigned-off-by: A <a@b>", "Mine\n\nSigned-off-by: A <a@b>\nHeddle-Task: T1\nHeddle-Run: T1-1\n"),
    ],
)
def test_a_hook_may_word_the_message_but_not_drop_its_trailers(left: str, landed: str) -> None:
    assert with_trailers(left, MESSAGE) == landed
