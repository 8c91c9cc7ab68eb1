"""What keeps sessions of one machine from colliding: names of their own and, where they share a network, ports."""

import socket
from pathlib import Path

from heddle.core.errors import OutsideError

FIRST, SPAN, BLOCKS = 20_000, 20, 599
"""Blocks of ports lie below those that kernels hand out by themselves."""


def own_names(id: str) -> dict[str, str]:
    """Environment for tools that name things which outlive a process: containers, databases."""
    return {"COMPOSE_PROJECT_NAME": f"heddle-{id}", "HEDDLE_SUFFIX": "_" + id.replace("-", "_")}


class PortBlocks:
    """Leases of port blocks, a file each in `folder`, which all repositories share and one daemon writes.

    A lease ends with its owner's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def lease(self, owner: Path) -> range:
        """The ports of a workspace: those it has, else a block that nobody has and nothing listens on.

        Raises OutsideError(slug="no-ports"), OSError.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if mine := self.leased(owner):
            return mine
        held = self._held()
        for number in range(BLOCKS):
            whose = held.get(str(number), "")
            if whose and Path(whose).exists():
                continue
            if all(_is_free(port) for port in _ports(number)):
                (self.folder / str(number)).write_text(str(owner))
                return _ports(number)
        raise OutsideError(
            "no block of free ports is left", slug="no-ports", hint="end a session with 'heddle stop TASK', then go on"
        )

    def leased(self, owner: Path) -> range:
        """The ports that a workspace has; none when it never leased any."""
        mine = next((name for name, whose in self._held().items() if whose == str(owner)), "")
        return _ports(int(mine)) if mine else range(0)

    def _held(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in self.folder.iterdir()} if self.folder.is_dir() else {}


def port_names(ports: range) -> dict[str, str]:
    """Environment that tells a session its ports; many servers listen on PORT by themselves."""
    return {"PORT": str(ports[0]), "HEDDLE_PORTS": f"{ports[0]}-{ports[-1]}"}


def _ports(number: int) -> range:
    first = FIRST + number * SPAN
    return range(first, first + SPAN)


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
