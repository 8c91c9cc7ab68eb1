"""What tier 1 is made of on every system: each process of a view is enclosed by itself, where the machine has it."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from heddle.adapters.sandbox import policy
from heddle.adapters.sandbox.held import HeldProcess
from heddle.adapters.sandbox.holders import Holders, digest, needs_view
from heddle.adapters.sandbox.pipes import read_all, write_all
from heddle.core.errors import Refused
from heddle.holder.folder import MARKER
from heddle.holder.reaper import end_marked
from heddle.ports import Command, Ran, Streams, View

ERRAND = """
import sys
sys.path.append(sys.argv[1])
from heddle.holder.errand import run_errand
sys.exit(run_errand(sys.argv[2], sys.argv[3:]))
"""
"""The program that runs a command enclosed, on its own three streams."""

PROFILE = "profile.sb"
"""Where a holder leaves what encloses its process, on systems that take it from a file."""

_SOURCE = str(Path(__file__).resolve().parents[3])
_NOT_STARTED = "sandbox: "
"""How a holder tells that a process could not be enclosed."""


class Confined(Holders, ABC):
    """The Boxes port for views in which everything is at its own place.

    There is no box to be made or lost, and a view's `lock` is not needed: nothing is mounted. What encloses a process is
    a plan, see heddle.holder.confined; how it comes about is the system's own.
    """

    tier = 1

    def __init__(
        self,
        folder: Path,
        runtime: Path,
        environment: Mapping[str, str],
        shown: Callable[[], policy.Shown] = policy.Shown,
    ) -> None:
        super().__init__(folder, runtime)
        self.environment = dict(environment)
        self.shown = shown
        self._entering: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._visits: dict[subprocess.Popen[bytes], str] = {}

    async def start(self, command: Command) -> HeldProcess:
        """See the port. What was started is found again; else Refused(slug="sandbox-needs-view")."""
        if self.of(command.key).begun():
            return (await self.hold(command))[0]
        raise needs_view(command.key)

    async def start_in(self, view: View, command: Command) -> HeldProcess:
        """See the port."""
        async with self._entering.setdefault(view.key, asyncio.Lock()):
            if self.of(command.key).begun():
                return (await self.hold(command))[0]
            plan = self._plan(view, network=_needs_network(command))
            plan["ports"] = list(command.ports) if self._lends() else []
            plan["profile"] = str(self.of(command.key).folder.path / PROFILE)
            enclosed = replace(command, env={**self._env(view), **command.env})
            held, failure = await self.hold(enclosed, view=view.key, confine=plan)
        if failure.startswith(_NOT_STARTED):
            raise unavailable(view.key, failure.removeprefix(_NOT_STARTED))
        return held

    async def run_in(self, view: View, argv: tuple[str, ...], *, stdin: bytes = b"", limit: int = 64_000_000) -> Ran:
        """See the port."""
        command = (*await self.bridge(view), *argv)
        pipes = [os.pipe() for _ in range(3)]
        theirs = (pipes[0][0], pipes[1][1], pipes[2][1])
        try:
            process = self._visit(view.key, command, theirs)
        finally:
            for fd in theirs:
                os.close(fd)
        try:
            out, err, _ = await asyncio.gather(
                asyncio.to_thread(read_all, pipes[1][0], limit, argv[0]),
                asyncio.to_thread(read_all, pipes[2][0], limit, argv[0]),
                asyncio.to_thread(write_all, pipes[0][1], stdin),
            )
            return Ran(await asyncio.to_thread(process.wait), out, err)
        finally:
            await asyncio.shield(self._end(process))

    async def bridge(self, view: View) -> tuple[str, ...]:
        """See the port."""
        env = {**self._env(view), MARKER: self._marker(view.key)}
        file = self._file(view.key)
        plan = {**self._plan(view), "ports": [], "env": env, "profile": str(file.with_suffix(".sb"))}
        await asyncio.to_thread(_place, file, json.dumps(plan))
        return (sys.executable, "-I", "-S", "-c", ERRAND, _SOURCE, str(file))

    async def dial(self, view: View, port: int) -> Streams:
        """See the port: what runs here shares the machine's loopback."""
        return await self.dial_here(port)

    async def close_box(self, key: str) -> None:
        """See the port."""
        async with self._entering.setdefault(key, asyncio.Lock()):
            await self.end_view(key)
            await asyncio.gather(*(self._end(process) for process, of in list(self._visits.items()) if of == key))
            await asyncio.to_thread(end_marked, self._marker(key))
            for suffix in (".json", ".sb"):
                self._file(key).with_suffix(suffix).unlink(missing_ok=True)

    def _visit(self, key: str, command: tuple[str, ...], streams: tuple[int, int, int]) -> subprocess.Popen[bytes]:
        """Start it here and not in a thread of its own: it ends with the thread that started it."""
        stdin, stdout, stderr = streams
        process = subprocess.Popen(
            command, stdin=stdin, stdout=stdout, stderr=stderr, cwd="/", env={}, start_new_session=True
        )
        self._visits[process] = key
        return process

    async def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Have it end all that it started, and then itself."""
        process.terminate()
        await asyncio.to_thread(process.wait)
        self._visits.pop(process, None)

    @abstractmethod
    def _plan(self, view: View, *, network: bool = False) -> dict[str, Any]:
        """What encloses a process of the view. Raises Refused (slug sandbox-needs-view, sandbox-unavailable)."""

    def _lends(self) -> bool:
        """Whether a session can have ports of the loopback that no other has."""
        return True

    def _env(self, view: View) -> dict[str, str]:
        tmp = os.path.join(view.home, ".tmp")
        with suppress(FileExistsError):  # whatever the session made of it: no rule is made for it
            os.mkdir(tmp, 0o700)
        return policy.environment_inside(self.environment, view.home, tmp)

    def _file(self, key: str) -> Path:
        return self._root / "views" / f"{digest(key, 16)}.json"

    def _marker(self, key: str) -> str:
        """What the short commands of a view carry, whichever daemon started them."""
        return digest(f"{self._root}\0{key}", 32)


def _needs_network(command: Command) -> bool:
    """Ports are leased to whoever might serve: a kernel that cannot tell them apart lends none, and that is all."""
    return bool(command.hosts or command.forwards or command.tools)


def why_not_there(view: View) -> str:
    """Which place of a view is missing; "" when none is."""
    places = [*(mount.source for mount in view.mounts if not mount.optional), view.home]
    return next((f"'{place}' is not there" for place in places if not os.path.exists(place)), "")


def unavailable(key: str, why: str) -> Refused:
    """That a process of a view cannot be enclosed here."""
    return Refused(
        f"no sandbox for '{key}': {why}",
        slug="sandbox-unavailable",
        hint="see 'heddle doctor' for what this machine can do",
    )


def _place(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(f".{threading.get_native_id()}")
    draft.write_text(text)
    os.replace(draft, path)
