"""Dependency layers: installed once, seen by every workspace that was made over them, changed by none."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from heddle.adapters.workspaces import faults
from heddle.adapters.workspaces.instant import InstantWorkspaces
from heddle.adapters.workspaces.trash import delete_tree
from heddle.core.errors import OutsideError, Refused, UserError
from heddle.core.extent import Extent
from heddle.engine.installing import sweep
from heddle.engine.site import Site
from heddle.ports import Workspace, WorkspaceOrder, Workspaces
from repositories import Sample
from support.yard import PROVIDERS, Crash, Yard

pytestmark = [pytest.mark.asyncio, pytest.mark.needs("boxes")]

INSTALL = (
    "mkdir -p node_modules/a/node_modules/b packages/p/node_modules src/node_modules.not; "
    "echo a > node_modules/a/a.js; echo b > node_modules/a/node_modules/b/b.js; ln -s a/a.js node_modules/link; "
    "echo p > packages/p/node_modules/p.js; echo mine > packages/p/mine; chmod 500 node_modules/a"
)


@pytest_asyncio.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    sample = Sample(tmp_path)
    sample.commit({".gitignore": "node_modules/\n", "packages/p/index.js": "i\n"}, "second")
    made = Yard("instant", tmp_path / "state", Path(os.environ["HEDDLE_RUNTIME_DIR"]), sample)
    yield made
    await made.close()


async def made(yard: Yard, house: Workspaces, id: str, *layers: str) -> Workspace:
    return await house.create(WorkspaceOrder(id, yard.base, layers=layers))


async def install(yard: Yard, house: Workspaces, name: str = "npm-1") -> Workspace:
    builder = await made(yard, house, f"deps-{name}")
    await yard.run(builder, INSTALL)
    await builder.seal()
    await builder.keep_layer(name, ("node_modules",))
    return builder


async def test_what_one_installed_is_there_for_all_and_git_sees_nothing_of_it(yard: Yard) -> None:
    house = await yard.open()
    assert house.layered
    assert not await house.has_layer("npm-1")
    builder = await install(yard, house)
    assert await house.has_layer("npm-1")
    await builder.remove()
    look = "cat node_modules/link node_modules/a/node_modules/b/b.js packages/p/node_modules/p.js packages/p/index.js"
    for id in ("t1-1-execute-1", "t2-1-execute-1"):
        workspace = await made(yard, house, id, "npm-1")
        assert (
            await yard.run(workspace, f"{look}; ls packages/p; git status --porcelain")
            == "a\nb\np\ni\nindex.js\nnode_modules\n"
        )
        assert (await workspace.changes()).paths == ()


async def test_what_one_session_does_to_it_no_other_sees(yard: Yard) -> None:
    house = await yard.open()
    await install(yard, house)
    one, other = [await made(yard, house, f"t{n}-1-execute-1", "npm-1") for n in (1, 2)]
    await yard.run(one, "echo evil > node_modules/link; rm -rf packages/p/node_modules; echo c > node_modules/c.js")
    assert await yard.run(one, "cat node_modules/a/a.js; ls node_modules") == "evil\na\nc.js\nlink\n"
    look = "cat node_modules/a/a.js packages/p/node_modules/p.js; ls node_modules"
    assert await yard.run(other, look) == "a\np\na\nlink\n"
    fresh = await made(yard, house, "t3-1-execute-1", "npm-1")
    assert await yard.run(fresh, look) == "a\np\na\nlink\n"


async def test_a_cache_begins_as_the_layer_left_it_and_is_each_sessions_own(yard: Yard) -> None:
    house = await yard.open()
    builder = await house.create(WorkspaceOrder("deps-go", yard.base, caches=("go",)))
    at = f"{house.caches}/go"
    await yard.run(builder, f"mkdir {at}/mod; echo m > {at}/mod/m; chmod 555 {at}/mod")
    await builder.seal()
    await builder.keep_layer("go-1", ())
    await builder.remove()
    one, other = [await made(yard, house, f"t{n}-1-execute-1", "go-1") for n in (1, 2)]
    await yard.run(one, f"cat {at}/mod/m; echo evil > {at}/mod/m; echo more > {at}/more")
    assert await yard.run(other, f"cat {at}/mod/m; ls {at}") == "m\nmod\n"
    assert await yard.run(one, f"cat {at}/mod/m; ls {at}") == "evil\nmod\nmore\n"
    written = await one.extent(Extent(10**9, 10**6))
    unwritten = await other.extent(Extent(10**9, 10**6))
    assert written is not None and unwritten is not None
    assert written.files > unwritten.files, "what is written into a cache counts"
    for workspace in (one, other):
        assert (await workspace.changes()).paths == ()
        await workspace.seal()
        await workspace.remove()


async def test_layers_lie_over_each_other_and_over_any_base(yard: Yard) -> None:
    house = await yard.open()
    await install(yard, house)
    builder = await made(yard, house, "deps-pip")
    await yard.run(builder, "mkdir .venv; echo v > .venv/v")
    await builder.seal()
    await builder.keep_layer("pip-1", (".venv",))
    yard.sample.commit({".gitignore": "node_modules/\n.venv/\n", "packages/p/index.js": "j\n"}, "third")
    workspace = await made(yard, house, "t1-1-execute-1", "npm-1", "pip-1")
    look = "cat packages/p/index.js .venv/v node_modules/a/a.js; git status --porcelain"
    assert await yard.run(workspace, look) == "j\nv\na\n"
    reopened = await (await yard.open()).find(workspace.id)
    assert reopened is not None
    assert await yard.run(reopened, look) == "j\nv\na\n", "a new daemon knows what it lies over"


def crash() -> None:
    raise Crash


async def test_no_half_a_layer_is_left_by_a_crash(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    for point in ("layer-moved", "layer-placed"):
        house = await yard.open()
        name = f"npm-{point}"
        with monkeypatch.context() as patch:
            patch.setattr(faults, "step", lambda step, point=point: crash() if step == point else None)
            with pytest.raises(Crash):
                await install(yard, house, name)
        house = await yard.open()
        assert await house.has_layer(name) is (point == "layer-placed")
        left = await house.find(f"deps-{name}")
        assert left is not None
        await left.seal()
        await left.remove()
        if not await house.has_layer(name):
            await install(yard, house, name)
        workspace = await made(yard, house, f"t-{point}", name)
        assert await yard.run(workspace, "cat node_modules/link") == "a\n"


async def test_the_first_of_a_name_stays(yard: Yard) -> None:
    house = await yard.open()
    await install(yard, house)
    second = await made(yard, house, "deps-again")
    await yard.run(second, "mkdir node_modules; echo other > node_modules/link")
    await second.seal()
    await second.keep_layer("npm-1", ("node_modules",))
    workspace = await made(yard, house, "t1-1-execute-1", "npm-1")
    assert await yard.run(workspace, "cat node_modules/link") == "a\n"


async def test_a_layer_goes_when_nobody_needs_it_and_not_before(yard: Yard) -> None:
    house = await yard.open()
    await (await install(yard, house)).remove()
    workspace = await made(yard, house, "t1-1-execute-1", "npm-1")
    yard.clock.time = 4_000_000_000.0
    await house.empty_trash(30.0)
    assert await yard.run(workspace, "cat node_modules/link") == "a\n"
    await workspace.seal()
    await workspace.remove()
    yard.clock.time += 100.0
    await house.empty_trash(30.0)
    assert not await house.has_layer("npm-1")
    assert not list((yard.folder / "layers").iterdir()), "read-only folders go as well"


async def test_a_layer_that_is_not_there_is_said(yard: Yard) -> None:
    house = await yard.open()
    with pytest.raises(Refused) as caught:
        await made(yard, house, "t1-1-execute-1", "npm-1")
    assert caught.value.slug == "no-layers"
    with pytest.raises(UserError):
        await house.has_layer("../bases")
    await install(yard, house)
    workspace = await made(yard, house, "t2-1-execute-1", "npm-1")
    delete_tree(yard.folder / "layers" / "npm-1")
    with pytest.raises((Refused, OutsideError)):
        await yard.run(workspace, "true")


async def test_a_layer_that_somebody_changed_is_set_aside_and_made_anew(yard: Yard) -> None:
    house = await yard.open()
    await (await install(yard, house)).remove()
    workspace = await made(yard, await yard.open(), "t1-1-execute-1", "npm-1")
    assert await yard.run(workspace, "echo own > node_modules/own; cat node_modules/link") == "a\n"
    (yard.folder / "layers/npm-1/tree/node_modules/a/a.js").write_text("somebody else's\n")
    again = await yard.open()
    assert not await again.has_layer("npm-1")
    with pytest.raises(Refused):
        await made(yard, again, "t2-1-execute-1", "npm-1")
    await (await install(yard, again)).remove()
    assert await yard.run(await made(yard, again, "t2-1-execute-1", "npm-1"), "cat node_modules/link") == "a\n"


async def test_what_a_killed_install_left_goes_at_the_start(yard: Yard) -> None:
    house = await yard.open()
    builder = await made(yard, house, "deps-abc")
    held = await yard.enter(builder, "mkdir node_modules; echo half > node_modules/half; exec cat")
    other = await made(yard, house, "t1-1-execute-1")
    await yard.run(other, "echo work > work")
    again = await yard.open()
    assert isinstance(again, InstantWorkspaces)
    await sweep(Site(again.repository, again, again.worktrees, 1_000))
    assert await again.ids() == ("t1-1-execute-1",)
    assert held.ended() is not None
    assert [change.path for change in (await other.changes()).paths] == ["work"]


@pytest.mark.parametrize("kind", ["clone", "memory", "worktree"])
async def test_where_nothing_can_be_shared_that_is_said(kind: str, yard: Yard) -> None:
    other = Yard(kind, yard.folder / kind, yard.runtime, yard.sample)
    assert set(PROVIDERS) >= {kind}
    house = await other.open()
    try:
        assert not house.layered
        assert not await house.has_layer("npm-1")
        workspace = await other.make(house)
        await workspace.seal()
        with pytest.raises(Refused) as caught:
            await workspace.keep_layer("npm-1", ("node_modules",))
        assert caught.value.slug == "no-layers"
    finally:
        await other.close()
