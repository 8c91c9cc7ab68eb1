"""The daemon's end of the zygote: asks it to fork holders, and starts it again when it is gone."""

import asyncio
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from heddle.adapters.sandbox.wire import LINE_LIMIT, Wire
from heddle.core.errors import OutsideError

ENTRY = """
import sys
sys.path.append(sys.argv[2])
from heddle.holder.zygote import serve
serve(int(sys.argv[1]))
"""
"""The zygote's program: isolated from the person's site-packages and variables, with Heddle last on its path."""

_SOURCE = str(Path(__file__).resolve().parents[3])


class Zygote:
    """Started on the first request; one at a time."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._wire: Wire | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._starting = asyncio.Lock()

    async def fork(self, folder: Path) -> dict[str, Any]:
        """Fork a holder for a folder; its `word` is started, held, ended, lost, failed or gone, with a `detail`.

        Raises OutsideError(slug="no-zygote").
        """
        for _ in range(2):
            with suppress(ConnectionError):
                return await (await self._connected()).ask({"start": str(folder)})
        raise OutsideError(
            "the process that starts holders keeps ending",
            slug="no-zygote",
            hint="see 'heddle doctor'",
            program=sys.executable,
            log=str(self._log),
        )

    async def _connected(self) -> Wire:
        async with self._starting:
            if self._wire is None or self._wire.gone:
                streams = await asyncio.open_connection(sock=self._run(), limit=LINE_LIMIT)
                self._wire = Wire(*streams)
            return self._wire

    def _run(self) -> socket.socket:
        """Start the process; returns our end of its socket."""
        ours, theirs = socket.socketpair()
        self._log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with theirs, self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", ENTRY, str(theirs.fileno()), _SOURCE],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd="/",
                start_new_session=True,
            )
        return ours

    async def close(self) -> None:
        """End the zygote; holders go on."""
        if self._wire is not None:
            self._wire.close()
        if self._process is not None:
            await asyncio.to_thread(self._process.wait)
