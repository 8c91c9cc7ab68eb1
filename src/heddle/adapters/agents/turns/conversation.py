"""The conversation with an agent that has a process per turn, as a pure machine over the relay's lines."""

import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from heddle.adapters.agents.brands import Brand
from heddle.adapters.agents.turns import wire
from heddle.adapters.agents.turns.wire import End
from heddle.core.session import Access, AgentReady, Brief, Fact, Garbled, Reply, Send, TurnEnded, TurnOutcome
from heddle.ports import Exit

NAMESPACE = uuid.UUID("a7c0f8f2-4d1e-5a3b-8a55-0f3f6f1d2c11")
SAMPLE = 200
ERRORS_KEPT = 2000
PLACEHOLDER = re.compile(r"\{(session|model|prompt|tree|out)\}")


class Reader(Protocol):
    """Understands the standard output of one turn's process."""

    def heard(self, line: str) -> Iterator[Fact]:
        """A line of it."""
        ...

    def ended(self, end: End) -> Iterator[Fact]:
        """What is left to tell at its end; a TurnEnded comes last."""
        ...


class TurnsConversation:
    """See the Conversation port. `reader` is made anew for each turn."""

    def __init__(self, brief: Brief, brand: Brand, reader: Callable[[], Reader]) -> None:
        self._brief, self._brand, self._turns = brief, brand, brand.turns
        self._make = reader
        self._reader = reader()
        self._session = brief.resume or session_id(brief)
        self._introduced = False
        self._turn = 0
        self._open = False
        self._errors = ""

    # ------------------------------------------------------------------------------------------- sending

    def open(self) -> list[Send]:
        """See the port."""
        return self._start(self._brief.prompt, 1)

    def prompt(self, text: str, number: int) -> list[Send]:
        """See the port. An agent that remembers nothing is told again what it was told first."""
        return self._start(text if self._turns.again else f"{self._brief.prompt}\n\n{text}", number)

    def _start(self, text: str, number: int) -> list[Send]:
        self._turn, self._open, self._errors = number, True, ""
        self._reader = self._make()
        stdin = "" if self._turns.prompt else text
        return [wire.start(number, self._argv(text, number), stdin, self._turns.silence_s)]

    def _argv(self, text: str, number: int) -> tuple[str, ...]:
        brief, turns = self._brief, self._turns
        goes_on = bool(turns.again) and (number > 1 or bool(brief.resume))
        parts = [*self._brand.command, *(turns.again if goes_on else turns.first)]
        parts += turns.read if brief.access is Access.READ else turns.write
        parts += turns.model if brief.model else ()
        parts += turns.prompt
        known = {"session": self._session, "model": brief.model, "prompt": text, "tree": brief.tree, "out": brief.out}
        return tuple(filled(part, known) for part in parts)

    def interrupt(self) -> list[Send]:
        """See the port; no message when no turn is open."""
        return [wire.interrupt(self._turn)] if self._open else []

    def reply(self, request: str, reply: Reply) -> list[Send]:
        """See the port. Such an agent asks nothing."""
        return []

    # ----------------------------------------------------------------------------------------- receiving

    def receive(self, line: bytes) -> list[Fact | Send]:
        """See the port."""
        try:
            told = wire.decoded(line)
        except (ValueError, RecursionError):
            return [Garbled(line[:SAMPLE].decode(errors="replace"))]
        return list(self._take(told)) if self._open and told.turn == self._turn else []

    def _take(self, told: wire.Told) -> Iterator[Fact]:
        if told.err is not None:
            self._errors = f"{self._errors}\n{told.err}"[-ERRORS_KEPT:]
        if told.out is not None:
            yield from self._known(self._reader.heard(told.out))
        if told.why is not None:
            yield from self._end(End(told.exit, told.signal, told.why, told.detail, " ".join(self._errors.split())))

    def _known(self, facts: Iterator[Fact]) -> Iterator[Fact]:
        """The facts; the agent is introduced once, and its session is the one that it names."""
        for fact in facts:
            if not isinstance(fact, AgentReady):
                yield fact
                continue
            self._session = fact.agent_session or self._session
            if not self._introduced:
                self._introduced = True
                yield AgentReady(self._session if self._turns.again else "", fact.model, fact.version)

    def _end(self, end: End) -> Iterator[Fact]:
        yield from self._known(self._reader.ended(end))
        self._open = False

    def exited(self, exit: Exit, errors: str) -> list[Fact]:
        """See the port: the relay ended, and with it what it had started."""
        if not self._open:
            return []
        end = End(exit.code, exit.signal, "" if exit.why == "exited" else exit.why, exit.detail, "")
        facts = [fact for fact in self._known(self._reader.ended(end)) if not isinstance(fact, TurnEnded)]
        self._open = False
        said = " ".join(errors.split())[-500:]
        return [*facts, TurnEnded(TurnOutcome.FAILED, "", f"{end.told} in the middle of its turn {said}".strip())]


def filled(part: str, known: Mapping[str, str]) -> str:
    """A part of a command with its placeholders filled in, once: what is filled in is never looked at again."""
    return PLACEHOLDER.sub(lambda found: known[found.group(1)], part)


def session_id(brief: Brief) -> str:
    """The conversation's id, the same for the same session in the same tree: a restart finds it again."""
    return str(uuid.uuid5(NAMESPACE, f"{brief.session}\n{brief.tree}"))


def unhappy(end: End, text: str = "") -> TurnEnded:
    """The end of a turn whose process was ended, or failed."""
    if end.why == "interrupt":
        return TurnEnded(TurnOutcome.INTERRUPTED, text)
    return TurnEnded(TurnOutcome.FAILED, "", f"{end.told} {end.errors[-500:]}".strip())
