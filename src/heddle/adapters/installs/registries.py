"""What package tools must reach, as the person set them up: the tools themselves are asked, on the host.

Nothing of a repository has a say: they are asked outside of any, and a repository's own `.npmrc` or the like reaches no
further. Credentials in a URL are not handed on.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import SplitResult, urlsplit

from heddle.core.recipe import Recipe
from heddle.ports import Reach, reach_of

log = logging.getLogger("heddle.registries")

LIMIT_S = 30.0


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
            name, _, url = line.strip().rpartition("=") if not line.startswith("http") else ("", "", line.strip())
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                log.warning("no registry", extra={"recipe": recipe.name, "said": line[:200]})
                continue
            found = found.with_more(reach_of(url))
            if name:
                found = found.with_more(Reach(env={name: _without_credentials(parts)}))
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


def _without_credentials(parts: SplitResult) -> str:
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
