"""Tier 2: a session in namespaces of its own, with a file system that holds only what its view names."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from heddle.adapters.sandbox import policy
from heddle.adapters.sandbox.dialling import dial_in, nobody_listens
from heddle.adapters.sandbox.held import HeldProcess
from heddle.adapters.sandbox.holders import Holders, needs_view
from heddle.adapters.sandbox.pipes import require_within, write_all
from heddle.core.errors import OutsideError, Refused
from heddle.holder.box.frames import receive, tell
from heddle.ports import Command, Ran, Streams, View

BRIDGE = """
import sys
sys.path.append(sys.argv[1])
from heddle.holder.box.entry import bridge
sys.exit(bridge(sys.argv[2], sys.argv[3], sys.argv[4:]))
"""
"""The program that runs a command in a box on its own three streams."""

VISIT_S = 900.0
"""How long a short command of Heddle's own may take. A session can stop what works beside it; it cannot make us wait."""

_SOURCE = str(Path(__file__).resolve().parents[3])


class Box(Holders):
    """The Boxes port. One box per view; it lives until it is closed, its holder ends, or the machine does."""

    tier = 2

    def __init__(
        self,
        folder: Path,
        runtime: Path,
        environment: Mapping[str, str],
        shown: Callable[[], policy.Shown] = policy.Shown,
    ) -> None:
        super().__init__(folder, runtime)
        self._shown = shown
        self._environment = dict(environment)
        self._env = policy.environment_inside(environment, policy.home_of(environment), policy.TMP)
        self._making: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._generations: dict[str, int] = {}

    async def start(self, command: Command) -> HeldProcess:
        """See the port. Raises Refused(slug="sandbox-needs-view"): nothing is started outside of a box here.

        What another sandbox started is found again.
        """
        if self.of(command.key).begun():
            return (await self.hold(command))[0]
        raise needs_view(command.key)

    async def start_in(self, view: View, command: Command) -> HeldProcess:
        """See the port."""
        known = self.of(command.key)
        if known.begun():
            return (await self.hold(command))[0]
        made = await self._box(view)
        await self.require_fit(made)
        env = {**self._env, **command.env}
        held, _ = await self.hold(replace(command, env=env), enter=self._init_socket(made))
        return held

    async def run_in(self, view: View, argv: tuple[str, ...], *, stdin: bytes = b"", limit: int = 64_000_000) -> Ran:
        """See the port."""
        made = await self._box(view)
        try:
            return await _Visit(self._init_socket(made), self._env, limit).run(argv, stdin)
        except ConnectionRefusedError:  # it was killed, and its holder is about to write that down
            await made.exit()
        made = await self._box(view)
        return await _Visit(self._init_socket(made), self._env, limit).run(argv, stdin)

    async def bridge(self, view: View) -> tuple[str, ...]:
        """See the port."""
        made = await self._box(view)
        return (sys.executable, "-I", "-S", "-c", BRIDGE, _SOURCE, self._init_socket(made), "/")

    async def dial(self, view: View, port: int) -> Streams:
        """See the port. No box is made for it: in a fresh one nobody listens."""
        latest = await self._latest(view.key)
        if latest is None or not await latest.lives():
            raise nobody_listens(port, "nothing runs there now")
        return await dial_in(self._init_socket(latest), port)

    async def close_box(self, key: str) -> None:
        """See the port."""
        async with self._making.setdefault(key, asyncio.Lock()):
            held = await self._latest(key)
            if held is not None and await held.lives():
                await held.stop(0)

    def more(self) -> dict[str, Any]:
        """What else a box of this tier is made of."""
        return {}

    async def require_fit(self, made: HeldProcess) -> None:
        """Raises Refused(slug="sandbox-unavailable") when a box that lives is not one for this tier."""

    async def _box(self, view: View) -> HeldProcess:
        """The box of a view, made when there is none that lives. Raises Refused(slug="sandbox-unavailable")."""
        async with self._making.setdefault(view.key, asyncio.Lock()):
            latest = await self._latest(view.key)
            if latest is not None and await latest.lives():
                return latest
            number = self._generations.get(view.key, 0) + 1
            made = await self._make(view, f"{view.key}/box-{number}")
            self._generations[view.key] = number
            return made

    async def _latest(self, key: str) -> HeldProcess | None:
        """The box that was made last for a key; a restarted daemon counts anew from the folders."""
        number = self._generations.get(key, 0)
        while self.of(f"{key}/box-{number + 1}").begun():
            number += 1
        self._generations[key] = number
        return self.of(f"{key}/box-{number}") if number else None

    async def _make(self, view: View, key: str) -> HeldProcess:
        folder = self.of(key).folder
        make: dict[str, Any] = {
            "socket": self._init_socket(self.of(key)),
            "root": str(folder.path / "root"),
            "lock": view.lock,
            "places": policy.places(view, self._environment, self._shown()),
            "limits": {**policy.LIMITS, "NPROC": policy.PROCESSES},
            **self.more(),
        }
        held, failure = await self.hold(Command(key, ("init",), "/"), make=make)
        if not failure and (ended := held.ended()) is not None:
            failure = ended.detail or ended.why
        if failure:
            await held.exit()  # until it is written down, the next who asks would take it for one that lives
            raise Refused(
                f"no sandbox for '{view.key}': {failure}",
                slug="sandbox-unavailable",
                hint="see 'heddle doctor' for what this machine can do",
                tail=held.load_errors(2000).decode(errors="replace"),
            )
        return held

    def _init_socket(self, made: HeldProcess) -> str:
        return self.socket(made.folder, "i")


class _Visit:
    """A short command in a box, with pipes to the daemon. It is over when it ends, whatever it left at the pipes."""

    def __init__(self, path: str, env: Mapping[str, str], limit: int) -> None:
        self.path, self.env, self.limit = path, env, limit

    async def run(self, argv: tuple[str, ...], stdin: bytes) -> Ran:
        pipes = [os.pipe() for _ in range(3)]
        theirs = [pipes[0][0], pipes[1][1], pipes[2][1]]
        ours = [pipes[0][1], pipes[1][0], pipes[2][0]]
        order = {"argv": list(argv), "cwd": "/", "env": dict(self.env)}
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        overdue = asyncio.get_running_loop().call_later(VISIT_S, _hang_up, connection)
        try:
            try:
                await asyncio.to_thread(self._start, connection, order, theirs)
            finally:
                for fd in theirs:
                    os.close(fd)
            out, err, _, status = await asyncio.gather(
                asyncio.to_thread(self._read, ours[1], connection),
                asyncio.to_thread(self._read, ours[2], connection),
                asyncio.to_thread(write_all, ours[0], stdin),
                asyncio.to_thread(_ended, connection),
            )
            require_within(self.limit, argv[0], out, err)
            return Ran(os.waitstatus_to_exitcode(status), out, err)
        finally:
            overdue.cancel()
            _hang_up(connection)
            connection.close()

    def _read(self, fd: int, connection: socket.socket) -> bytes:
        """All of a pipe, but not much more than the limit: then everything ends."""
        with os.fdopen(fd, "rb") as pipe:
            data = pipe.read(self.limit + 1)
        if len(data) > self.limit:
            _hang_up(connection)
        return data

    def _start(self, connection: socket.socket, order: dict[str, Any], streams: list[int]) -> None:
        try:
            connection.connect(self.path)
            tell(connection, order, streams)
            answer, _ = receive(connection)
        except ConnectionRefusedError:
            raise
        except OSError as error:
            answer = {"failed": str(error)}
        if answer is None or "failed" in answer:
            reason = answer["failed"] if answer else "the box ended"
            raise OutsideError(
                f"'{order['argv'][0]}' could not be run in its box: {reason}",
                slug="box-entry",
                hint="try again: a box that ended is made anew, and nothing that was written is lost",
            )


def _ended(connection: socket.socket) -> int:
    """Wait for the command's end; its wait status. Then all that it left ends, and with that the pipes do."""
    try:
        answer, _ = receive(connection)
    except (OSError, ValueError):
        answer = None
    _hang_up(connection)
    return int(answer["ended"]) if answer and "ended" in answer else int(signal.SIGKILL)


def _hang_up(connection: socket.socket) -> None:
    """Its minder ends everything when we leave."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
