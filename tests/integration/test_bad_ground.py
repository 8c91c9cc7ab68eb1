"""Workspaces on bad ground: disks that cannot be written or layered, bases that others change, boxes that are killed."""

import asyncio
import os
import shutil
import signal
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio

from heddle.adapters.sandbox.box import Box
from heddle.adapters.workspaces.instant import InstantWorkspaces
from heddle.core.errors import HeddleError, OutsideError, UserError
from heddle.ports import Command, Workspace, Workspaces
from repositories import Sample
from support.fleet import Heddle, heddle, make_repository, writes
from support.otherwise import Otherwise, python, told
from support.yard import Yard, heard

pytestmark = [pytest.mark.asyncio, pytest.mark.needs("boxes")]

ID = "t1-1-execute-1"

AGAIN = f"""
import asyncio, json, os, sys
from pathlib import Path
from heddle.core.errors import HeddleError
from heddle.ports import Command, WorkspaceOrder
from repositories import Sample, environment
from support.yard import Yard

async def work(yard, workspace, script):
    held = await yard.enter(workspace, script, key=f"another.{{os.getpid()}}")
    await held.exit()
    return held.load_output().decode()

async def main(kind, folder, runtime, checkout, *doing):
    sample = object.__new__(Sample)
    sample.path, sample.folder, sample.env = Path(checkout), Path(checkout).parent, environment(Path(checkout).parent)
    yard = Yard(kind, Path(folder), Path(runtime), sample)
    said = {{}}
    try:
        house = await yard.open()
        for word in doing:
            try:
                if word == "create":
                    await house.create(WorkspaceOrder("t2-1-execute-1", yard.base))
                workspace = await house.find("{ID}")
                if word == "changes":
                    said[word] = [change.path for change in (await workspace.changes()).paths]
                if word.startswith("run "):
                    said[word] = (await work(yard, workspace, word[4:]))
            except HeddleError as error:
                said[word] = [error.slug, error.message, error.hint, str(error.facts)]
    except HeddleError as error:
        said["open"] = [error.slug, error.message, error.hint]
    for sandbox in yard.sandboxes:
        await sandbox.close()
    print(json.dumps(said))

asyncio.run(main(*sys.argv[1:]))
"""
"""Another daemon's worth of objects over the same folders, in a process of its own; says what it met."""


@pytest_asyncio.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    sample = Sample(tmp_path)
    sample.commit({"kept/a": "a\n", "kept/deep/b": "b\n", "other": "o\n"}, "second")
    made = Yard("instant", tmp_path / "state", Path(os.environ["HEDDLE_RUNTIME_DIR"]), sample)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def house(yard: Yard) -> InstantWorkspaces:
    house = await yard.open()
    assert isinstance(house, InstantWorkspaces)
    return house


@pytest_asyncio.fixture
async def workspace(yard: Yard, house: InstantWorkspaces) -> Workspace:
    return await yard.make(house, ID)


def slug(caught: pytest.ExceptionInfo[HeddleError]) -> str:
    assert caught.value.hint
    return caught.value.slug


async def changed(workspace: Workspace) -> list[str]:
    return [change.path for change in (await workspace.changes()).paths]


async def again(yard: Yard, seen: dict[Path, Otherwise], *doing: str, kind: str = "instant") -> dict[str, list[str]]:
    """What another process meets that opens the yard's folders, some of which it sees otherwise."""
    places = (str(yard.folder), str(yard.runtime), str(yard.sample.path))
    said: dict[str, list[str]] = await told(seen, AGAIN, kind, *places, *doing)
    return said


# ------------------------------------------------------------------------------------------------ read-only


async def test_a_state_folder_that_cannot_be_written_is_told_with_the_way_out(tmp_path: Path) -> None:
    state = Path(os.environ["HEDDLE_HOME"])
    state.mkdir()
    for program in (("-m", "heddle.frontends.cli", "start", "x", "--json"), ("-m", "heddle.server")):
        status, out, err = await python({state: "read-only"}, *program)
        assert status == 4, err
        assert '"no-home"' in out + err
        assert f"no state folder '{state}': Read-only file system" in out + err
        assert "set HEDDLE_HOME to a folder that can be written" in out + err
    assert list(state.iterdir()) == []


async def test_a_state_folder_that_turned_read_only_costs_nothing_that_was_written(
    yard: Yard, workspace: Workspace
) -> None:
    await yard.run(workspace, "echo mine > mine; rm other")
    said = await again(yard, {yard.folder: "read-only"}, "create", "changes")
    assert said["changes"] == ["mine", "other"]  # a glance writes nothing there
    assert said["create"][0] == "read-only"
    assert "Read-only file system" in said["create"][1]
    assert "make the disk writable again" in said["create"][2]
    assert await changed(workspace) == ["mine", "other"]
    assert (await again(yard, {}, "create")) == {}


async def test_a_read_only_repository_is_told_for_what_it_is(yard: Yard, workspace: Workspace) -> None:
    await yard.run(workspace, "echo mine > mine")
    yard.sample.commit({"other": "new\n"}, "a base that is not yet laid out")
    said = await again(yard, {yard.sample.path: "read-only"}, "create", "changes")
    for word in ("create", "changes"):
        assert said[word][0] == "read-only", said
        assert "ead-only file system" in said[word][1]
        assert f"'{yard.sample.path}/" in said[word][1] or said[word][1].startswith("git "), (
            "what is read-only is named"
        )
        assert "writable again" in said[word][2]
    assert await changed(workspace) == ["mine"]
    fresh = Yard("instant", yard.folder, yard.runtime, Sample(yard.sample.folder, "fresh"))
    why, what, next_step = (await again(fresh, {fresh.sample.path: "read-only"}))["open"]
    assert why == "repository-read-only"
    assert what == f"the repository '{fresh.sample.git_dir}' cannot be written: Read-only file system"
    assert "make it writable" in next_step


async def test_work_waits_while_the_disk_is_read_only_and_goes_on_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    from heddle.adapters.workspaces import faults

    def refuse(name: str) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    repository = make_repository(tmp_path / "repo")
    monkeypatch.setattr("heddle.engine.fleet.RETRY_S", 0.05)
    async with heddle(tmp_path, repository, writes("b.txt")) as fleet:
        with monkeypatch.context() as disk:
            disk.setattr(faults, "step", refuse)
            id = await fleet.start("write b")
            await _until_why(fleet, lambda why: "Read-only file system" in why)
            assert "stage-failed" not in await fleet.kinds(id)
        await _until_why(fleet, lambda why: "Read-only file system" not in why)
        async with asyncio.timeout(60):  # an attempt under way may still tell what it met
            while (await fleet.until(id))[0]["status"] != "landed":
                await asyncio.sleep(0.02)


async def _until_why(fleet: Heddle, holds: Callable[[str], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds((await fleet.call("board"))["tasks"][0]["why"]):
            await asyncio.sleep(0.02)


# ------------------------------------------------------------------------------------------------ no layers

FLEET = """
import asyncio, json, os, sys
from pathlib import Path
from support.fleet import heddle, writes

async def main(folder, repository, config):
    async with heddle(Path(folder), Path(repository), writes("b.txt"), config) as fleet:
        (row,) = await fleet.until(await fleet.start("write b"))
        findings = {one["what"]: one for one in (await fleet.call("doctor"))["findings"]}
        print(json.dumps({"row": row, "findings": findings}))

asyncio.run(main(*sys.argv[1:]))
"""


NO_SIZE = "[limits]\nkeep_disk_mb = 0\n"
"""A ramfs says that it has no room at all."""


@pytest.mark.parametrize("disk", ["ramfs", "overlay"])
async def test_a_state_folder_that_carries_no_layer_gives_clones_and_says_why(tmp_path: Path, disk: Otherwise) -> None:
    repository, state = make_repository(tmp_path / "repo"), Path(os.environ["HEDDLE_HOME"])
    state.mkdir()
    said = await told({state: disk}, FLEET, str(tmp_path), str(repository), '[sandbox]\ntier = "auto"\n' + NO_SIZE)
    assert (said["row"]["status"], said["row"]["tier"] < 2) == ("landed", True), said["row"]
    box = said["findings"]["box"]
    assert not box["ok"]
    assert box["detail"].startswith("overlay: ")
    assert "put HEDDLE_HOME on ext4, xfs or btrfs" in box["detail"]
    assert said["findings"]["workspaces"]["detail"].startswith("clone: ")


@pytest.mark.parametrize("disk", ["ramfs", "overlay"])
async def test_layers_that_were_asked_for_and_cannot_be_had_start_nothing(tmp_path: Path, disk: Otherwise) -> None:
    repository, state = make_repository(tmp_path / "repo"), Path(os.environ["HEDDLE_HOME"])
    state.mkdir()
    said = await told(
        {state: disk}, FLEET, str(tmp_path), str(repository), '[workspace]\nprovider = "instant"\n' + NO_SIZE
    )
    assert said["row"]["status"] == "waiting"
    assert "no sandbox for" in said["row"]["why"], said["row"]
    assert "heddle doctor" in said["row"]["why"]
    assert "put HEDDLE_HOME on ext4, xfs or btrfs" in said["findings"]["box"]["detail"]
    assert not (repository / "b.txt").exists()


# ------------------------------------------------------------------------------------------------ killed boxes


def holder_of_box(yard: Yard, number: int = 1) -> int:
    (box,) = (one for one in yard.sandboxes[:1] if isinstance(one, Box))
    (key,) = {
        key for key in map(_key, (yard.folder / "held").glob("*/spec.json")) if key.endswith(f"{ID}/box-{number}")
    }
    folder = box.of(key).folder
    started = folder.load(folder.started)
    assert started is not None
    return int(started["holder"])


def _key(spec: Path) -> str:
    import json

    return str(json.loads(spec.read_bytes())["key"])


def init_of_box(yard: Yard) -> int:
    holder = holder_of_box(yard)
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == holder:
            return int(path.parent.name)
    raise AssertionError("the box has no init")


KILLED: dict[str, Callable[[Yard], int]] = {"holder": holder_of_box, "init": init_of_box}


def is_marked(work: Path) -> bool:
    """Whether the kernel's mark against another mount is in an overlay's work folder, whose rights stay as they are."""
    modes = {}
    for folder in (work / "work", work / "work" / "incompat"):
        modes[folder] = folder.stat().st_mode
        folder.chmod(0o700)
    found = (work / "work" / "incompat" / "volatile").exists()
    for folder, mode in reversed(modes.items()):
        folder.chmod(stat.S_IMODE(mode))
    return found


@pytest.mark.parametrize("who", KILLED)
async def test_a_box_that_is_killed_under_a_session_ends_it_and_takes_nothing_that_it_wrote(
    yard: Yard, workspace: Workspace, who: str
) -> None:
    script = "echo mine > mine; rm kept/a; mkdir new; echo n > new/n; git add mine; git commit -q -m own; echo up; cat"
    held = await yard.enter(workspace, script, key="k")
    await heard(held, b"up")
    os.kill(KILLED[who](yard), signal.SIGKILL)
    ended = await held.exit()
    assert (ended.ok, ended.signal) == (False, signal.SIGKILL)
    assert yard.living("k") == []
    assert is_marked(yard.folder / "workspaces" / ID / "work"), "the kernel's word against mounting it again"
    assert await changed(workspace) == ["kept/a", "mine", "new/n"]
    later = await (await yard.open()).find(ID)
    assert later is not None
    assert await yard.run(later, "cat mine new/n; test ! -e kept/a; git log -1 --format=%s") == "mine\nn\nown\n"
    collected = await later.collect("all of it")
    assert yard.sample.git("show", f"{collected.commit}:new/n") == "n"


async def test_a_look_into_a_box_that_is_killed_meanwhile_says_so_and_the_next_one_tells_everything(
    yard: Yard, house: InstantWorkspaces, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    await yard.run(workspace, "echo mine > mine; git add mine")  # with an index of its own: for a reader to tell
    waits = ("sh", "-c", f"touch {workspace.out}/reading; exec sleep 60")
    with monkeypatch.context() as slow:
        slow.setattr(type(house.privates), "reader", lambda *_: waits)
        looking = asyncio.create_task(changed(workspace))
        while await workspace.taken("reading") is None:
            await asyncio.sleep(0.01)
        os.kill(init_of_box(yard), signal.SIGKILL)
        with pytest.raises(OutsideError) as caught:
            await asyncio.wait_for(looking, 20)
    assert slug(caught) == "box-ended"
    assert "try again" in caught.value.hint
    assert await _soon(lambda: changed(workspace)) == ["mine"]


async def _soon(look: Callable[[], Awaitable[list[str]]]) -> list[str]:
    """What a look tells once the dying box is gone, in which nothing can be started any more."""
    async with asyncio.timeout(20):
        while True:
            with suppress(OutsideError):
                return await look()


# ------------------------------------------------------------------------------------------------ mounted once


async def test_another_daemon_works_in_the_same_box_and_never_mounts_the_layer_twice(
    yard: Yard, house: InstantWorkspaces, workspace: Workspace
) -> None:
    """Two processes that come at the same time make one box; one that cannot find it is refused."""
    where = "echo x >> both; readlink /proc/self/ns/mnt"
    first, second = await asyncio.gather(*(again(yard, {}, f"run {where}") for _ in range(2)))
    assert first == second
    assert await yard.run(workspace, where) in first.values()
    assert await yard.run(workspace, "wc -l < both") == "3\n"
    stranger = Yard("instant", yard.folder, yard.runtime, yard.sample)
    blind = yard.folder.with_name("blind")
    blind.mkdir()
    for name in ("workspaces", "bases", "trash"):
        (blind / name).symlink_to(yard.folder / name)
    stranger.folder = blind
    said = await again(stranger, {}, "run true", "changes")
    assert said["run true"][0] == "sandbox-unavailable", said
    assert "another box works in the same folder" in said["run true"][1]
    assert said["changes"] == ["both"]  # told from outside, without a box
    assert await yard.run(workspace, "wc -l < both") == "3\n"


# ------------------------------------------------------------------------------------------------ changed bases


def tampered(tree: Path, how: str) -> None:
    """Change a base, at a later tick of the clock that tells times of change."""
    tick = tree.parent.with_name(".tick")
    tick.touch()
    while tick.stat().st_ctime_ns <= (tree.parent / "git" / "index").stat().st_mtime_ns:
        tick.touch()
    tick.unlink()
    match how:
        case "written":
            (tree / "kept/a").write_text("evil\n")
        case "written unseen":  # git compares times to the second, so it may take this file for what it was
            about = (tree / "kept/a").stat()
            (tree / "kept/a").write_text("e\n")
            os.utime(tree / "kept/a", ns=(about.st_atime_ns, about.st_mtime_ns))
        case "deleted":
            (tree / "kept/deep/b").unlink()
        case "added":
            (tree / "kept/evil").write_text("evil\n")
        case "half gone":
            shutil.rmtree(tree / "kept")
        case "gone":
            shutil.rmtree(tree.parent)


TAMPERED = ("written", "deleted", "added", "half gone", "gone")


@pytest.mark.parametrize("how", TAMPERED)
async def test_what_others_change_in_a_base_is_in_no_result_and_the_base_is_laid_out_anew(
    yard: Yard, house: InstantWorkspaces, workspace: Workspace, how: str
) -> None:
    await yard.run(workspace, "echo mine > mine; echo more >> other; echo own > kept/own; rm README")
    tampered(house.bases.of(yard.base).trees[0], how)
    assert await changed(workspace) == ["README", "kept/own", "mine", "other"]
    collected = await workspace.collect("only what the session did")
    assert yard.sample.git("diff", "--name-only", yard.base, collected.commit).split() == [
        *("README", "kept/own", "mine", "other")
    ]
    assert await yard.run(workspace, "cat kept/a kept/deep/b other; test ! -e kept/evil") == "a\nb\no\nmore\n"


async def test_a_change_that_git_may_not_see_is_in_no_result_and_gone_with_the_next_daemon(
    yard: Yard, house: InstantWorkspaces, workspace: Workspace
) -> None:
    await yard.run(workspace, "echo mine > mine")
    tampered(house.bases.of(yard.base).trees[0], "written unseen")
    assert await changed(workspace) == ["mine"]
    later = await (await yard.open()).find(ID)
    assert later is not None
    assert await yard.run(later, "cat kept/a mine; git status --porcelain") == "a\nmine\n?? mine\n"


@pytest.mark.parametrize("how", [*TAMPERED, "written unseen"])
async def test_a_base_that_was_changed_while_no_daemon_ran_is_not_given_to_a_session(
    yard: Yard, house: InstantWorkspaces, how: str
) -> None:
    base = await house.bases.ensure(yard.base)
    tampered(base.trees[0], how)
    fresh = await yard.make(await yard.open(), "t2-1-execute-1")
    assert await yard.run(fresh, "cat kept/a kept/deep/b; test ! -e kept/evil; git status --porcelain") == "a\nb\n"


@pytest.mark.parametrize("how", ["written", "gone"])
async def test_a_layer_over_a_base_that_was_changed_is_laid_out_anew_too(
    yard: Yard, house: InstantWorkspaces, how: str
) -> None:
    below = (await house.bases.ensure(yard.base)).trees[0]
    yard.sample.commit({"other": "newer\n"})
    workspace = await yard.make(house, ID)
    assert len(house.bases.of(yard.base).trees) == 2
    await yard.run(workspace, "echo mine > mine")
    tampered(below, how)
    assert await changed(workspace) == ["mine"]
    collected = await workspace.collect("a result is read by git, which sees what is not the session's")
    assert [change.path for change in collected.changes.paths] == ["mine"]
    assert await yard.run(workspace, "cat kept/a other mine; git status --porcelain") == "a\nnewer\nmine\n?? mine\n"


@pytest.mark.parametrize("how", ["written", "half gone", "gone"])
async def test_nothing_is_read_over_a_changed_base_while_a_session_works_and_everything_when_it_ended(
    yard: Yard, house: InstantWorkspaces, workspace: Workspace, how: str
) -> None:
    held = await yard.enter(workspace, "echo mine > mine; echo up; cat; echo late > late; sync", key="k")
    await heard(held, b"up")
    tampered(house.bases.of(yard.base).trees[0], how)
    for _ in range(2):
        with pytest.raises(OutsideError) as caught:
            await workspace.collect("never")
        assert slug(caught) == "base-changed"
        assert "end the session" in caught.value.hint
    assert yard.sample.git("for-each-ref", "refs/heddle/results") == ""
    other = await yard.make(house, "t2-1-execute-1")
    assert await yard.run(other, "cat kept/a kept/deep/b") == "a\nb\n"
    assert held.ended() is None
    await held.close_input()
    await held.exit()
    assert await changed(workspace) == ["late", "mine"]
    assert await yard.run(workspace, "cat kept/a late mine") == "a\nlate\nmine\n"


async def test_a_base_that_was_set_aside_is_swept_away_in_its_time(yard: Yard, house: InstantWorkspaces) -> None:
    base = await house.bases.ensure(yard.base)
    tampered(base.trees[0], "written")
    house.bases.doubt(yard.base)
    await house.bases.ensure(yard.base)
    aside = [path.name for path in house.bases.root.iterdir() if path.name.startswith(".changed-")]
    assert len(aside) == 1
    await house.empty_trash(10**9)
    assert (house.bases.root / aside[0]).exists()
    yard.clock.time += 10**9
    await house.empty_trash(0)
    assert list(house.bases.root.iterdir()) == []


# ------------------------------------------------------------------------------------------------ moved checkouts


@pytest.mark.parametrize("kind", ["instant", "clone", "worktree"])
async def test_a_checkout_that_is_renamed_is_told_and_renamed_back_everything_is_there(
    tmp_path: Path, kind: str
) -> None:
    sample = Sample(tmp_path)
    yard = Yard(kind, tmp_path / "state", Path(os.environ["HEDDLE_RUNTIME_DIR"]), sample)
    try:
        house = await yard.open()
        workspace = await yard.make(house, ID)
        await yard.run(workspace, "echo mine > mine; git add mine; git commit -q -m own; rm README")
        elsewhere = sample.path.with_name("elsewhere")
        sample.path.rename(elsewhere)
        for ask in (
            workspace.changes,
            lambda: workspace.collect("never"),
            lambda: workspace.enter(Command("k2", ("true",), "")),
            lambda: workspace.export(tmp_path / "never"),
            workspace.remove,
        ):
            with pytest.raises(OutsideError) as caught:
                await ask()  # type: ignore[operator]
            assert slug(caught) == "workspace-lost"
            assert "moved or is gone" in caught.value.message
        with pytest.raises(UserError) as missing:
            await yard.open()
        assert slug(missing) == "no-such-directory"
        assert not os.path.lexists(sample.path), "nothing takes the place that it had"
        elsewhere.rename(sample.path)
        for one in (house, await yard.open()):
            await _all_there(yard, one)
    finally:
        await yard.close()


async def _all_there(yard: Yard, house: Workspaces) -> None:
    found = await house.find(ID)
    assert found is not None
    assert await changed(found) == ["README", "mine"]
    assert await yard.run(found, "cat mine; git log -1 --format=%s; git status --porcelain") == "mine\nown\n D README\n"
