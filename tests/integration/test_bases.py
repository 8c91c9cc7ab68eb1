"""Base trees as layers: what changed between two commits, over the files of one of them."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from heddle.adapters.workspaces.instant import InstantWorkspaces, bases
from heddle.ports import WorkspaceOrder
from repositories import Sample
from support.yard import Yard

pytestmark = pytest.mark.asyncio

BEFORE: dict[str, str | bytes | None] = {
    ".gitattributes": "*.crlf text eol=crlf\n",
    "kept/a": "a\n",
    "kept/b": "b\n",
    "edited": "one\n",
    "gone": "x\n",
    "folder/all/of/it": "x\n",
    "folder/it too": "x\n",
    "file then folder": "x\n",
    "folder then file/a": "x\n",
    "folder then file/b/c": "x\n",
    "deep/er/one": "1\n",
    "deep/er/two": "2\n",
    "tool": "#!/bin/sh\n",
    "mixed/dos.crlf": "one\ntwo\n",
}
AFTER: dict[str, str | bytes | None] = {
    "edited": "two\n",
    "gone": None,
    "folder/all/of/it": None,
    "folder/it too": None,
    "file then folder": None,
    "folder then file/a": None,
    "folder then file/b/c": None,
    "deep/er/one": None,
    "new/one": "new\n",
    "bin": b"\0\xff",
    "mixed/dos2.crlf": "three\nfour\n",
}


@pytest_asyncio.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    sample = Sample(tmp_path)
    sample.commit(BEFORE, "before")
    made = Yard("instant", tmp_path / "state", Path(os.environ["HEDDLE_RUNTIME_DIR"]), sample)
    yield made
    await made.close()


def advance(sample: Sample) -> str:
    """A commit with every kind of change."""
    sample.write(AFTER)
    for name in ("folder then file/b", "folder then file"):
        (sample.path / name).rmdir()
    sample.write({"file then folder/in/it": "y\n", "folder then file": "y\n"})
    (sample.path / "tool").chmod(0o755)
    os.symlink("edited", sample.path / "link")
    os.symlink("nowhere", sample.path / os.fsdecode(b"odd \xff\n name"))
    sample.git("add", "-A")
    sample.git("commit", "-q", "-m", "after")
    return sample.git("rev-parse", "HEAD")


LOOK = r"""
git status --porcelain; git diff-files --raw; git diff-index --cached --raw HEAD
find . -path ./.git -prune -o -type d -empty -print
git ls-files -s -z | git hash-object --stdin; git ls-files -z | xargs -0 ls -ld | cut -c1-10 | sort | uniq -c
find . -path ./.git -prune -o ! -type d -print | wc -l; cat mixed/*.crlf | od -c | head -3
"""
"""Any line before the first hash is a file that git doubts, or an empty folder. `diff-files` trusts nothing but times."""


async def seen(yard: Yard, house: InstantWorkspaces, id: str, commit: str) -> str:
    workspace = await house.create(WorkspaceOrder(id, commit))
    return await yard.run(workspace, LOOK)


async def opened(yard: Yard) -> InstantWorkspaces:
    house = await yard.open()
    assert isinstance(house, InstantWorkspaces)
    return house


async def test_a_layer_shows_what_a_fresh_checkout_shows(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    old = yard.base
    house = await opened(yard)
    await house.bases.ensure(old)
    new = advance(yard.sample)
    layered = await seen(yard, house, "layered", new)
    base = house.bases.of(new)
    assert len(base.trees) == 2
    assert not (base.trees[0] / "kept").exists()
    monkeypatch.setattr(bases, "NEAR", 0)
    yard.forget_shared()
    fresh = await seen(yard, await opened(yard), "fresh", new)
    assert layered == fresh
    assert len(layered.splitlines()[0]) == 40, layered


async def test_layers_are_stacked_up_to_a_depth_and_the_way_back_is_one_too(yard: Yard) -> None:
    house = await opened(yard)
    commits = [yard.base]
    await house.bases.ensure(commits[0])
    for number in range(7):
        files: dict[str, str | bytes | None] = {f"n{number}/{name}": "x\n" for name in "abc"}
        commits.append(yard.sample.commit(files | ({f"n{number - 1}/a": None} if number else {})))
        await house.bases.ensure(commits[-1])
    depths = [len(house.bases.of(commit).trees) for commit in commits]
    assert max(depths) == bases.DEPTH + 1
    for at, commit in enumerate(commits):
        told = await seen(yard, house, f"w{at}", commit)
        assert len(told.splitlines()[0]) == 40, told
    back = yard.sample.git("commit-tree", "-m", "as before", "-p", commits[-1], f"{commits[0]}^{{tree}}")
    assert (await seen(yard, house, "back", back)) == (await seen(yard, house, "first", commits[0]))


async def test_changed_attributes_and_great_distances_lay_files_out_anew(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = await opened(yard)
    await house.bases.ensure(yard.base)
    attributes = yard.sample.commit({".gitattributes": "*.crlf -text\n"})
    assert len((await house.bases.ensure(attributes)).trees) == 1
    monkeypatch.setattr(bases, "NEAR", 3)
    near = yard.sample.commit({"1": "1\n", "2": "2\n", "3": "3\n"})
    far = yard.sample.commit({"edited": "far\n", "gone": None, "4": "4\n", "5": "5\n"})
    assert len((await house.bases.ensure(near)).trees) == 2
    assert len((await house.bases.ensure(far)).trees) == 1


async def test_a_base_that_carries_another_stays(yard: Yard) -> None:
    house = await opened(yard)
    old = yard.base
    await house.bases.ensure(old)
    new = yard.sample.commit({"edited": "new\n"})
    workspace = await house.create(WorkspaceOrder("w", new))
    yard.clock.time += 10**9
    await house.empty_trash(0)
    assert house.bases.of(new).is_whole
    assert (await yard.run(workspace, "cat edited kept/a")) == "new\na\n"
    await workspace.seal()
    await workspace.remove()
    await house.empty_trash(0)
    assert not house.bases.of(new).is_whole
    assert not house.bases.of(old).is_whole


async def test_a_layer_whose_base_is_gone_is_laid_out_anew(yard: Yard) -> None:
    house = await opened(yard)
    old = yard.base
    await house.bases.ensure(old)
    new = yard.sample.commit({"edited": "new\n"})
    assert len((await house.bases.ensure(new)).trees) == 2
    os.rename(house.bases.root / old, house.bases.root / ".aside")
    told = await seen(yard, house, "w", new)
    assert len(house.bases.of(new).trees) == 1
    assert len(told.splitlines()[0]) == 40, told


async def test_what_a_workspace_includes_follows_what_its_layers_show(yard: Yard) -> None:
    house = await opened(yard)
    listing: dict[str, str | bytes | None] = {".worktreeinclude": "/secret\n/kept/a\n/was/*\n", "was/tracked": "old\n"}
    first = yard.sample.commit({**listing, "secret": "tracked\n"})
    await house.bases.ensure(first)
    yard.sample.git("rm", "-q", "--cached", "secret", "was/tracked")
    second = yard.sample.commit({".gitignore": "/secret\n/was/\n"})
    yard.sample.write({"secret": "ignored\n", "was/tracked": "ignored too\n"})
    workspace = await house.create(WorkspaceOrder("w", second))
    assert len(house.bases.of(second).trees) == 2
    assert await yard.run(workspace, "cat secret was/tracked kept/a") == "ignored\nignored too\na\n"
