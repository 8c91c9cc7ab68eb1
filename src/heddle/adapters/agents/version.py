"""Is the agent there, and is it new enough? Asked of the program itself."""

import asyncio
import os
import re
import shutil
import signal
import time
from collections.abc import Mapping
from contextlib import suppress

from heddle.adapters.agents.brands import Brand
from heddle.core.errors import SetupError

WAIT_S = 30.0
"""How long a program may take to tell its version; a loaded machine is slow."""

SAID_LIMIT = 64_000
"""Bytes after which what a program tells is no version."""

FRESH_S = 60.0
"""How long what a program told holds while its file is the same: stages that begin close to each other ask it once."""

_GRACE_S = 5.0
_NUMBER = re.compile(r"(?<!\d)\d{1,9}(?:\.\d{1,9})+(?!\d)")


_told: dict[tuple[object, ...], tuple[float, str]] = {}


async def run_version(brand: Brand, env: Mapping[str, str] | None = None) -> str:
    """The version that the brand's program reports ("" when the brand has no way to ask).

    `env` is added to the daemon's own environment. What it said at most FRESH_S ago counts. Raises SetupError:
    agent-missing (not found, or it does not start), agent-version (older than the brand's minimum, or no version in
    what it said); none of this counts for later.
    """
    if not brand.version_command:
        return ""
    whole = {**os.environ, **(env or {})}
    identity = _identity(brand.version_command[0])
    key = (brand.version_command, brand.minimum_version, tuple(sorted(whole.items())), identity)
    at, version = _told.get(key, (0.0, ""))
    if not identity or not version or time.monotonic() > at + FRESH_S:
        version = _version(brand, await _run(brand, whole))
        for old in [old for old, (at, _) in _told.items() if time.monotonic() > at + FRESH_S]:
            del _told[old]
        _told[key] = (time.monotonic(), version)
    return version


def _identity(program: str) -> tuple[int, ...]:
    """Which file a program is, and when it was last written; () when that cannot be told."""
    try:
        told = os.stat(shutil.which(program) or program)
    except OSError:
        return ()
    return told.st_dev, told.st_ino, told.st_size, told.st_mtime_ns, told.st_ctime_ns


def _version(brand: Brand, said: str) -> str:
    """The number in what was said, if it will do."""
    found = _NUMBER.search(said)
    if found is None:
        raise _wrong(brand, f"'{' '.join(brand.version_command)}' told no version: {said[:80]!a}")
    if _order(found.group()) < _order(brand.minimum_version):
        raise _wrong(brand, f"agent '{brand.name}' has version {found.group()}; {brand.minimum_version} is needed")
    return found.group()


async def _run(brand: Brand, env: Mapping[str, str]) -> str:
    command = " ".join(brand.version_command)
    pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            *brand.version_command,
            stdin=null,
            stdout=pipe,
            stderr=asyncio.subprocess.STDOUT,
            env=env,
            start_new_session=True,
        )
    except OSError as error:
        program = brand.version_command[0]
        # a folder of PATH that may not be looked into makes of a program that is nowhere one that is not permitted
        found = os.sep in program or shutil.which(program) is not None
        raise _missing(brand, f"'{program}': {error.strerror if found else 'not found on PATH'}") from error
    assert process.stdout is not None
    try:
        async with asyncio.timeout(WAIT_S):
            output = await _said(process.stdout)
            status = await process.wait() if len(output) <= SAID_LIMIT else 0
    except TimeoutError as error:
        raise _missing(brand, f"'{command}' did not answer within {WAIT_S:.0f} s") from error
    finally:
        await _end(process, process.stdout)
    if len(output) > SAID_LIMIT:
        raise _wrong(brand, f"'{command}' told more than {SAID_LIMIT} bytes, and no version")
    said = output.decode(errors="replace").strip()
    if status != 0:
        last = (said.splitlines() or [""])[-1][:200]
        raise _missing(brand, f"'{command}' failed: {last}")
    return said


async def _said(stream: asyncio.StreamReader) -> bytes:
    """All of it, or a little more than the limit: one that never stops talking costs no memory."""
    said = b""
    while len(said) <= SAID_LIMIT and (piece := await stream.read(1 << 14)):
        said += piece
    return said


async def _end(process: asyncio.subprocess.Process, stream: asyncio.StreamReader) -> None:
    """End what still runs or holds the pipe: also children that the program left behind."""
    if process.returncode is not None and stream.at_eof():
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(TimeoutError):
        async with asyncio.timeout(_GRACE_S):
            while await stream.read(1 << 16):  # until the pipe is closed nobody is told of the exit
                pass
            await process.wait()


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")) if version else ()


def _missing(brand: Brand, why: str) -> SetupError:
    message = f"agent '{brand.name}' cannot be started: {why}"
    return SetupError(message, slug="agent-missing", hint=_hint(brand), agent=brand.name)


def _wrong(brand: Brand, message: str) -> SetupError:
    return SetupError(message, slug="agent-version", hint=_hint(brand), agent=brand.name)


def _hint(brand: Brand) -> str:
    return brand.install or "install it so that it is found on PATH; 'heddle doctor' tells what is found"
