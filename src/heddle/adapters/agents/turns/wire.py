"""The lines between a conversation and the relay; see heddle.relay.turns."""

import json
from dataclasses import dataclass

import msgspec

from heddle.core.session import Send


class Told(msgspec.Struct):
    """A line of the relay: `out` or `err` of a turn, or its end, which alone has a `why`."""

    turn: int
    out: str | None = None
    err: str | None = None
    exit: int | None = None
    signal: int | None = None
    why: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class End:
    """How the process of a turn ended. `why`: "" by itself, else as the relay tells; `errors`: the end of stderr."""

    code: int | None
    signal: int | None
    why: str
    detail: str
    errors: str

    @property
    def told(self) -> str:
        """In words."""
        how = f"signal {self.signal}" if self.signal is not None else f"status {self.code}"
        match self.why:
            case "":
                return f"the agent ended with {how}"
            case "silence":
                return "the agent was ended: it had said nothing for too long"
            case "start-failed":
                return f"the agent could not be started: {self.detail}"
            case "interrupt":
                return "the agent was interrupted"
            case other:
                return f"the agent was ended: {other}"


def decoded(line: bytes) -> Told:
    """The line. Raises ValueError when it is not the relay's."""
    told = msgspec.json.decode(line, type=Told)
    if told.out is None and told.err is None and told.why is None:
        raise ValueError("it tells nothing")
    return told


def start(number: int, argv: tuple[str, ...], stdin: str, silence_s: float) -> Send:
    """Start a turn."""
    return _order(f"prompt:{number}", {"turn": number, "argv": argv, "stdin": stdin, "silence_s": silence_s})


def interrupt(number: int) -> Send:
    """End a turn."""
    return _order(f"interrupt:{number}", {"turn": number, "interrupt": True})


def _order(id: str, order: dict[str, object]) -> Send:
    return Send(id, json.dumps(order, ensure_ascii=True, separators=(",", ":")).encode() + b"\n")
