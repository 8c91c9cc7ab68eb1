"""What a session can ask of Heddle while it works."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Opening:
    """Where a session's tools are served: a unix socket of this machine, and the token that whoever asks there names.

    Both are empty where none are served.
    """

    socket: str = ""
    token: str = ""


class SessionTools(Protocol):
    """Serves each session its tools on a listener of its own: who comes there is that session."""

    async def open(self, task: str, session: str) -> Opening:
        """Serve them from now on; the same socket and token for the same session for ever. Idempotent.

        Raises OutsideError(slug="no-listener").
        """
        ...

    async def close(self, session: str) -> None:
        """Serve them no more. Idempotent."""
        ...

    def token(self, session: str) -> str:
        """What whoever asks for a session's tools names, also when they are not served now; "" where none ever are."""
        ...


class NoTools:
    """No session has tools."""

    async def open(self, task: str, session: str) -> Opening:
        """See SessionTools."""
        return Opening()

    async def close(self, session: str) -> None:
        """See SessionTools."""

    def token(self, session: str) -> str:
        """See SessionTools."""
        return ""
