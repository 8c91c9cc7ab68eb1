"""Maps are drawn by a process of their own: a long past, a hostile source file or a slow parser holds up nobody else."""

import asyncio
import os
import signal
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from heddle.core.errors import KINDS, Bug, OutsideError
from heddle.ports import Foreseen, Mapped, Repository, Words

PROGRAM = (sys.executable, "-P", "-m", "heddle.mapping")
LIMIT_S = 90.0
_FAILED, _TIMEOUT = "map-failed", "map-timeout"
_TAIL = 2_000


class ChildMaps:
    """The Maps port. What was read of a repository is kept below `folder`; one process a repository at a time."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = environment
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._last: dict[str, Mapped] = {}

    async def map(self, repository: Repository, tip: str) -> Mapped:
        """See the port."""
        async with self._locks[repository.key]:
            last = self._last.get(repository.key)
            if last is None or last.tip != tip:
                last = self._last[repository.key] = await self._drawn(repository, tip)
            return last

    async def foresee(self, repository: Repository, tip: str, tasks: Sequence[Words]) -> Foreseen:
        """See the port."""
        async with self._locks[repository.key]:
            told = await self._ask(repository, {"tip": tip, "tasks": list(tasks)})
        return await asyncio.to_thread(msgspec.convert, told, Foreseen)

    async def _drawn(self, repository: Repository, tip: str) -> Mapped:
        """Without imports where reading these broke the process: what a parser does with a hostile file, nobody knows."""
        try:
            told = await self._ask(repository, {"tip": tip})
        except OutsideError as error:
            if error.slug not in (_FAILED, _TIMEOUT):
                raise
            told = await self._ask(repository, {"tip": tip, "imports": False})
        return msgspec.convert(told, Mapped)

    async def _ask(self, repository: Repository, wanted: Mapping[str, Any]) -> dict[str, Any]:
        request = {"root": repository.root, "folder": str(self._folder / repository.key), **wanted}
        process = await asyncio.create_subprocess_exec(
            *PROGRAM,
            cwd="/",
            env=dict(self._environment),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(LIMIT_S):
                out, err = await process.communicate(msgspec.json.encode(request))
        except TimeoutError:
            raise OutsideError(
                f"the map was not drawn within {LIMIT_S:g} s", slug=_TIMEOUT, hint="try again: heddle map"
            ) from None
        finally:
            if process.returncode is None:  # with whatever git it had started
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        return await asyncio.to_thread(_answer, process.returncode, out, err)


def _answer(status: int | None, out: bytes, err: bytes) -> dict[str, Any]:
    try:
        told: dict[str, Any] = msgspec.json.decode(out, type=dict[str, Any])
    except msgspec.DecodeError:
        tail = err.decode(errors="replace")[-_TAIL:]
        raise OutsideError(
            f"the map was not drawn: its process ended with status {status}",
            slug=_FAILED,
            hint="see what it said: heddle map --json",
            tail=tail,
        ) from None
    error = told.get("error")
    if error is None:
        return dict(told["answer"])
    kind = KINDS.get(error["kind"], Bug)
    raise kind(error["message"], slug=error["slug"], hint=error["hint"], **error["facts"])
