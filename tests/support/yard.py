"""A repository with a maker of workspaces, for tests: real git, real held processes, a clock of the test's own."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from heddle.adapters.git import GitRepository, open_repository, worktrees
from heddle.adapters.git.worktrees import GitWorktrees
from heddle.adapters.sandbox.none import Unconfined
from heddle.adapters.workspaces import faults
from heddle.adapters.workspaces.memory import MemoryWorkspaces
from heddle.adapters.workspaces.worktree import WorktreeWorkspaces
from heddle.ports import Command, Held, Workspace, WorkspaceOrder, Workspaces
from repositories import Sample

LIMIT = 10_000
"""The size limit of a file in a result."""


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
    sandboxes: list[Unconfined] = field(default_factory=list)

    async def open(self) -> Workspaces:
        sandbox = Unconfined(self.folder / "held", self.runtime, self.sample.env)
        self.sandboxes.append(sandbox)
        repository = await open_repository(self.sample.path, self.sample.env)
        return PROVIDERS[self.kind](self.folder, repository, sandbox, self.clock)

    async def make(self, house: Workspaces, id: str = "t1-1-execute-1", start: str = "") -> Workspace:
        return await house.create(WorkspaceOrder(id, self.base, start))

    @property
    def base(self) -> str:
        return self.sample.git("rev-parse", "refs/heads/main")

    async def enter(self, workspace: Workspace, script: str, *, key: str = "", cwd: str = "") -> Held:
        """Start a shell script inside."""
        env = {"GIT_CONFIG_GLOBAL": self.sample.env["GIT_CONFIG_GLOBAL"], "GIT_CONFIG_NOSYSTEM": "1"}
        key = key or f"{workspace.id}.{len(list((self.folder / 'held').glob('*')))}"
        return await workspace.enter(Command(key, ("sh", "-ec", script), cwd, env, stdin="pipe"))

    async def run(self, workspace: Workspace, script: str, *, cwd: str = "") -> str:
        """Run a shell script inside to its end; returns what it wrote."""
        held = await self.enter(workspace, script, cwd=cwd)
        ended = await held.exit()
        assert ended.ok, (ended, held.load_errors().decode())
        return held.load_output().decode()

    async def close(self) -> None:
        for key in await self.sandboxes[0].live() if self.sandboxes else ():
            held = await self.sandboxes[0].find(key)
            assert held is not None
            await held.stop(0)
        for sandbox in self.sandboxes:
            await sandbox.close()


def _worktree(folder: Path, repository: GitRepository, sandbox: Unconfined, clock: Clock) -> Workspaces:
    trees = GitWorktrees(repository.store)
    root, trash = folder / "workspaces", folder / "trash"
    return WorktreeWorkspaces(root, trash, repository, trees, sandbox, clock, max_file_bytes=LIMIT)


def _memory(folder: Path, repository: GitRepository, sandbox: Unconfined, clock: Clock) -> Workspaces:
    trees = GitWorktrees(repository.store)
    return MemoryWorkspaces(folder / "scratch", repository, trees, sandbox, clock, max_file_bytes=LIMIT)


PROVIDERS: dict[str, Callable[[Path, GitRepository, Unconfined, Clock], Workspaces]] = {
    "worktree": _worktree,
    "memory": _memory,
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
