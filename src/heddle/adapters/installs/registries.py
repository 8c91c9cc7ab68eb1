"""What package tools must reach, as the person set them up: the tools themselves are asked, on the host.

Nothing of a repository has a say: they are asked outside of any, and a repository's own `.npmrc` or the like reaches no
further. Credentials in a URL are not handed on.
"""

import asyncio
import logging
import os
import re
import signal
from collections.abc import Mapping
from contextlib import suppress

from heddle.core.recipe import Recipe
from heddle.ports import Reach, reach_of

log = logging.getLogger("heddle.registries")

LIMIT_S = 30.0

_URL = re.compile(r"https?://[^\s,|]+")
_NAMED = re.compile(r"([A-Za-z_]+)=(.+)")
_CREDENTIALS = re.compile(r"(https?://)[^\s,|/]*@")


class ToolRegistries:
    """The Registries port. Each tool is asked once in the daemon's life; it was set up anew: restart the daemon."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._told: dict[str, Reach] = {}
        self._asking = asyncio.Lock()

    async def reach(self, recipes: tuple[Recipe, ...]) -> Reach:
        """See the port."""
        found = Reach()
        for recipe in recipes:
            async with self._asking:
                if recipe.name not in self._told:
                    self._told[recipe.name] = await self._ask(recipe)
            found = found.with_more(self._told[recipe.name])
        return found

    async def _ask(self, recipe: Recipe) -> Reach:
        handed = {name: self._environment[name] for name in recipe.env if name in self._environment}
        found = Reach(env=handed)
        for line in (await self._output(recipe)).splitlines():
            for url in _URL.findall(line):
                found = found.with_more(reach_of(url))
            if named := _NAMED.fullmatch(line):
                found = found.with_more(Reach(env={named[1]: _CREDENTIALS.sub(r"\1", named[2])}))
        return found

    async def _output(self, recipe: Recipe) -> str:
        process = await asyncio.create_subprocess_exec(
            *("/bin/sh", "-c", recipe.registries),
            cwd="/",
            env=dict(self._environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(LIMIT_S):
                out, errors = await process.communicate()
        except TimeoutError:
            out, errors = b"", f"no answer within {LIMIT_S:g} s".encode()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        if errors:
            said = errors.decode(errors="replace")[-500:]
            log.warning("registries", extra={"recipe": recipe.name, "said": said})
        return out.decode(errors="replace")
