"""The streams of a short command: read and written in threads, never beyond a limit."""

import os
from contextlib import suppress

from heddle.core.errors import OutsideError


def read_some(fd: int, limit: int) -> bytes:
    """All of a pipe, but not much more than the limit; it is closed then."""
    with os.fdopen(fd, "rb") as pipe:
        return pipe.read(limit + 1)


def write_all(fd: int, data: bytes) -> None:
    """All that the other end takes; it is closed then."""
    with suppress(BrokenPipeError), os.fdopen(fd, "wb") as pipe:
        pipe.write(data)


def require_within(limit: int, program: str, *written: bytes) -> None:
    """Raises OutsideError(slug="output-limit")."""
    if any(len(data) > limit for data in written):
        raise OutsideError(f"'{program}' wrote more than {limit} bytes", slug="output-limit")
