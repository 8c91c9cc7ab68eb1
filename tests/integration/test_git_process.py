"""The one chokepoint: bounded, scrubbed, and every failure told for what it is."""

import asyncio
import contextlib
import os
from pathlib import Path

import pytest

from heddle.adapters.git.commands import Output, Place, failure
from heddle.adapters.git.process import Git
from heddle.core.errors import OutsideError
from repositories import Sample, environment

pytestmark = pytest.mark.asyncio


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    folder = tmp_path / "tools"
    folder.mkdir()
    return folder


def git_that(tools: Path, script: str, *, at_once: int = 8) -> Git:
    (tools / "git").write_text(f"#!/bin/sh\n{script}\n")
    (tools / "git").chmod(0o755)
    return Git(environment(tools.parent) | {"PATH": f"{tools}:{os.environ['PATH']}"}, at_once=at_once)


async def test_a_failure_names_program_arguments_status_and_what_was_said(tools: Path) -> None:
    with pytest.raises(OutsideError) as caught:
        await git_that(tools, "echo first >&2; echo 'fatal: last' >&2; exit 3").run("frob", "--x", "y")
    assert caught.value.facts == {
        "program": "git",
        "args": ["frob", "--x", "y"],
        "exit": 3,
        "tail": "first\nfatal: last",
    }
    assert "fatal: last" in caught.value.message and "\n" not in caught.value.message


async def test_a_signal_is_told_as_such(tools: Path) -> None:
    with pytest.raises(OutsideError) as caught:
        await git_that(tools, "kill -9 $$").run("frob")
    assert caught.value.facts["signal"] == 9 and "exit" not in caught.value.facts


async def test_a_command_that_hangs_is_ended_with_all_it_started(tools: Path) -> None:
    # The shell ends on the signal; only the group's signal can end its child.
    git = git_that(tools, f"sleep 1000 & echo $! > {tools}/child; wait")
    with pytest.raises(OutsideError) as caught:
        await git.run("frob", timeout_s=0.5)
    assert caught.value.slug == "git-timeout"
    await until_ended(int((tools / "child").read_text()))


async def test_a_cancelled_command_is_ended(tools: Path) -> None:
    os.mkfifo(tools / "ready")
    git = git_that(tools, f"echo $$ > {tools}/ready; exec sleep 1000")
    running = asyncio.ensure_future(git.run("frob"))
    pid = int(await asyncio.to_thread((tools / "ready").read_text))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await until_ended(pid)


async def test_output_without_end_is_cut(tools: Path) -> None:
    git = git_that(tools, "exec yes")
    with pytest.raises(OutsideError) as caught:
        await git.run("frob", limit=1000)
    assert caught.value.slug == "output-limit"
    output = await git.run("frob", limit=1000, cut=True)
    assert output.cut and len(output.out) == 1000


async def test_much_output_on_both_channels_does_not_block(tools: Path) -> None:
    git = git_that(tools, "head -c 3000000 /dev/zero >&2; cat; head -c 3000000 /dev/zero")
    output = await git.run("frob", stdin=b"x" * 1_000_000)
    assert len(output.out) == 4_000_000


async def test_only_so_many_run_at_once(tools: Path) -> None:
    """Each command notes how many live beside it."""
    script = f"mkdir {tools}/live.$$; ls -d {tools}/live.* | wc -l; head -c 30000000 /dev/zero | cksum >&2; rmdir {tools}/live.$$"
    git = git_that(tools, script, at_once=2)
    outputs = await asyncio.gather(*(git.run("frob") for _ in range(8)))
    assert {int(output.text) for output in outputs} <= {1, 2}


async def test_no_room_and_locks_are_told_apart() -> None:
    said = {
        "fatal: write error: No space left on device": "disk-full",
        "error: Disk quota exceeded": "disk-full",
        "fatal: sha1 file '<stdout>' write error. Out of diskspace": "disk-full",
        "fatal: Unable to create '/a b/.git/index.lock': File exists.": "git-busy",
        "fatal: prepare: cannot lock ref 'refs/heads/main': Unable to create '/r/main.lock': File exists.": "git-busy",
        "error: could not lock config file .git/config: File exists": "git-busy",
        "fatal: could not fetch 12 from promisor remote": "objects-missing",
        "fatal: bad object": "git-failed",
    }
    for tail, slug in said.items():
        assert failure(("frob",), Output(128, b"", tail.encode())).slug == slug, tail


async def test_a_full_disk_is_told_by_a_real_git(tmp_path: Path) -> None:
    """/dev/full refuses every write for want of room."""
    sample = Sample(tmp_path)
    git = Git(sample.env)
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OutsideError) as caught:
        await git.run("log", "-1", place=Place(sample.git_dir, sample.path), stdout=full)
    assert caught.value.slug == "disk-full"


async def test_a_lock_of_another_git_is_told_by_a_real_git(tmp_path: Path) -> None:
    sample = Sample(tmp_path)
    (sample.git_dir / "index.lock").touch()
    with pytest.raises(OutsideError) as caught:
        await Git(sample.env).run("read-tree", "HEAD", place=Place(sample.git_dir, sample.path))
    assert caught.value.slug == "git-busy"


async def test_a_directory_that_went_away_is_no_missing_git(tmp_path: Path) -> None:
    with pytest.raises(OutsideError) as caught:
        await Git(environment(tmp_path)).run("version", cwd=tmp_path / "gone")
    assert caught.value.slug == "directory-missing"


async def until_ended(pid: int) -> None:
    """Wait until a process is gone, or dead and not yet reaped."""
    async with asyncio.timeout(20):
        with contextlib.suppress(FileNotFoundError):
            while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                await asyncio.sleep(0)
