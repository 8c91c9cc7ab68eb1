"""Where the person's browser finds what a session serves."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

from heddle.ports.processes import Streams

Dial: TypeAlias = Callable[[], Awaitable[Streams]]
"""A fresh connection to what is shown. Raises HeddleError."""


class PreviewServer(Protocol):
    """Shows servers of sessions to this machine, each at an address of its own. Off unless the person said otherwise."""

    def require_on(self) -> None:
        """Raises SetupError (slug preview-off, preview-port)."""
        ...

    async def open(self, name: str, dial: Dial) -> str:
        """From now on whoever asks for the address that is returned is connected by `dial`.

        What had that name before is ended. Raises SetupError (slug preview-off, preview-port).
        """
        ...

    async def end(self, name: str) -> bool:
        """End it with every connection to it; False when there was none."""
        ...

    async def close(self) -> None:
        """End all."""
        ...
