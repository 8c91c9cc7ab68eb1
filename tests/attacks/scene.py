"""Where attacks take place: a person with a repository and secrets, two sessions side by side, and who looks on."""

import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from attacks.victims import SECRET, Terminal, Victims, end_named, lives
from heddle.adapters.sandbox.box import Box
from heddle.core.errors import HeddleError
from heddle.ports import Collected, Command, Held, Workspace, Workspaces
from repositories import Sample
from support.yard import Yard, heard

TRIED = "all of it was tried"
SECRETS = (".ssh/id_ed25519", ".aws/credentials", ".netrc", ".cache/pip/wheel")

PYTHON = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *args):
    result = libc.syscall(ctypes.c_long(number), *args)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
def attempt(work, *args):
    try:
        return work(*args)
    except OSError as error:
        print("refused:", error, flush=True)
        return None
"""
"""What attacks in Python have at hand. A refusal is an OSError; anything else is a fault of the attack."""

OURS = ("/objects/", "/refs/heddle")
"""Where Heddle itself adds files when it takes a result."""

PASSED = ("/.git/heddle/", "/.git/worktrees/t1-")
"""Heddle's own scratch, and what belongs to the attacking session at tier 0."""


@dataclass
class Scene:
    """Seen from the host. `mine` is the workspace of the attack, `said` what it wrote."""

    folder: Path
    yard: Yard
    house: Workspaces
    other: Workspace
    victims: Victims
    terminal: Terminal
    other_pid: int
    mine: Workspace = field(init=False)
    attacker: Held | None = None
    said: str = ""
    before: dict[str, bytes] = field(default_factory=dict)
    played: int = 0

    @property
    def checkout(self) -> Path:
        return self.yard.sample.path

    @property
    def home(self) -> Path:
        return self.yard.sample.folder

    @property
    def base(self) -> Path:
        """The tree that all sessions begin with; at tier 0 there is none, and a folder of Heddle's stands for it."""
        return self.yard.folder / "bases" / self.yard.base / "tree"

    @property
    def word(self) -> str:
        """Stands in the command line of processes that this attack leaves behind."""
        return f"left-by-{self.folder.name}-{self.played}"

    @property
    def mark(self) -> Path:
        """A file of the host that no program of a session can make in a box."""
        return self.folder / "mark"

    def of(self, workspace: Workspace) -> Path:
        """The host's folder of a workspace."""
        return self.yard.folder / "workspaces" / workspace.id

    @property
    def facts(self) -> dict[str, str]:
        """All that an attacker could have found out, as its environment: names of places, but nothing they hold.

        PWN, as a command line, makes the mark; but only where it runs outside of a session.
        """
        return {
            "MAIN": str(self.checkout),
            "PERSON": str(self.home),
            "SCENE": str(self.folder),
            "OTHER": str(self.of(self.other) / "tree"),
            "OWN": str(self.of(self.mine)),
            "BASE": str(self.base),
            "STATE": str(self.yard.folder),
            "RUN": str(self.yard.runtime),
            "OUT": self.mine.out,
            "PERSON_PID": str(self.victims.person.pid),
            "OTHER_PID": str(self.other_pid),
            "TTY": self.terminal.name,
            "WORD": self.word,
            "PWN": f'[ -n "$HEDDLE_OUT" ] || touch {self.mark}; false',
            "PYTHON": sys.executable,
            **self.victims.addresses,
        }

    def script(self, text: str, *, python: bool) -> str:
        """A shell script that plays an attack anywhere, whatever the environment is."""
        lines = [f"export {name}={shlex.quote(value)}" for name, value in self.facts.items()]
        if python:
            text = f"\"$PYTHON\" -I -S - <<'THE END' || exit 3\n{PYTHON}\n{text}\nTHE END"
        return "\n".join((*lines, text, f"echo '{TRIED}'"))

    async def begin(self) -> None:
        """Make all ready for the next attack, with a workspace of its own."""
        self.played += 1
        self.said, self.attacker = "", None
        self.victims.forget()
        self.mine = await self.yard.make(self.house, f"t1-{self.played}-execute-1")
        self.before = self.world()

    async def play(self, text: str, *, python: bool = False, stays: bool = False, limit: int = 1 << 28) -> None:
        """Run an attack: to its end, and then all of it must have been tried; or, when it `stays`, only begin it."""
        number = len(list((self.yard.folder / "held").glob("*")))
        env = {"GIT_CONFIG_NOSYSTEM": "1"}
        if self.yard.kind == "worktree":  # nothing hides the person's own from it
            env["GIT_CONFIG_GLOBAL"] = self.yard.sample.env["GIT_CONFIG_GLOBAL"]
        argv = ("sh", "-c", self.script(text, python=python))
        command = Command(f"mine-{number}", argv, "", env, stdin="pipe", transcript_limit=limit)
        self.attacker = await self.mine.enter(command)
        if stays:
            return
        await self.attacker.exit()
        self.said = (self.attacker.load_output() + self.attacker.load_errors()).decode(errors="replace")
        assert TRIED in self.said, self.said[-3000:]

    async def hear(self, word: str) -> None:
        """Wait until an attack that stays has said that it is under way."""
        assert self.attacker is not None
        await heard(self.attacker, word.encode())

    async def read(self) -> Collected | HeddleError:
        """What the host does with every workspace: take the result. A refusal is an answer, too."""
        try:
            return await self.mine.collect("result")
        except HeddleError as error:
            return error

    async def end(self) -> None:
        """Nothing of the attack goes on, whatever it did to its holder."""
        await self.close_box()
        if self.attacker is not None:
            await self.attacker.stop(0)
        end_named(self.word)

    async def close_box(self) -> None:
        """End the box of the attack, where there is one."""
        for sandbox in self.yard.sandboxes:
            if isinstance(sandbox, Box):
                await sandbox.close_box(f"{self.house.repository.key}/{self.mine.id}")  # type: ignore[attr-defined]

    def world(self) -> dict[str, bytes]:
        """Every file of the person's and of the other session's, and what all sessions begin with."""
        found = {}
        others = self.of(self.other)
        roots = [self.home, self.folder / "remote.git", self.folder / "tmp", self.mark, self.yard.folder / "bases"]
        for root in (*roots, others / "tree", others / "git", others / "home"):
            inner = (Path(folder, name) for folder, _, names in os.walk(root) for name in names)
            for path in (root, *inner):
                if any(part in str(path) for part in PASSED):
                    continue
                with suppress(OSError):
                    found[str(path)] = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
        return found

    def altered(self) -> list[str]:
        """Files that are no longer what they were before the attack. What Heddle adds to take a result is no matter."""
        now = self.world()
        added = {path for path in now if path not in self.before and not any(part in path for part in OURS)}
        return sorted(added | {path for path, data in self.before.items() if now.get(path) != data})

    def is_whole(self) -> bool:
        """Whether the next attack finds it as this one did."""
        return lives(self.victims.person.pid) and lives(self.other_pid) and self.altered() == []


class Scenes:
    """Scenes that attacks share: each finds one in which nothing is broken, and a workspace of its own in it."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[AsyncExitStack, Scene]] = {}

    @asynccontextmanager
    async def of(self, kind: str, *, fresh: bool = False) -> AsyncIterator[Scene]:
        """`fresh`: one for this attack alone, since what guards it is not what guards the others."""
        async with AsyncExitStack() as alone:
            scene = await alone.enter_async_context(open_scene(kind)) if fresh else await self._shared(kind)
            await scene.begin()
            try:
                yield scene
            finally:
                await scene.end()
                if not fresh and not scene.is_whole():
                    await self._drop(kind)

    async def _shared(self, kind: str) -> Scene:
        if kind not in self._open:
            stack = AsyncExitStack()
            self._open[kind] = stack, await stack.enter_async_context(open_scene(kind))
        return self._open[kind][1]

    async def _drop(self, kind: str) -> None:
        stack, _ = self._open.pop(kind)
        await stack.aclose()

    async def close(self) -> None:
        """End all of it."""
        for kind in list(self._open):
            await self._drop(kind)


@asynccontextmanager
async def open_scene(kind: str) -> AsyncIterator[Scene]:
    """`kind` is a provider of workspaces. The folder's name is short, because paths of sockets are limited."""
    folder = Path(tempfile.mkdtemp(prefix="ha-"))
    async with AsyncExitStack() as stack:
        stack.callback(_delete, folder)
        sample = _person(folder)
        victims = stack.enter_context(Victims(folder, sample.env))
        terminal = stack.enter_context(Terminal())
        yard = Yard(kind, folder / "state", folder / "run", sample)
        stack.push_async_callback(yard.close)
        house = await yard.open()
        other = await yard.make(house, "t2-1-execute-1")
        await heard(await yard.enter(other, f"echo {SECRET}; read line", key="other"), SECRET.encode())
        scene = Scene(folder, yard, house, other, victims, terminal, max(yard.living("other")))
        if not scene.base.exists():
            scene.base.mkdir(parents=True)
            (scene.base / "README").write_text("hello\n")
        yield scene


def _delete(folder: Path) -> None:
    """All of it, also folders that the kernel or an attack left without any right."""
    for parent, names, _ in os.walk(folder):
        for path in (Path(parent, name) for name in names):
            if not path.is_symlink():
                path.chmod(0o700)
    shutil.rmtree(folder)


def _person(folder: Path) -> Sample:
    sample = Sample(folder / "person")
    sample.env["API_KEY"] = SECRET
    sample.git("init", "-q", "--bare", str(folder / "remote.git"))
    sample.git("remote", "add", "origin", str(folder / "remote.git"))
    sample.git("push", "-q", "origin", "main")
    for name in SECRETS:
        path = sample.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{SECRET}\n")
    (folder / "tmp").mkdir()
    return sample
