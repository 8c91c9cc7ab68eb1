"""Words that are the same for every agent: what an answer tells it, and what the end of its process tells people."""

from heddle.core.session import Allow, Answered, Deny, Reply
from heddle.ports import Exit

SAID_LIMIT = 500
"""Characters of what an agent said last that are told."""


def words(reply: Reply) -> str:
    """What an answer tells the agent."""
    match reply:
        case Deny(why):
            return why
        case Answered(text):
            return text
        case Allow():
            return "There is no answer; decide yourself and say what you assumed."


def ending(exit: Exit, errors: str) -> str:
    """Why a turn failed whose process ended; `errors` is the end of what it said on standard error."""
    how = f"signal {exit.signal}" if exit.signal is not None else f"status {exit.code}"
    how = how if exit.why == "exited" else exit.why
    return f"the agent ended ({how}) in the middle of its turn {' '.join(errors.split())[-SAID_LIMIT:]}".strip()
