"""Tier 0: no enclosure. The process is held and ended whole, but it may read and write what its user may."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from heddle.adapters.sandbox.held import HeldProcess
from heddle.adapters.sandbox.holders import Holders, require_in_place
from heddle.adapters.sandbox.pipes import require_within
from heddle.ports import Command, Ran, Streams, View

INHERITED = frozenset(
    ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TERM", "TZ", "TMPDIR")
    + ("SSL_CERT_FILE", "SSL_CERT_DIR", "VIRTUAL_ENV", "PYENV_ROOT")
)
"""What a held process gets of the daemon's environment; credentials and tokens are never among it."""

ERRAND = """
import os, sys
sys.path.append(sys.argv[1])
from heddle.holder.reaper import die_with_parent
die_with_parent(int(sys.argv[2]))
try:
    os.execvp(sys.argv[3], sys.argv[3:])
except OSError as error:
    sys.exit(f"'{sys.argv[3]}' could not be run: {error.strerror}")
"""
"""The program that becomes a short command of ours, and ends with the daemon."""

_SOURCE = str(Path(__file__).resolve().parents[3])


class Unconfined(Holders):
    """The Boxes port without a sandbox: a view is taken when it shows nothing elsewhere than where it is.

    HOME stays the person's, for an agent without enclosure needs their login.
    """

    tier = 0

    def __init__(self, folder: Path, runtime: Path, environment: Mapping[str, str]) -> None:
        super().__init__(folder, runtime)
        self._env = {name: value for name, value in environment.items() if name in INHERITED or name.startswith("LC_")}

    async def start(self, command: Command) -> HeldProcess:
        """See the port. Raises SetupError (socket-path-too-long, unsafe-runtime), OutsideError (no-holder, no-zygote)."""
        held, _ = await self.hold(replace(command, env={**self._env, **command.env}))
        return held

    async def start_in(self, view: View, command: Command) -> HeldProcess:
        """See the port. Raises Refused(slug="sandbox-needs-view") for a view that only a box can give."""
        require_in_place(view)
        held, _ = await self.hold(replace(command, env={**self._env, **command.env}), view=view.key)
        return held

    async def run_in(self, view: View, argv: tuple[str, ...], *, stdin: bytes = b"", limit: int = 64_000_000) -> Ran:
        """See the port. Raises Refused(slug="sandbox-needs-view") too."""
        require_in_place(view)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", "-c", ERRAND, _SOURCE, str(os.getpid()), *argv),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd="/",
            env=self._env,
            start_new_session=True,
        )
        assert process.stdout is not None and process.stderr is not None
        try:
            out, err, _ = await asyncio.gather(
                _read(process.stdout, limit, lambda: _kill(process)),
                _read(process.stderr, limit, lambda: _kill(process)),
                _write(process.stdin, stdin),
            )
            require_within(limit, argv[0], out, err)
            return Ran(await process.wait(), out, err)
        finally:
            _kill(process)
            for stream in (process.stdout, process.stderr):  # its end is only heard of when both were read to theirs
                await _read(stream, 0, lambda: None)
            await process.wait()

    async def bridge(self, view: View) -> tuple[str, ...]:
        """See the port: nothing lies between the host and what runs here."""
        require_in_place(view)
        return ()

    async def dial(self, view: View, port: int) -> Streams:
        """See the port: what runs here shares the machine's loopback."""
        return await self.dial_here(port)

    async def close_box(self, key: str) -> None:
        """See the port: what was started in the view ends."""
        await self.end_view(key)


async def _read(stream: asyncio.StreamReader, limit: int, end: Callable[[], None]) -> bytes:
    """All of a stream, but not much more than the limit; beyond it `end` is called, and what still comes is dropped."""
    said = bytearray()
    while piece := await stream.read(1 << 16):
        if len(said) <= limit:
            said += piece
        if len(said) > limit:
            end()
    return bytes(said)


def _kill(process: asyncio.subprocess.Process) -> None:
    """With its group; no error when it has ended."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


async def _write(stream: asyncio.StreamWriter | None, data: bytes) -> None:
    assert stream is not None
    with suppress(ConnectionError):
        stream.write(data)
        await stream.drain()
    stream.close()
