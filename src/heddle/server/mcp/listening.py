"""A listener for each session: who comes through it is that session, and proves it with the session's token besides."""

import asyncio
import hashlib
import hmac
import os
import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from uvicorn.server import ServerState

from heddle.api.desk import Desk
from heddle.api.session_tools import Caller
from heddle.core.errors import Bug, OutsideError
from heddle.ports import Opening
from heddle.server.mcp.app import application
from heddle.server.mcp.toolbox import INSTRUCTIONS, shelf, toolbox

KEY_BYTES = 32


@dataclass(slots=True)
class Listeners:
    """The SessionTools port. `home` keeps the key that tokens are made of, `runtime` the sockets. `desk` is set once there
    is one: nobody comes before.
    """

    home: Path
    runtime: Path
    desk: Desk | None = None
    _servers: dict[str, asyncio.Server] = field(default_factory=dict)
    _key: bytes = b""

    async def open(self, task: str, session: str) -> Opening:
        """See the port. Raises OutsideError(slug="no-listener")."""
        try:
            path, token = self._socket(session), self.token(session)
            if session not in self._servers:
                self._servers[session] = await self._serve(Caller(task, session), path, token)
        except OSError as error:
            told = f"the tools of session '{session}' cannot be served: {error.strerror or error}"
            raise OutsideError(told, slug="no-listener", hint="see: heddle doctor") from error
        return Opening(str(path), token)

    async def close(self, session: str) -> None:
        """See the port."""
        server = self._servers.pop(session, None)
        if server is not None:
            server.close()
            with suppress(FileNotFoundError):
                self._socket(session).unlink()

    def sweep(self) -> None:
        """Remove what a daemon left that could not close: for whoever holds the lock on the state folder, at its start."""
        for path in self.runtime.glob(f"{self._mark}*.t"):
            with suppress(OSError):
                path.unlink()

    async def close_all(self) -> None:
        """The daemon ends; what sessions ask until the next one comes is answered with 503."""
        for session in tuple(self._servers):
            await self.close(session)

    async def _serve(self, caller: Caller, path: Path, token: str) -> asyncio.Server:
        if self.desk is None:
            raise Bug("a session asks for its tools before there is a desk", hint="see: heddle doctor")
        offered = toolbox(self.desk, caller), token, shelf(self.desk, caller)
        app = application("heddle", self.desk.version, INSTRUCTIONS, *offered)
        config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none", http="h11", timeout_keep_alive=600)
        config.load()
        state = ServerState()

        def protocol() -> asyncio.Protocol:
            made: asyncio.Protocol = config.http_protocol_class(config=config, server_state=state, app_state={})  # type: ignore[call-arg]
            return made

        return await asyncio.get_running_loop().create_unix_server(protocol, sock=_bound(path))

    def _socket(self, session: str) -> Path:
        """Named after the state folder, too: two installations may share a runtime folder and their sessions' names. As long as
        the other sockets there: what has room for theirs has it for ours.
        """
        return self.runtime / f"{self._mark}{hashlib.sha256(session.encode()).hexdigest()[:10]}.t"

    @property
    def _mark(self) -> str:
        return hashlib.sha256(str(self.home).encode()).hexdigest()[:6]

    def token(self, session: str) -> str:
        """See the port. Nobody can guess it."""
        if not self._key:
            self._key = _kept_key(self.home / "tools.key")
        return hmac.new(self._key, session.encode(), "sha256").hexdigest()


def _bound(path: Path) -> socket.socket:
    """A socket in a folder that nobody else may enter. No umask: it would hold for all that other threads make meanwhile."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        path.unlink()  # of a daemon before
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.bind(str(path))
    path.chmod(0o600)
    return made


def _kept_key(path: Path) -> bytes:
    """The key in a file that only we may read; made when there is none. A file of another length is no key."""
    with suppress(FileNotFoundError):
        known = path.read_bytes()
        if len(known) == KEY_BYTES:
            return known
    draft = path.with_suffix(".draft")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(secrets.token_bytes(KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
    return path.read_bytes()
