"""A terminal made for one process: whoever holds its outer end sees what the process shows and types into it."""

import fcntl
import os
import termios
from collections.abc import Callable
from contextlib import suppress
from typing import Any


def open_terminal(told: dict[str, Any]) -> tuple[int, int]:
    """The outer and the inner end of a new one. Raises OSError.

    `told` may have its `size` (rows, columns) and the `modes` of another terminal, see `modes_of`, to be like.
    """
    outer, inner = os.openpty()
    with suppress(termios.error, KeyError, TypeError, ValueError):  # a terminal with other modes is still one
        if "modes" in told:
            termios.tcsetattr(inner, termios.TCSANOW, told["modes"])
        termios.tcsetwinsize(inner, told["size"])
    return outer, inner


def modes_of(terminal: int) -> list[Any]:
    """How a terminal treats what is typed and shown, as JSON can tell it. Raises termios.error."""
    *numbers, characters = termios.tcgetattr(terminal)
    return [*numbers, [char[0] if isinstance(char, bytes) else char for char in characters]]


def controlled_by(terminal: int) -> Callable[[], None]:
    """What makes the calling process, the leader of a fresh session, take a terminal as its controlling one."""

    def take() -> None:
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)

    return take
