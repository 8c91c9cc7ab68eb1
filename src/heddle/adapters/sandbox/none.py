"""Tier 0: no enclosure. The process is held and ended whole, but it may read and write what its user may."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from heddle.adapters.sandbox.held import HeldProcess
from heddle.adapters.sandbox.holders import Holders
from heddle.ports import Command

INHERITED = frozenset(
    ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TERM", "TZ", "TMPDIR")
    + ("SSL_CERT_FILE", "SSL_CERT_DIR", "VIRTUAL_ENV", "PYENV_ROOT")
)
"""What a held process gets of the daemon's environment; credentials and tokens are never among it."""


class Unconfined(Holders):
    """The Sandbox port without a sandbox."""

    tier = 0

    def __init__(self, folder: Path, runtime: Path, environment: Mapping[str, str]) -> None:
        super().__init__(folder, runtime)
        self._env = {name: value for name, value in environment.items() if name in INHERITED or name.startswith("LC_")}

    async def start(self, command: Command) -> HeldProcess:
        """See the port. Raises SetupError (socket-path-too-long, unsafe-runtime), OutsideError (no-holder, no-zygote)."""
        held, _ = await self.hold(replace(command, env={**self._env, **command.env}))
        return held
