"""Looks at an instant workspace: one at what nobody touched costs no process, and none ever tells what is over."""

import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from heddle.adapters.sandbox.box import Box
from heddle.adapters.workspaces.instant import stamp as stamps
from heddle.adapters.workspaces.instant.layout import LayerLayout
from heddle.adapters.workspaces.instant.stamp import stamp
from heddle.adapters.workspaces.instant.workspace import InstantWorkspace
from heddle.adapters.workspaces.private import looks
from heddle.adapters.workspaces.private.looks import MAPPED_NS, SETTLING_NS, Look, Stamp, sure
from heddle.ports import Changes, Ran, Workspace
from repositories import Sample
from support.yard import Yard

WORK = "echo one > first; echo two >> README; mkdir deep; echo x > deep/file; echo s > notes.log"
NOTHING = Changes(())


@pytest_asyncio.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    made = Yard("instant", tmp_path / "state", Path(os.environ["HEDDLE_RUNTIME_DIR"]), Sample(tmp_path))
    yield made
    await made.close()


@dataclass
class Readings:
    """How often something was read, by git in a box or at a glance."""

    boxed: int = 0
    glances: int = 0

    @property
    def count(self) -> int:
        return self.boxed + self.glances


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> Readings:
    """Counted; and what has been left alone for a moment counts as settled."""
    monkeypatch.setattr(looks, "SETTLING_NS", 50_000_000)
    counted, run_in, glance = Readings(), Box.run_in, InstantWorkspace.glance

    async def counting(self: Box, *told: Any, **more: Any) -> Ran:
        counted.boxed += 1
        return await run_in(self, *told, **more)

    async def glancing(self: InstantWorkspace) -> Changes | None:
        found = await glance(self)
        counted.glances += found is not None
        return found

    monkeypatch.setattr(Box, "run_in", counting)
    monkeypatch.setattr(InstantWorkspace, "glance", glancing)
    return counted


async def settled(workspace: Workspace, readings: Readings) -> Changes:
    """What is told of a workspace without reading it."""
    for _ in range(100):
        before = readings.count
        found = await workspace.changes()
        if readings.count == before:
            return found
    raise AssertionError("every look reads")


def layer(yard: Yard, workspace: Workspace) -> LayerLayout:
    return LayerLayout(yard.folder / "workspaces", workspace.id)


# ------------------------------------------------------------------------------------------------ looks


async def test_a_look_at_what_nobody_touched_since_reads_nothing(yard: Yard, readings: Readings) -> None:
    workspace = await yard.make(await yard.open())
    await yard.run(workspace, WORK)
    fresh = await workspace.changes()
    assert readings.count == 1
    assert [change.path for change in fresh.paths] == ["README", "deep/file", "first", "notes.log"]
    assert await settled(workspace, readings) == fresh
    await yard.run(workspace, "cat first README; git status; git log; git diff > /dev/null")
    assert await settled(workspace, readings) == fresh


CHANGES = {
    "the content alone, size and times kept": "touch -r first /tmp/was; printf 'eno\\n' > first; touch -r /tmp/was first",
    "a file over another, all else kept": "cp -p first new; echo uno > new; touch -r first new; mv new first",
    "a folder anew in the place of the base's": "rm -r src; mkdir src",
    "one file of the base gone": "rm src/app.py",
    "a right": "chmod +x first",
    "a name": "mv first second",
    "a link led elsewhere": "ln -sfn README link",
    "all as it was": "rm -r first deep notes.log link; git checkout -q README",
    "what is ignored": "echo 'deep/' > .gitignore",
    "what this clone ignores, by a setting": "echo 'first' > ~/.config/git/ignore",
    "what is ignored, by a file elsewhere": "echo first > /tmp/i; git config --global core.excludesFile /tmp/i",
    "the index alone": "git update-index --assume-unchanged README",
    "the index alone, of what is ignored": "echo README > .git/../.gitignore; git rm -q --cached README",
    "a repository made of a folder": "git init -q deep",
    "HEAD gone": "git update-ref --no-deref -d HEAD 2>/dev/null; rm -f .git/HEAD; echo 'ref: refs/heads/no' > .git/HEAD",
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_shows_in_the_next_look(change: str, yard: Yard, readings: Readings) -> None:
    workspace = await yard.make(await yard.open())
    await yard.run(workspace, f"{WORK}; ln -s first link; mkdir -p ~/.config/git; touch ~/.config/git/ignore")
    before = await settled(workspace, readings)
    await yard.run(workspace, CHANGES[change])
    count = readings.count
    if change == "HEAD gone":
        with pytest.raises(Exception, match="cannot be read"):
            await workspace.changes()
        return
    now = await workspace.changes()
    assert readings.count > count, "it was read"
    again = await (await yard.open()).find(workspace.id)
    assert again is not None
    assert now == await again.changes()
    same = ("the content alone, size and times kept", "a file over another, all else kept", "a right")
    told = (now.paths, now.refused) == (before.paths, before.refused)
    assert told == (change in (*same, "a link led elsewhere")), "what is told is lines, not content"
    assert not told or now.tree != before.tree, "but for the tree of it all"


async def test_each_of_many_quick_changes_shows(yard: Yard, readings: Readings) -> None:
    workspace = await yard.make(await yard.open())
    for number in range(6):
        await yard.run(workspace, f"echo {number} > same; touch -d @1000000000 same; echo > new{number}")
        assert f"new{number}" in {change.path for change in (await workspace.changes()).paths}
        collected = await workspace.collect("all")
        assert yard.sample.git("show", f"{collected.commit}:same") == str(number)


async def test_a_change_while_it_is_read_shows_in_the_next_look(
    yard: Yard, readings: Readings, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = await yard.make(await yard.open())
    await yard.run(workspace, f"{WORK}; git add first")
    before = await settled(workspace, readings)
    await yard.run(workspace, "echo > second")
    run_in = Box.run_in

    async def disturbed(self: Box, *told: Any, **more: Any) -> Ran:
        ran = await run_in(self, *told, **more)
        await yard.run(workspace, "echo > third")
        return ran

    with monkeypatch.context() as patch:
        patch.setattr(Box, "run_in", disturbed)
        assert len((await workspace.changes()).paths) == len(before.paths) + 1
    assert len((await settled(workspace, readings)).paths) == len(before.paths) + 2


async def test_what_git_reads_elsewhere_is_read_each_time(yard: Yard, readings: Readings) -> None:
    workspace = await yard.make(await yard.open())
    await yard.run(workspace, f"{WORK}; git config --global core.excludesFile /tmp/ignored; echo first > /tmp/ignored")
    assert "first" not in {change.path for change in (await workspace.changes()).paths}
    held = await yard.enter(workspace, "echo deep/ > /tmp/ignored; exec cat")
    for _ in range(100):
        if "first" in {change.path for change in (await workspace.changes()).paths}:
            break
    else:
        raise AssertionError("an old answer was told again and again")
    await held.stop(0)


async def test_a_look_at_one_that_nobody_entered_makes_no_box(yard: Yard, readings: Readings) -> None:
    house = await yard.open()
    workspace = await yard.make(house)
    assert await workspace.changes() == NOTHING
    other = await yard.make(house, "t2", start=yard.sample.aside({"more": "m\n"}))
    assert readings.count == 0
    assert [change.path for change in (await other.changes()).paths] == ["more"]


# ------------------------------------------------------------------------------------------------ removal


async def test_one_that_nobody_entered_goes_without_being_read(
    yard: Yard, readings: Readings, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = await yard.open()
    workspace = await yard.make(house)
    other = await yard.make(house, "t2", start=yard.sample.aside({"more": "m\n"}))
    for one in (workspace, other):
        removed = await one.remove()
        assert (removed.recovery, removed.trashed) == ("", True)
    assert readings.count == 0
    assert await house.ids() == ()
    looked_at = await yard.make(house, "t3", start=yard.sample.aside({"more": "m\n"}))
    await looked_at.changes()
    count = readings.count
    assert (await looked_at.remove()).recovery == ""
    assert readings.count == count


async def test_what_was_included_is_kept_though_nobody_entered(yard: Yard, tmp_path: Path) -> None:
    sample = yard.sample
    sample.commit({".worktreeinclude": "*.env\n"})
    sample.write({"mine.env": "S=1\n"})
    (sample.path / ".git/info/exclude").write_text("*.env\n")
    house = await yard.open()
    workspace = await yard.make(house)
    mine = layer(yard, workspace).git / "info/exclude"
    mine.write_text("")  # nothing is ignored there, whatever was here
    recovery = (await workspace.remove()).recovery
    assert recovery
    await house.restore(recovery, tmp_path / "back")
    assert (tmp_path / "back" / "mine.env").read_text() == "S=1\n"


@pytest.mark.parametrize("script", ["echo x > x", "git commit -q --allow-empty -m own", "git rm -q --cached README"])
async def test_work_is_kept_also_when_nobody_knows_who_entered(script: str, yard: Yard) -> None:
    workspace = await yard.make(await yard.open())
    await yard.run(workspace, script)
    shutil.rmtree(layer(yard, workspace).keys)
    found = await (await yard.open()).find(workspace.id)
    assert found is not None
    assert (await found.remove()).recovery


# ------------------------------------------------------------------------------------------------ stamps

OLD = Stamp(b"a", 0, MAPPED_NS * 10)
"""Of files that were left alone for long."""


def test_in_doubt_nothing_is_told_again() -> None:
    fresh = replace(OLD, youngest_ns=OLD.taken_ns - SETTLING_NS)
    ahead = replace(OLD, youngest_ns=OLD.taken_ns + 1)
    other = replace(OLD, digest=b"b")
    assert sure(OLD, replace(OLD, taken_ns=OLD.taken_ns + 1)) == OLD
    for before, after in ((None, OLD), (OLD, None), (OLD, other), (fresh, fresh), (ahead, ahead)):
        assert sure(before, after) is None
    look = Look(NOTHING, b"", OLD)
    assert look.holds(replace(OLD, taken_ns=OLD.taken_ns * 1000))
    assert not look.holds(other)
    assert not look.holds(None)
    assert not Look(NOTHING, b"").holds(OLD)


def test_what_may_have_been_written_through_a_map_is_read_again_before_long() -> None:
    young = replace(OLD, youngest_ns=OLD.taken_ns - MAPPED_NS)
    look = Look(NOTHING, b"", young)
    assert look.holds(replace(young, taken_ns=young.taken_ns + MAPPED_NS - 1))
    assert not look.holds(replace(young, taken_ns=young.taken_ns + MAPPED_NS))
    assert not look.holds(replace(young, taken_ns=young.taken_ns - 1)), "the clock was set back"


@pytest.fixture
def layout(tmp_path: Path) -> LayerLayout:
    made = LayerLayout(tmp_path, "t1")
    made.make_rooms()
    made.git.mkdir()
    (made.git / "HEAD").write_text("x\n")
    return made


def test_what_reading_itself_writes_changes_no_stamp(layout: LayerLayout) -> None:
    def digest() -> bytes:
        found = stamp(layout)
        assert found is not None
        return found.digest

    before = digest()
    for name in ("heddle", "objects/ab", "refs/heddle"):
        (layout.git / name).mkdir(parents=True)
        (layout.git / name / "x").write_text("x")
    (layout.git / "refs/heddle/x").unlink()
    assert digest() != before, "the folder for refs is new"
    before = digest()
    (layout.git / "refs/heddle/out").write_text("x")
    (layout.git / "objects/ab/y").write_text("x")
    assert digest() == before
    (layout.git / "index").write_text("x")
    assert digest() != before


def test_a_folder_has_times_too_for_a_layer_notes_there_what_it_hides(layout: LayerLayout) -> None:
    (layout.tree / "folder").mkdir()
    for folder in (layout.tree / "folder", layout.tree):
        before, was = stamp(layout), folder.stat()
        os.utime(folder, ns=(was.st_atime_ns, was.st_mtime_ns + 1))
        after = stamp(layout)
        assert before is not None and after is not None
        assert before.digest != after.digest


def test_what_is_odd_has_no_stamp(layout: LayerLayout, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = layout.home / ".gitconfig"
    plain = settings.read_bytes()
    assert stamp(layout) is not None
    for text in (b"[include]\npath = /tmp/x\n", b"[core]\n\tExcludesFile = /tmp/x\n", b"#" * 70_000):
        settings.write_bytes(text)
        assert stamp(layout) is None
    settings.unlink()
    assert stamp(layout) is not None
    os.mkfifo(settings)
    assert stamp(layout) is None
    settings.unlink()
    settings.symlink_to(layout.tmp / "elsewhere")
    assert stamp(layout) is None
    settings.unlink()
    settings.write_bytes(plain)
    (layout.git / "refs").symlink_to(layout.tmp)
    assert stamp(layout) is None
    (layout.git / "refs").unlink()
    (layout.tree / "link").symlink_to("/")
    assert stamp(layout) is not None, "a link of the tree is content"
    monkeypatch.setattr(stamps, "MOST", 3)
    assert stamp(layout) is None


def test_endless_depth_has_no_stamp_and_leaves_no_descriptor(layout: LayerLayout) -> None:
    here = os.open(layout.tree, os.O_RDONLY)
    for _ in range(300):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    before = len(os.listdir("/proc/self/fd"))
    assert stamp(layout) is None
    assert len(os.listdir("/proc/self/fd")) == before
