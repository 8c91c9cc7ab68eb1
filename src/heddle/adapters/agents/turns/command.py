"""Any program as an agent: what it prints is what it said, status 0 is the end of its turn."""

from collections.abc import Iterator

from heddle.adapters.agents.turns.conversation import unhappy
from heddle.adapters.agents.turns.wire import End
from heddle.core.session import AgentReady, Fact, Said, TurnEnded, TurnOutcome

TEXT_LIMIT = 200_000
"""Characters of what it said that are kept as its last message: those at the end."""


class CommandReader:
    """See Reader."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._length = 0

    def heard(self, line: str) -> Iterator[Fact]:
        """See Reader."""
        if not self._text:
            yield AgentReady("")
        self._text.append(line)
        self._length += len(line) + 1
        while self._length > TEXT_LIMIT and len(self._text) > 1:
            self._length -= len(self._text.pop(0)) + 1
        if line.strip():
            yield Said(line)

    def ended(self, end: End) -> Iterator[Fact]:
        """See Reader."""
        text = "\n".join(self._text).strip()[-TEXT_LIMIT:]
        done = not end.why and end.code == 0
        yield TurnEnded(TurnOutcome.ENDED, text) if done else unhappy(end, text)
