"""One module per wire dialect; a new vendor's API is a new module here and one line in server.DIALECTS."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..http1 import Request, Response
from ..scenario import Error, Message, Turn
from ..tools import ToolCall


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a turn, whatever its dialect. `system` is everything that is not the conversation.

    `aside`: no tools are offered, so it is no turn of the agent but a question of its program (a title).
    """

    model: str
    session: str
    stream: bool
    messages: Sequence[Message]
    tools: Sequence[str]
    system: str
    wants_json: bool = False

    @property
    def aside(self) -> bool:
        """See the class."""
        return not self.tools


class Dialect(Protocol):
    """How one vendor's API is spoken."""

    name: str

    def accepts(self, request: Request) -> bool:
        """Whether a request asks for a turn in this dialect."""
        ...

    def asked(self, request: Request) -> Asked:
        """The request in words that all dialects share. Raises ValueError on a malformed one."""
        ...

    def plain(self, request: Request) -> Any:
        """The answer to a request that is no turn (count tokens, list models); None when it is not ours."""
        ...

    async def begin(self, asked: Asked, turn: Turn, calls: Sequence[ToolCall], serial: int, to: Response) -> None:
        """Stream the content of a turn; with `asked.stream` false do nothing."""
        ...

    async def finish(self, asked: Asked, turn: Turn, calls: Sequence[ToolCall], serial: int, to: Response) -> None:
        """Close the message; with `asked.stream` false answer it whole."""
        ...

    async def fail(self, error: Error, to: Response) -> None:
        """Answer with an error."""
        ...
