"""A repository with a maker of workspaces, for tests: real git, real held processes, a clock of the test's own."""

import json
import shlex
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from heddle.adapters.git import GitRepository, open_repository, worktrees
from heddle.adapters.git.privates import GitPrivates
from heddle.adapters.git.worktrees import GitWorktrees
from heddle.adapters.sandbox.box import Box
from heddle.adapters.sandbox.landlock import Landlock
from heddle.adapters.sandbox.none import Unconfined
from heddle.adapters.sandbox.strong import StrongBox
from heddle.adapters.workspaces import faults
from heddle.adapters.workspaces.apart import PortBlocks
from heddle.adapters.workspaces.clone import CloneWorkspaces
from heddle.adapters.workspaces.instant import InstantWorkspaces
from heddle.adapters.workspaces.memory import MemoryWorkspaces
from heddle.adapters.workspaces.worktree import WorktreeWorkspaces
from heddle.holder.reaper import marked
from heddle.ports import Command, Held, Workspace, WorkspaceOrder, Workspaces
from repositories import Sample

DESTROY = {
    "deleted": 'd="$PWD"; cd /; rm -r "$d"',
    "emptied": "rm -r ./* .git",
    "replaced": 'd="$PWD"; cp -a "$d" "$d.new"; cd /; rm -r "$d"; mv "$d.new" "$d"; echo claim > "$d/claim"',
    "a link": 'd="$PWD"; cd /; mv "$d" "$d.moved"; ln -s "$d.moved" "$d"',
}
"""What an agent may do to the place it works in."""

LIMIT = 10_000
"""The size limit of a file in a result."""

BOUND_MB = 192
"""What a bounded box may take of memory."""

OBJECT_MB = 16
"""What one object of a session's may take of the host's memory."""


class Crash(BaseException):
    """Stands for kill -9 of the daemon at a step."""


@dataclass
class Clock:
    """A clock that moves when it is told to."""

    time: float = 1_700_000_000.0

    def now(self) -> float:
        return self.time


@dataclass
class Yard:
    """Workspaces of one kind, opened again and again as after restarts of the daemon."""

    kind: str
    folder: Path
    runtime: Path
    sample: Sample
    clock: Clock = field(default_factory=Clock)
    sandboxes: list[Unconfined | Landlock | Box] = field(default_factory=list)

    async def open(self) -> Workspaces:
        sandbox = SANDBOXES.get(self.kind, Unconfined)(self.folder / "held", self.runtime, self.sample.env)
        self.sandboxes.append(sandbox)
        repository = await open_repository(self.sample.path, self.sample.env)
        return PROVIDERS[self.provider](self.folder, repository, sandbox, self.clock)

    async def make(self, house: Workspaces, id: str = "t1-1-execute-1", start: str = "") -> Workspace:
        return await house.create(WorkspaceOrder(id, self.base, start))

    @property
    def provider(self) -> str:
        return STRONGER.get(self.kind, self.kind)

    @property
    def base(self) -> str:
        return self.sample.git("rev-parse", "refs/heads/main")

    async def enter(self, workspace: Workspace, script: str, *, key: str = "", cwd: str = "") -> Held:
        """Start a shell script inside."""
        env = {"GIT_CONFIG_NOSYSTEM": "1"}
        if self.kind not in SANDBOXES:  # there the session has a HOME of its own
            env["GIT_CONFIG_GLOBAL"] = self.sample.env["GIT_CONFIG_GLOBAL"]
        key = key or f"{workspace.id}.{len(list((self.folder / 'held').glob('*')))}"
        return await workspace.enter(Command(key, ("sh", "-ec", script), cwd, env, stdin="pipe"))

    async def run(self, workspace: Workspace, script: str, *, cwd: str = "") -> str:
        """Run a shell script inside to its end; returns what it wrote."""
        held = await self.enter(workspace, script, cwd=cwd)
        ended = await held.exit()
        assert ended.ok, (ended, held.load_errors().decode())
        return held.load_output().decode()

    async def destroy(self, workspace: Workspace, how: str) -> None:
        """Take the place of the tree away, from inside where that can be done, else from outside."""
        if self.kind not in SANDBOXES:
            held = await self.enter(workspace, f"{DESTROY[how]}; echo gone; exec cat", key="k")
            return await heard(held, b"gone")
        await heard(await self.enter(workspace, "echo here; exec cat", key="k"), b"here")
        own = self.folder / "workspaces" / workspace.id
        git = own / ("git" if self.provider == "instant" else "tree/.git")
        place = git if how == "emptied" else own / "tree"
        aside = place.with_name("aside")
        place.rename(aside)
        if how == "replaced":
            shutil.copytree(aside, place)
        elif how == "a link":
            place.symlink_to(aside)

    def living(self, key: str) -> list[int]:
        """Processes of this machine that belong to the held process of a key."""
        specs = (json.loads(path.read_bytes()) for path in (self.folder / "held").glob("*/spec.json"))
        return [pid for spec in specs if spec["key"] == key for pid in marked(spec["marker"])]

    def forget_shared(self) -> None:
        """Remove what workspaces share and is made once, so that making it is among the steps of the next one."""
        shutil.rmtree(self.folder / "bases", ignore_errors=True)

    async def close(self) -> None:
        for path in sorted((self.folder / "held").glob("*/spec.json")) if self.sandboxes else ():
            held = await self.sandboxes[0].find(json.loads(path.read_bytes())["key"])
            if held is not None and held.ended() is None:
                await held.stop(0)
        for sandbox in self.sandboxes:
            await sandbox.close()


def _worktree(folder: Path, repository: GitRepository, sandbox: Unconfined, clock: Clock) -> Workspaces:
    trees = GitWorktrees(repository.store)
    root, trash = folder / "workspaces", folder / "trash"
    ports = PortBlocks(root.with_name("ports"))
    return WorktreeWorkspaces(root, trash, repository, trees, sandbox, clock, ports, max_file_bytes=LIMIT)


def _memory(folder: Path, repository: GitRepository, sandbox: Unconfined, clock: Clock) -> Workspaces:
    trees = GitWorktrees(repository.store)
    return MemoryWorkspaces(folder / "scratch", repository, trees, sandbox, clock, max_file_bytes=LIMIT)


def _clone(folder: Path, repository: GitRepository, sandbox: Unconfined | Landlock, clock: Clock) -> Workspaces:
    trees, privates = GitWorktrees(repository.store), GitPrivates(repository.store, OBJECT_MB)
    parts = (repository, trees, privates, sandbox, clock, PortBlocks(folder / "ports"))
    return CloneWorkspaces(folder / "workspaces", folder / "trash", *parts, max_file_bytes=LIMIT)


def _instant(folder: Path, repository: GitRepository, sandbox: Unconfined | Box, clock: Clock) -> Workspaces:
    assert isinstance(sandbox, Box)
    places = (folder / "workspaces", folder / "trash", folder / "bases", folder / "layers")
    trees, privates = GitWorktrees(repository.store), GitPrivates(repository.store, OBJECT_MB)
    return InstantWorkspaces(*places, repository, trees, privates, sandbox, clock, max_file_bytes=LIMIT)


PROVIDERS: dict[str, Callable[[Path, GitRepository, Any, Clock], Workspaces]] = {
    "worktree": _worktree,
    "memory": _memory,
    "instant": _instant,
    "clone": _clone,
    "confined": _clone,
}
STRONGER = {"strong": "instant", "bounded": "instant"}
"""The provider of kinds that differ in the sandbox alone."""

SANDBOXES: dict[str, Callable[[Path, Path, Mapping[str, str]], Unconfined | Landlock | Box]] = {
    "instant": Box,
    "confined": Landlock,
    "strong": StrongBox,
    "bounded": partial(StrongBox, memory_mb=BOUND_MB),
}


async def heard(held: Held, wanted: bytes) -> None:
    """Listen until `wanted` is in the output."""
    said = b""
    async for chunk in held.output():
        said += chunk.data
        if wanted in said:
            return
    raise AssertionError(f"ended without {wanted!r}: {said!r} {held.load_errors()!r}")


def writes(files: dict[str, bytes]) -> str:
    """A shell script that writes files, byte for byte."""
    lines = []
    for name, data in files.items():
        octal = "".join(f"\\{byte:03o}" for byte in data)
        lines.append(f"mkdir -p {shlex.quote(str(Path(name).parent))}; printf '{octal}' > {shlex.quote(name)}")
    return "\n".join(lines)


class Steps:
    """The steps that an operation takes, and a fault after the one that is chosen."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.taken: list[str] = []
        self._at = -1
        self._fault: Callable[[], BaseException] = Crash
        monkeypatch.setattr(faults, "step", self._step)
        monkeypatch.setattr(worktrees, "step", self._step)

    def arm(self, at: int, fault: Callable[[], BaseException]) -> None:
        """Raise `fault` after step number `at` from now on."""
        self.taken, self._at, self._fault = [], at, fault

    def disarm(self) -> None:
        """No fault any more."""
        self.taken, self._at = [], -1

    def _step(self, name: str) -> None:
        self.taken.append(name)
        if len(self.taken) == self._at + 1:
            raise self._fault()
