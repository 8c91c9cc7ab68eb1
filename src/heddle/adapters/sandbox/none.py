"""Tier 0: no enclosure. The process is held and ended whole, but it may read and write what its user may."""

import asyncio
import hashlib
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from heddle.adapters.sandbox.held import HeldProcess
from heddle.adapters.sandbox.zygote import Zygote
from heddle.core.errors import SetupError
from heddle.holder.folder import VERSION, Folder
from heddle.ports import Command

SOCKET_LIMIT = 104
"""Bytes of a unix socket's path that every supported system takes."""

INHERITED = frozenset(
    "PATH HOME USER LOGNAME SHELL LANG LANGUAGE TERM TZ TMPDIR SSL_CERT_FILE SSL_CERT_DIR VIRTUAL_ENV PYENV_ROOT".split()
)
"""What a held process gets of the daemon's environment; credentials and tokens are never among it."""


class Unconfined:
    """The Sandbox port without a sandbox. `folder` keeps the holders' folders, `runtime` their sockets."""

    tier = 0

    def __init__(self, folder: Path, runtime: Path, environment: Mapping[str, str]) -> None:
        self._root = folder
        self._runtime = runtime
        self._env = {
            name: value for name, value in environment.items() if name in INHERITED or name.startswith("LC_")
        }
        self._zygote = Zygote(folder / "zygote.log")
        self._held: dict[str, HeldProcess] = {}
        self._starting: dict[str, asyncio.Lock] = {}

    async def start(self, command: Command) -> HeldProcess:
        """See the port. Raises SetupError(slug="socket-path-too-long" or "unsafe-runtime")."""
        held = self._handle(command.key)
        async with self._starting.setdefault(command.key, asyncio.Lock()):
            if held.ended() is None:
                self._prepare(held.folder, command)
                if await self._zygote.fork(held.folder.path) == "lost":
                    await held.exit()
        return held

    async def find(self, key: str) -> HeldProcess | None:
        """See the port."""
        held = self._handle(key)
        return held if held.folder.spec.exists() else None

    async def live(self) -> tuple[str, ...]:
        """Keys of the processes that have not ended; those whose holder was killed are settled on the way."""
        keys = []
        for path in sorted(self._root.glob("*/spec.json")):
            spec = Folder(path.parent).load(path)
            if spec is None or (path.parent / "exit.json").exists():
                continue
            held = self._handle(spec["key"])
            if not await held._subscribed():
                await held._settle()
            if held.ended() is None:
                keys.append(spec["key"])
        return tuple(keys)

    async def close(self) -> None:
        """Let go of everything; what is held goes on."""
        for held in self._held.values():
            held.detach()
        await self._zygote.close()

    def _handle(self, key: str) -> HeldProcess:
        if key not in self._held:
            slug = re.sub(r"[^A-Za-z0-9._-]", "_", key)[:60]
            name = f"{slug}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
            self._held[key] = HeldProcess(key, Folder(self._root / name))
        return self._held[key]

    def _prepare(self, folder: Folder, command: Command) -> None:
        """Write the spec once; a second start of the same key finds the first one's."""
        folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.spec.exists():
            return
        spec = {
            "version": VERSION,
            "key": command.key,
            "argv": list(command.argv),
            "cwd": command.cwd,
            "env": {**self._env, **command.env},
            "stdin": command.stdin,
            "transcript_limit": command.transcript_limit,
            "wall_s": command.wall_s,
            "socket": self._socket(command.key),
        }
        folder.write(folder.spec, spec)

    def _socket(self, key: str) -> str:
        require_private(self._runtime)
        path = str(self._runtime / f"{hashlib.sha256(key.encode()).hexdigest()[:12]}.s")
        require_socket_path(path)
        return path


def require_socket_path(path: str) -> None:
    """Raises SetupError(slug="socket-path-too-long")."""
    if len(os.fsencode(path)) > SOCKET_LIMIT:
        raise SetupError(
            f"socket path '{path}' has {len(os.fsencode(path))} bytes; the system takes {SOCKET_LIMIT}",
            slug="socket-path-too-long",
            hint="set HEDDLE_RUNTIME_DIR to a shorter folder, for instance one directly below /run or /tmp",
        )


def require_private(folder: Path) -> None:
    """Make the folder for sockets, or check it: a folder of ours that nobody else may enter.

    Raises SetupError(slug="unsafe-runtime").
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & 0o077:
        raise SetupError(
            f"runtime folder '{folder}' is not ours alone",
            slug="unsafe-runtime",
            hint="set HEDDLE_RUNTIME_DIR to a folder with mode 0700",
        )
