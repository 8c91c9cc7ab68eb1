"""The daemon's end of the zygote: asks it to fork holders, and starts it again when it is gone."""

import asyncio
import json
import socket
import subprocess
import sys
from pathlib import Path

from heddle.core.errors import OutsideError

_ENTRY = "import sys; sys.path.insert(0, sys.argv[2]); from heddle.holder.zygote import serve; serve(int(sys.argv[1]))"
_SOURCE = str(Path(__file__).resolve().parents[3])


class Zygote:
    """Started on the first request; one at a time."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._writer: asyncio.StreamWriter | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._answers: dict[int, asyncio.Future[str]] = {}
        self._listener: asyncio.Task[None] | None = None
        self._number = 0
        self._starting = asyncio.Lock()

    async def fork(self, folder: Path) -> str:
        """Fork a holder for a folder; returns started, held, ended or lost. Raises OutsideError(slug="no-zygote")."""
        for _ in range(2):
            try:
                return await self._ask(folder)
            except ConnectionError:
                self._writer = None
        raise OutsideError("no holder could be started", slug="no-zygote", hint="see: heddle doctor", log=str(self._log))

    async def _ask(self, folder: Path) -> str:
        async with self._starting:
            if self._writer is None or self._writer.is_closing():
                await self._start()
        writer = self._writer
        if writer is None:
            raise ConnectionError
        self._number += 1
        number = self._number
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        writer.write(json.dumps({"n": number, "start": str(folder)}).encode() + b"\n")
        await writer.drain()
        return await answer

    async def _start(self) -> None:
        ours, theirs = socket.socketpair()
        self._log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _ENTRY, str(theirs.fileno()), _SOURCE],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd="/",
                start_new_session=True,
            )
        theirs.close()
        reader, self._writer = await asyncio.open_connection(sock=ours)
        self._listener = asyncio.create_task(self._listen(reader))

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            answer = json.loads(line)
            waiting = self._answers.pop(answer["n"], None)
            if waiting is not None and not waiting.done():
                waiting.set_result(answer["word"])
        waiting_all, self._answers = self._answers, {}
        self._writer = None
        for future in waiting_all.values():
            if not future.done():
                future.set_exception(ConnectionError())

    async def close(self) -> None:
        """End the zygote; holders go on."""
        if self._writer is not None:
            self._writer.close()
        if self._listener is not None:
            self._listener.cancel()
        if self._process is not None:
            await asyncio.to_thread(self._process.wait)
