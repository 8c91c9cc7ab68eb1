"""What a session wrote is saved from time to time, and a crash of the machine costs no more than since then."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from heddle.core.errors import OutsideError
from heddle.engine import autosave
from repositories import Sample
from support.fleet import git, heddle, make_repository, scene, writes
from support.yard import Yard

pytestmark = [pytest.mark.asyncio, pytest.mark.needs("boxes")]

SAVES = "refs/heddle/saves"


@pytest_asyncio.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    made = Yard("instant", tmp_path / "state", Path(os.environ["HEDDLE_RUNTIME_DIR"]), Sample(tmp_path))
    yield made
    await made.close()


async def test_after_a_crash_of_the_machine_the_last_save_is_the_recovery(yard: Yard) -> None:
    house = await yard.open()
    workspace = await yard.make(house)
    await yard.run(workspace, "echo early > early")
    assert await workspace.autosave()
    await yard.run(workspace, "echo more >> early; git add early; echo new > new")
    assert await workspace.autosave()
    await yard.run(workspace, "echo late > late")
    own = yard.folder / "workspaces" / workspace.id
    await yard.sandboxes[0].close_box(workspace.key)  # type: ignore[union-attr,attr-defined]
    (own / "boot").write_text("another boot")
    (own / "tree" / "new").write_bytes(b"")  # as a crash leaves what was not yet on disk
    again = await (await yard.open()).find(workspace.id)
    assert again is not None
    with pytest.raises(OutsideError) as caught:
        await yard.run(again, "true")
    assert caught.value.slug == "workspace-lost"
    await again.seal()
    with pytest.raises(OutsideError):
        await yard.run(again, "true")
    removal = await again.remove()
    assert yard.sample.git("for-each-ref", SAVES) == ""
    back = yard.folder / "back"
    await house.restore(removal.recovery, back)
    assert (back / "early").read_text() == "early\nmore\n"
    assert (back / "new").read_text() == "new\n"
    assert yard.sample.git("diff", "--cached", "--name-only", cwd=back) == "early"
    others = set(yard.sample.git("for-each-ref", "--format=%(refname)", "refs/heddle/recovery").splitlines())
    (rest,) = others - {removal.recovery}
    assert yard.sample.git("show", f"{rest}:late") == "late", "what was still there is kept as well"


async def test_a_removal_without_a_crash_drops_the_save(yard: Yard) -> None:
    house = await yard.open()
    workspace = await yard.make(house)
    await yard.run(workspace, "echo early > early")
    assert await workspace.autosave()
    assert len(yard.sample.git("for-each-ref", SAVES).splitlines()) == 1
    await yard.run(workspace, "echo late > late")
    removal = await workspace.remove()
    assert yard.sample.git("for-each-ref", SAVES) == ""
    assert yard.sample.git("show", f"{removal.recovery}:late") == "late"


@pytest.mark.parametrize("kind", ["clone", "memory", "worktree"])
async def test_where_the_disk_is_waited_for_nothing_needs_to_be_saved(kind: str, yard: Yard) -> None:
    other = Yard(kind, yard.folder / kind, yard.runtime, yard.sample)
    try:
        assert not await (await other.make(await other.open())).autosave()
    finally:
        await other.close()


async def test_a_session_that_works_is_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autosave, "PAUSE_S", 0.01)
    repository = make_repository(tmp_path / "repo")
    wait = 'echo half > b.txt; until [ -e "$HEDDLE_OUT/go" ]; do sleep 0.02; done'
    plain = writes("b.txt")
    scenes = [*plain[:2], scene("execute", {"do": "run", "command": wait}, *plain[2]["steps"])]
    async with heddle(tmp_path, repository, scenes) as fleet:
        id = await fleet.start("write b")
        await fleet.until_kind(id, "plan-delivered")
        await fleet.call("inbox.approve", task=id)
        ref = f"{SAVES}/{id.lower()}-1-execute-1"
        async with asyncio.timeout(60):
            while not saved(repository, ref):
                await asyncio.sleep(0.02)
        assert git(repository, "show", f"{ref}:b.txt") == "half"
        (out,) = Path(os.environ["HEDDLE_HOME"]).glob(f"instant/*/{id.lower()}-1-execute-1/out")
        (out / "go").touch()
        assert (await fleet.until(id))[0]["status"] == "landed"
        await fleet.until_tidy(id)
    assert git(repository, "for-each-ref", SAVES) == ""


def saved(repository: Path, ref: str) -> bool:
    """Whether a save holds the file by now."""
    known = git(repository, "for-each-ref", "--format=%(refname)", ref)
    return bool(known) and "b.txt" in git(repository, "ls-tree", "--name-only", ref).splitlines()
