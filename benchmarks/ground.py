"""What benchmarks of workspaces and boxes stand on: a generated repository, instant workspaces of it, bare worktrees."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from heddle.adapters.git import open_repository
from heddle.adapters.git.privates import GitPrivates
from heddle.adapters.git.worktrees import GitWorktrees
from heddle.adapters.sandbox.box import Box
from heddle.adapters.workspaces.instant import InstantWorkspaces
from heddle.ports import Command, Workspace, WorkspaceOrder

T = TypeVar("T")

PER_FOLDER = 40
LINE = b"def function_%d(first, second):\n    return first * second + %d\n\n\n"


class WallClock:
    """The time of day."""

    def now(self) -> float:
        """Unix seconds."""
        return time.time()


@dataclass
class Ground:
    """A folder with a checked out repository of `files` files, and whatever a benchmark makes of it."""

    folder: Path
    files: int
    made: int = field(default=0)

    def __post_init__(self) -> None:
        self.checkout, self.runtime = self.folder / "project", self.folder / "run"
        config = self.folder / "gitconfig"
        config.write_text("[user]\n\tname = Bench\n\temail = bench@example.com\n[advice]\n\tdetachedHead = false\n")
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "GIT_CONFIG_GLOBAL": str(config),
            "GIT_CONFIG_NOSYSTEM": "1",
            "LC_ALL": "C.UTF-8",
        }
        self.checkout.mkdir()
        self.git("init", "-q", "-b", "main")
        self.git("fast-import", "--quiet", stdin=b"".join(_commit(self.files)))
        self.git("reset", "-q", "--hard", "main")
        self.base = self.git("rev-parse", "main").decode().strip()
        os.sync()

    def git(self, *words: str, cwd: Path | None = None, stdin: bytes | None = None) -> bytes:
        """The person's own git; what it said."""
        done = subprocess.run(
            ("git", *words), cwd=cwd or self.checkout, env=self.env, input=stdin, stdout=subprocess.PIPE, check=True
        )
        return done.stdout

    async def lay_base(self, house: InstantWorkspaces) -> None:
        """Have the base tree, and on disk: an fsync of anything later would wait for all of it."""
        await house.bases.ensure(self.base)
        os.sync()

    def next_commit(self, changed: int) -> str:
        """A commit on top of the base that changes so many files; no branch moves."""
        self.made += 1
        ref = f"refs/heads/next{self.made}"
        lines = [b"commit %s\ncommitter Bench <bench@example.com> 1700000001 +0000\n" % ref.encode()]
        lines.append(b"data 4\nnext\nfrom %s\n" % self.base.encode())
        for number in range(changed):
            folder, data = number // PER_FOLDER, b"# changed %d\n" % self.made
            path = b"src/part%d/group%d/file%d.py" % (folder // 20, folder, number)
            lines.append(b"M 100644 inline %s\ndata %d\n%s\n" % (path, len(data), data))
        self.git("fast-import", "--quiet", stdin=b"".join(lines))
        return self.git("rev-parse", ref).decode().strip()

    def add_worktree(self) -> Path:
        """The baseline: a plain worktree."""
        self.made += 1
        path = self.folder / "worktrees" / str(self.made)
        self.git("worktree", "add", "-q", "--detach", str(path), "main")
        return path

    @asynccontextmanager
    async def house(self) -> AsyncIterator[InstantWorkspaces]:
        """Instant workspaces of the repository; boxes that are left end with it."""
        box = Box(self.folder / "held", self.runtime, self.env)
        repository = await open_repository(self.checkout, self.env)
        places = (self.folder / "workspaces", self.folder / "trash", self.folder / "bases", self.folder / "layers")
        trees, privates = GitWorktrees(repository.store), GitPrivates(repository.store)
        house = InstantWorkspaces(*places, repository, trees, privates, box, WallClock())
        try:
            yield house
        finally:
            for key in (*await box.live(), *await box.live(boxes=True)):
                held = await box.find(key)
                if held is not None:
                    await held.stop(0)
            await box.close()

    def order(self) -> WorkspaceOrder:
        """For a workspace that nobody ordered before."""
        self.made += 1
        return WorkspaceOrder(f"w{self.made}", self.base)

    def command(self, *argv: str) -> Command:
        """A command that nobody gave before."""
        self.made += 1
        return Command(f"k{self.made}", argv, "")


async def run_to_end(workspace: Workspace, command: Command) -> None:
    """Enter with a command and wait until it has ended well."""
    held = await workspace.enter(command)
    ended = await held.exit()
    assert ended.ok, (ended, held.load_errors())


def row(what: str, baseline: float, ours: float, goal: float) -> dict[str, Any]:
    """One row of a report; `ours` and `baseline` have the same unit."""
    return {"what": what, "baseline": baseline, "ours": ours, "ratio": ours / baseline, "goal": goal}


def timed(action: Callable[[], object], times: int = 1) -> float:
    """Seconds that it takes: the median."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        action()
        taken.append(time.perf_counter() - began)
    return median(taken)


async def timed_async(action: Callable[[], Awaitable[object]], times: int = 1) -> float:
    """Seconds that it takes: the median."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        await action()
        taken.append(time.perf_counter() - began)
    return median(taken)


def median(values: list[float]) -> float:
    """The middle one, or the upper of two."""
    return sorted(values)[len(values) // 2]


def disk_kb(folder: Path) -> float:
    """KiB of disk below a folder; a file with several names counts by its share."""
    paths = [Path(parent, name) for parent, folders, names in os.walk(folder) for name in (*folders, *names)]
    facts = [path.lstat() for path in (folder, *paths)]
    return (
        sum(f.st_blocks / (1 if path.is_dir() else f.st_nlink) for path, f in zip((folder, *paths), facts, strict=True))
        / 2
    )


def delete(path: Path) -> None:
    """A folder of a benchmark, whatever rights the kernel left on it."""
    for parent, names, _ in os.walk(path):
        for name in names:
            if not os.path.islink(os.path.join(parent, name)):
                os.chmod(os.path.join(parent, name), 0o700)
    shutil.rmtree(path)


def say(text: str) -> None:
    """Progress, for whoever waits."""
    print(text, file=sys.stderr, flush=True)


def _commit(files: int) -> Iterator[bytes]:
    """One commit for `git fast-import`: sources of 1 to 4 KiB in a tree three folders deep."""
    message = b"generated"
    yield b"commit refs/heads/main\ncommitter Bench <bench@example.com> 1700000000 +0000\n"
    yield b"data %d\n%s\n" % (len(message), message)
    for number in range(files):
        folder = number // PER_FOLDER
        data = b"".join(LINE % (number, line) for line in range(16 + number % 48))
        yield b"M 100644 inline src/part%d/group%d/file%d.py\ndata %d\n%s\n" % (
            folder // 20, folder, number, len(data), data,
        )  # fmt: skip


def memory_kb(pid: int) -> float:
    """KiB of a process: the proportional set size, shared pages counted by share."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return float(rollup.partition("\nPss:")[2].split()[0])


def below(root: int) -> list[int]:
    """All processes below one."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_bytes().rpartition(b")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(path.parent.name))
    found, pending = [], [root]
    while pending:
        direct = children.get(pending.pop(), [])
        found += direct
        pending += direct
    return found
