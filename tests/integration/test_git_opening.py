"""Opening a repository: everything that can be wrong with it is told clearly, and nothing is changed."""

import os
from pathlib import Path

import pytest

from heddle.adapters.git import open_repository
from heddle.core.errors import HeddleError, OutsideError, SetupError, UserError
from repositories import Sample, environment

pytestmark = pytest.mark.asyncio


async def complaint(path: Path, env: dict[str, str]) -> HeddleError:
    with pytest.raises(HeddleError) as caught:
        await open_repository(path, env)
    assert caught.value.hint and "\n" not in caught.value.message
    return caught.value


def fake_git(folder: Path, script: str) -> dict[str, str]:
    """An environment in which `git` is a program of the test's."""
    tools = folder / "tools"
    tools.mkdir(parents=True)
    (tools / "git").write_text(f"#!/bin/sh\n{script}\n")
    (tools / "git").chmod(0o755)
    return environment(folder) | {"PATH": str(tools)}


async def test_a_directory_without_repository_is_told(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    error = await complaint(plain, environment(tmp_path))
    assert isinstance(error, UserError) and error.slug == "not-a-repository" and "'" in error.message


async def test_a_path_that_is_no_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "missing"):
        assert (await complaint(path, environment(tmp_path))).slug == "no-such-directory"


async def test_a_bare_repository_is_told(tmp_path: Path) -> None:
    sample = Sample(tmp_path)
    sample.git("clone", "-q", "--bare", ".", str(tmp_path / "bare.git"))
    assert (await complaint(tmp_path / "bare.git", sample.env)).slug == "bare-repository"


async def test_the_inside_of_a_git_directory_is_told(tmp_path: Path) -> None:
    sample = Sample(tmp_path)
    assert (await complaint(sample.git_dir, sample.env)).slug == "inside-git-dir"


async def test_an_empty_repository_opens_but_has_no_branch_yet(tmp_path: Path) -> None:
    sample = Sample(tmp_path, empty=True)
    repository = await open_repository(sample.path, sample.env)
    with pytest.raises(UserError) as caught:
        await repository.current_branch()
    assert caught.value.slug == "empty-repository" and "'main'" in caught.value.message


async def test_a_git_that_is_too_old_is_told(tmp_path: Path) -> None:
    sample = Sample(tmp_path)
    for said in ("git version 2.37.9", "git version 1.8.3 (Apple Git-1)", "something else"):
        error = await complaint(sample.path, fake_git(tmp_path / said, f"echo '{said}'"))
        assert isinstance(error, SetupError) and error.slug == "git-version" and said in error.message
    assert error.facts["needed"] == "2.38"


async def test_a_missing_git_is_told(tmp_path: Path) -> None:
    sample = Sample(tmp_path)
    (tmp_path / "nothing").mkdir()
    error = await complaint(sample.path, sample.env | {"PATH": str(tmp_path / "nothing")})
    assert isinstance(error, SetupError) and error.slug == "git-missing"


async def test_a_git_that_fails_is_not_a_missing_repository(tmp_path: Path) -> None:
    sample = Sample(tmp_path)
    env = fake_git(tmp_path / "x", 'test "$1" = version && echo git version 2.40.0 || { echo odd >&2; exit 128; }')
    error = await complaint(sample.path, env)
    assert isinstance(error, OutsideError) and error.facts["exit"] == 128 and error.facts["tail"] == "odd"


async def test_subdirectories_and_linked_worktrees_open_the_same_repository(tmp_path: Path) -> None:
    sample = Sample(tmp_path)
    sample.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "linked"))
    opened = [
        await open_repository(path, sample.env)
        for path in (sample.path, sample.path / "src", tmp_path / "linked" / "src")
    ]
    assert len({repository.key for repository in opened}) == 1
    assert {repository.root for repository in opened} == {str(sample.path)}
    assert [await repository.current_branch() for repository in opened] == ["main", "main", "side"]


async def test_keys_tell_repositories_apart_and_are_safe_in_names(tmp_path: Path) -> None:
    names = ("a/Größe & more", "b/Größe & more", "c/" + "x" * 80, "d/--")
    samples = [Sample(tmp_path, name) for name in names]
    keys = [(await open_repository(sample.path, sample.env)).key for sample in samples]
    assert len(set(keys)) == len(keys)
    assert all(key.replace("-", "a").isalnum() and key.isascii() and len(key) < 48 for key in keys)
    link = tmp_path / "link"
    link.symlink_to(samples[0].path)
    assert (await open_repository(link, samples[0].env)).key == keys[0]


async def test_paths_with_spaces_quotes_and_other_letters_work(tmp_path: Path) -> None:
    sample = Sample(tmp_path, 'my "größte": repo\nnew')
    repository = await open_repository(sample.path / "src", sample.env)
    assert repository.root == str(sample.path)
    new = sample.aside({"ä ö.txt": "landed\n"})
    merged = await repository.merge(new, sample.first, sample.first)
    assert merged == await repository.merge(sample.first, new, sample.first)
    await repository.advance("main", sample.first, new, {"refs/heddle/landed/1": new})
    assert (sample.path / "ä ö.txt").read_text() == "landed\n"
    assert sample.git("status", "--porcelain") == ""


async def test_a_dirty_checkout_opens_and_stays_as_it_is(tmp_path: Path) -> None:
    sample = Sample(tmp_path)
    sample.write({"README": "dirty\n", "untracked": "u\n"})
    index = (sample.git_dir / "index").read_bytes()
    repository = await open_repository(sample.path, sample.env)
    assert await repository.unsaved() == ("README", "untracked")
    assert (sample.git_dir / "index").read_bytes() == index


async def test_the_environment_of_a_hook_does_not_lead_astray(tmp_path: Path) -> None:
    """A daemon that was started inside a git hook inherits variables that name another repository."""
    sample = Sample(tmp_path)
    other = Sample(tmp_path, "other")
    stray = {
        "GIT_DIR": str(other.git_dir),
        "GIT_WORK_TREE": str(other.path),
        "GIT_INDEX_FILE": str(tmp_path / "stray-index"),
        "GIT_OBJECT_DIRECTORY": str(other.git_dir / "objects"),
        "GIT_AUTHOR_NAME": "Somebody Else",
        "GIT_CONFIG_PARAMETERS": "'user.name'='Somebody Else'",
        "GIT_PREFIX": "src/",
    }
    repository = await open_repository(sample.path, sample.env | stray)
    assert repository.root == str(sample.path)
    commit = await repository.commit(await repository.tree_of(sample.first), (), "m", as_person=True)
    await repository.keep("refs/heddle/results/1", commit)
    assert sample.git("log", "-1", "--format=%an", "refs/heddle/results/1") == "Ann Example"
    assert not os.path.lexists(tmp_path / "stray-index")


async def test_a_repository_of_another_user_is_told(tmp_path: Path) -> None:
    sample = Sample(tmp_path)
    env = sample.env | {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}
    said = "fatal: detected dubious ownership in repository"
    fake = fake_git(
        tmp_path / "x", f'test "$1" = version && echo git version 2.40.0 || {{ echo "{said}" >&2; exit 128; }}'
    )
    error = await complaint(sample.path, env | fake)
    assert isinstance(error, SetupError) and error.slug == "unsafe-repository"
