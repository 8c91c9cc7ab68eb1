"""Is the agent there, and is it new enough? Asked of the program itself."""

import asyncio
import os
import re
from collections.abc import Mapping

from heddle.adapters.agents.brands import Brand
from heddle.core.errors import SetupError

WAIT_S = 30.0
"""How long a program may take to tell its version; a loaded machine is slow."""

_NUMBER = re.compile(r"\d+(?:\.\d+)+")


async def run_version(brand: Brand, env: Mapping[str, str] | None = None) -> str:
    """The version that the brand's program reports ("" when the brand has no way to ask).

    `env` is added to the daemon's own environment. Raises SetupError: agent-missing (not found, or it does
    not start), agent-version (older than the brand's minimum, or no version in what it said).
    """
    if not brand.version_command:
        return ""
    said = await _run(brand, {**os.environ, **(env or {})})
    found = _NUMBER.search(said)
    if found is None:
        raise _wrong(brand, f"'{' '.join(brand.version_command)}' told no version: {said[:80]!a}")
    if _order(found.group()) < _order(brand.minimum_version):
        raise _wrong(brand, f"agent '{brand.name}' has version {found.group()}; {brand.minimum_version} is needed")
    return found.group()


async def _run(brand: Brand, env: Mapping[str, str]) -> str:
    pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            *brand.version_command, stdin=null, stdout=pipe, stderr=asyncio.subprocess.STDOUT, env=env
        )
    except OSError as error:
        raise _missing(brand, f"'{brand.version_command[0]}': {error.strerror}") from error
    try:
        output, _ = await asyncio.wait_for(process.communicate(), WAIT_S)
    except TimeoutError as error:
        raise _missing(brand, f"'{' '.join(brand.version_command)}' did not answer within {WAIT_S:.0f} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    said = output.decode(errors="replace").strip()
    if process.returncode != 0:
        last = (said.splitlines() or [""])[-1][:200]
        raise _missing(brand, f"'{' '.join(brand.version_command)}' failed: {last}")
    return said


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")) if version else ()


def _missing(brand: Brand, why: str) -> SetupError:
    message = f"agent '{brand.name}' cannot be started: {why}"
    return SetupError(message, slug="agent-missing", hint=_hint(brand), agent=brand.name)


def _wrong(brand: Brand, message: str) -> SetupError:
    return SetupError(message, slug="agent-version", hint=_hint(brand), agent=brand.name)


def _hint(brand: Brand) -> str:
    return brand.install or "install it so that it is found on PATH; 'heddle doctor' tells what is found"
