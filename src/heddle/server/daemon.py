"""Start, serve, stop. The lock on the state folder makes the daemon the only one; its sessions outlive it."""

import asyncio
import fcntl
import json
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import uvicorn

from heddle import places, wiring
from heddle.api import keeping, mirroring
from heddle.core.errors import Bug, HeddleError, SetupError
from heddle.server.app import application
from heddle.server.mcp.listening import Listeners
from heddle.server.sockets import listen

log = logging.getLogger("heddle.daemon")


def main() -> int:
    """Run the daemon until it is told to stop. The last line on stderr of a failed start is the error as JSON."""
    try:
        home = Path(places.home())
        lock = take_lock(home)
        if lock is None:
            return 0  # another daemon serves this folder
        _log_to_stderr()
        asyncio.run(serve(home, keep_aside="--keep-aside" in sys.argv[1:]))
    except HeddleError as error:
        return _fail(error)
    except OSError as error:
        return _fail(Bug(f"the daemon could not start: {error}", hint="see: heddle doctor"))
    return 0


def take_lock(home: Path) -> int | None:
    """The descriptor that makes this process the daemon of `home`, or None when another one is.

    Raises SetupError(slug="no-home") when nothing can be written there.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(home / "daemon.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        hint = "set HEDDLE_HOME to a folder that can be written"
        raise SetupError(f"no state folder '{home}': {error.strerror}", slug="no-home", hint=hint) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    os.ftruncate(fd, 0)
    os.write(fd, f"{os.getpid()}\n".encode())
    return fd


class Listener(uvicorn.Server):
    """uvicorn that is told when it is `over`: it does not look for it ten times a second, and the signals are ours."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.over = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None are captured."""
        yield

    async def main_loop(self) -> None:
        """Wait."""
        await self.over.wait()


async def serve(home: Path, *, keep_aside: bool = False) -> None:
    """Wire everything, listen, and let the fleet run."""
    stopping = asyncio.Event()
    runtime = Path(places.runtime())
    tools = Listeners(home, runtime)
    tools.sweep()
    house = await wiring.build(home, runtime, os.environ, stopping.set, keep_aside=keep_aside, tools=tools)
    tools.desk = house.desk
    listener = listen(places.daemon_socket())
    config = uvicorn.Config(application(house.desk), log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    server = Listener(config)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    fleet = asyncio.create_task(house.desk.fleet.serve())
    lists = asyncio.create_task(keeping.serve(house.desk))
    mirror = asyncio.create_task(mirroring.serve(house.desk))
    web = asyncio.create_task(server.serve(sockets=[listener]))
    stop = asyncio.create_task(stopping.wait())
    done, _ = await asyncio.wait({fleet, web, stop}, return_when=asyncio.FIRST_COMPLETED)
    server.over.set()
    with suppress(asyncio.CancelledError, TimeoutError):
        await asyncio.wait_for(web, timeout=3)
    for task in (lists, mirror, fleet):
        task.cancel()
    await asyncio.wait({lists, mirror, fleet})
    await tools.close_all()
    await house.close()
    if fleet in done and not fleet.cancelled() and fleet.exception() is not None:
        raise fleet.exception() or Bug("the fleet ended")


def _log_to_stderr() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")


def _fail(error: HeddleError) -> int:
    sys.stderr.write(json.dumps({"error": error.as_dict()}, default=str) + "\n")
    return error.exit_status
