"""A git error is "unknown": never "no conflict", never "already merged" (M3)."""

from pathlib import Path

import pytest
import pytest_asyncio

from heddle.adapters.git import GitRepository, open_repository
from heddle.adapters.git.process import Git
from heddle.core.errors import OutsideError
from heddle.ports import Conflicted, Merged
from repositories import Sample, numbered

pytestmark = pytest.mark.asyncio


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return Sample(tmp_path)


@pytest_asyncio.fixture
async def repository(sample: Sample) -> GitRepository:
    return await open_repository(sample.path, sample.env)


def loose(sample: Sample, oid: str) -> Path:
    return sample.git_dir / "objects" / oid[:2] / oid[2:]


async def test_a_missing_blob_is_neither_a_merge_nor_a_conflict(repository: GitRepository, sample: Sample) -> None:
    ours = sample.aside({"src/app.py": numbered(20, l2="ours")})
    theirs = sample.aside({"src/app.py": numbered(20, l18="theirs")})
    loose(sample, sample.git("rev-parse", f"{theirs}:src/app.py")).unlink()
    with pytest.raises(OutsideError) as caught:
        await repository.merge(ours, theirs, sample.first)
    assert caught.value.facts["program"] == "git" and caught.value.facts["tail"]


async def test_a_missing_tree_is_neither_a_merge_nor_a_conflict(repository: GitRepository, sample: Sample) -> None:
    ours = sample.aside({"src/app.py": numbered(20, l2="ours")})
    theirs = sample.aside({"src/app.py": numbered(20, l18="theirs")})
    loose(sample, sample.git("rev-parse", f"{theirs}:src")).unlink()
    with pytest.raises(OutsideError):
        await repository.merge(ours, theirs, sample.first)


async def test_a_corrupt_object_is_neither_a_merge_nor_a_conflict(repository: GitRepository, sample: Sample) -> None:
    theirs = sample.aside({"notes.txt": "theirs\n"})
    tree = loose(sample, await repository.tree_of(theirs))
    tree.chmod(0o644)
    tree.write_bytes(b"garbage")
    with pytest.raises(OutsideError):
        await repository.merge(sample.first, theirs, sample.first)


async def test_an_unknown_commit_is_neither_a_merge_nor_a_conflict(repository: GitRepository, sample: Sample) -> None:
    for trio in (("1" * 40, sample.first, sample.first), (sample.first, "1" * 40, sample.first)):
        with pytest.raises(OutsideError):
            await repository.merge(*trio)
    with pytest.raises(OutsideError):
        await repository.merge(sample.first, sample.first, "1" * 40)
    with pytest.raises(OutsideError):
        await repository.is_ancestor("1" * 40, sample.first)


@pytest.mark.parametrize(
    "script",
    [
        "exit 1",  # the status of a conflict without its answer
        "exit 0",  # the status of a merge without its tree
        "printf '%040d\\0' 1; exit 1",
        "printf '%040d\\0path\\0\\0' 1; kill -9 $$",
        "printf 'error\\0'; exit 0",
        "exit 2",
        "exit 128",
    ],
)
async def test_a_merge_program_that_breaks_down_is_an_error(
    repository: GitRepository, sample: Sample, script: str
) -> None:
    """Whatever git's merge does wrong, even with the status of an answer, is not taken for one."""
    real = sample.git("--exec-path")
    tools = sample.folder / "tools"
    tools.mkdir()
    (tools / "git").write_text(f'#!/bin/sh\ntest "$1" = merge-tree || exec "{real}/git" "$@"\n{script}\n')
    (tools / "git").chmod(0o755)
    broken = await open_repository(sample.path, sample.env | {"PATH": f"{tools}:{sample.env['PATH']}"})
    with pytest.raises(Exception) as caught:
        await broken.merge(sample.first, sample.first, sample.first)
    assert getattr(caught.value, "exit_status", 0) in (7, 70)


async def test_a_merge_driver_of_the_repository_does_not_run(repository: GitRepository, sample: Sample) -> None:
    """It would be a program of the repository's choosing on the host, and could say "merged" about anything."""
    witness = sample.folder / "witness"
    base = sample.commit({".gitattributes": "*.txt merge=loud\n", "notes.txt": numbered(20)})
    for name in ("loud", "odd=name"):
        sample.git("config", f"merge.{name}.driver", f"touch '{witness}'")
    ours = sample.aside({"notes.txt": numbered(20, l2="ours")}, base)
    theirs = sample.aside({"notes.txt": numbered(20, l18="theirs")}, base)
    merged = await repository.merge(ours, theirs, base)
    assert isinstance(merged, Conflicted) and merged.paths == ("notes.txt",)
    assert not witness.exists()


async def test_attributes_come_from_the_commits_and_not_from_the_checkout(
    repository: GitRepository, sample: Sample
) -> None:
    base = sample.commit({".gitattributes": "list merge=union\n", "list": "a\n", "other": "a\n"})
    ours = sample.aside({"list": "a\nb\n", "other": "a\nb\n"}, base)
    theirs = sample.aside({"list": "a\nc\n", "other": "a\nc\n"}, base)
    sample.write({".gitattributes": "other merge=union\n"})
    merged = await repository.merge(ours, theirs, base)
    assert isinstance(merged, Conflicted) and merged.paths == ("other",)


async def test_a_program_that_cannot_be_started_is_an_error(repository: GitRepository, sample: Sample) -> None:
    repository.store.git = Git(sample.env | {"PATH": str(sample.folder)})
    with pytest.raises(Exception, match="git is not installed"):
        await repository.merge(sample.first, sample.first, sample.first)


async def test_a_merge_of_the_same_is_a_merge(repository: GitRepository, sample: Sample) -> None:
    tree = await repository.tree_of(sample.first)
    assert await repository.merge(sample.first, sample.first, sample.first) == Merged(tree)
