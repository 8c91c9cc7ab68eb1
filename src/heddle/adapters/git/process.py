"""The one place that starts git on the host.

Every command runs in a scrubbed and pinned environment (see commands), in its own session, bounded in number, output
and time.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from heddle.adapters.git.commands import (
    FIXED,
    LIMIT,
    PINS,
    TAIL,
    Output,
    Place,
    config_variables,
    failure,
    is_kept,
    not_started,
)
from heddle.core.errors import OutsideError

TIMEOUT_S = 300.0
_GRACE_S = 5.0


@dataclass(slots=True)
class Dialogue:
    """A running command that is spoken to line by line."""

    _process: asyncio.subprocess.Process
    _args: tuple[str, ...]
    _err: "asyncio.Task[bytes]" = field(repr=False)

    async def ask(self, data: bytes) -> bytes:
        """Write, and return the line it answers. Raises OutsideError when it ended instead."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(ConnectionError):
            self._process.stdin.write(data)
            await self._process.stdin.drain()
        async with asyncio.timeout(TIMEOUT_S):
            line = await self._process.stdout.readline()
        if line:
            return line
        status = await self._process.wait()
        raise failure(self._args, Output(status, b"", await self._err))


class Git:
    """Starts git commands. `environment` is the daemon's; `at_once` bounds how many run side by side."""

    def __init__(self, environment: Mapping[str, str] | None = None, *, at_once: int = 8) -> None:
        inherited = os.environ if environment is None else environment
        self._env = {name: value for name, value in inherited.items() if is_kept(name)} | dict(FIXED)
        self._slots = asyncio.Semaphore(at_once)

    def variable(self, name: str) -> str:
        """A variable of the environment that commands run in; "" when it is not set."""
        return self._env.get(name, "")

    async def run(
        self,
        *args: str,
        place: Place | None = None,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        config: Mapping[str, str] | None = None,
        stdin: bytes | IO[bytes] = b"",
        stdout: IO[bytes] | None = None,
        ok: Sequence[int] = (0,),
        limit: int = LIMIT,
        cut: bool = False,
        timeout_s: float = TIMEOUT_S,
    ) -> Output:
        """Run `git ARGS` and return what it said.

        Raises OutsideError for a status outside `ok`, a signal, the time limit, or more than `limit` bytes of
        output (with `cut` that is an answer instead); SetupError(slug="git-missing").
        """
        async with self._slots:
            process = await self._start(args, place, cwd, env or {}, config or {}, stdin, stdout)
            try:
                async with asyncio.timeout(timeout_s):
                    output = await _converse(process, stdin if isinstance(stdin, bytes) else b"", limit)
            except TimeoutError:
                raise OutsideError(
                    f"git {args[0]} did not end within {timeout_s:g} s",
                    slug="git-timeout",
                    hint="see whether the disk or a network mount hangs, then try again",
                    program="git",
                    args=list(args),
                ) from None
            finally:
                await _end(process)
        if output.cut:
            if cut:
                return output
            raise OutsideError(
                f"git {args[0]} wrote more than {limit} bytes",
                slug="output-limit",
                program="git",
                args=list(args),
            )
        if output.status not in ok:
            raise failure(args, output, place)
        return output

    @asynccontextmanager
    async def dialogue(self, *args: str, place: Place) -> AsyncIterator[Dialogue]:
        """A command to be spoken to; leaving the block closes its input and waits for its end."""
        async with self._slots:
            process = await self._start(args, place, None, {}, {}, b"-", None)
            assert process.stdin is not None and process.stderr is not None
            err = asyncio.ensure_future(_tail(process.stderr))
            try:
                yield Dialogue(process, args, err)
                process.stdin.close()
                async with asyncio.timeout(_GRACE_S):
                    await process.wait()
            finally:
                await _end(process)
                err.cancel()

    async def _start(
        self,
        args: tuple[str, ...],
        place: Place | None,
        cwd: Path | None,
        env: Mapping[str, str],
        config: Mapping[str, str],
        stdin: bytes | IO[bytes],
        stdout: IO[bytes] | None,
    ) -> asyncio.subprocess.Process:
        where = place.work_tree if place is not None and cwd is None else cwd
        told = (
            self._env
            | config_variables({**PINS, **config})
            | (place.environment if place is not None else {})
            | dict(env)
        )
        source = asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL
        try:
            return await asyncio.create_subprocess_exec(
                "git",
                *(os.fsencode(arg) for arg in args),
                stdin=source if isinstance(stdin, bytes) else stdin,
                stdout=asyncio.subprocess.PIPE if stdout is None else stdout,
                stderr=asyncio.subprocess.PIPE,
                cwd=where,
                env=told,
                start_new_session=True,
            )
        except OSError as error:
            raise not_started(args, where, error) from error


async def _converse(process: asyncio.subprocess.Process, data: bytes, limit: int) -> Output:
    assert process.stderr is not None
    fed = asyncio.ensure_future(_feed(process, data))
    err = asyncio.ensure_future(_tail(process.stderr))
    try:
        out, cut = await _read(process.stdout, limit)
        if cut:
            await _end(process)
        await fed
        return Output(await process.wait(), out, await err, cut)
    finally:
        fed.cancel()
        err.cancel()


async def _feed(process: asyncio.subprocess.Process, data: bytes) -> None:
    if process.stdin is None:
        return
    with suppress(ConnectionError):
        process.stdin.write(data)
        await process.stdin.drain()
    process.stdin.close()


async def _read(stream: asyncio.StreamReader | None, limit: int) -> tuple[bytes, bool]:
    if stream is None:
        return b"", False
    pieces: list[bytes] = []
    size = 0
    while piece := await stream.read(1 << 16):
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            return b"".join(pieces)[:limit], True
    return b"".join(pieces), False


async def _tail(stream: asyncio.StreamReader) -> bytes:
    kept = b""
    while piece := await stream.read(1 << 14):
        kept = (kept + piece)[-TAIL:]
    return kept


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a command that still runs: politely first, since git removes its lock files on SIGTERM."""
    for number, grace_s in ((signal.SIGTERM, _GRACE_S), (signal.SIGKILL, _GRACE_S)):
        if process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await process.wait()
