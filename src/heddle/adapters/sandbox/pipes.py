"""The streams of a short command: read and written in threads, never beyond a limit."""

import os
from contextlib import suppress

from heddle.core.errors import OutsideError


def read_all(fd: int, limit: int, program: str) -> bytes:
    """All of a pipe. Raises OutsideError(slug="output-limit") above the limit, without waiting for its end."""
    with os.fdopen(fd, "rb") as pipe:
        data = pipe.read(limit + 1)
    require_within(limit, program, data)
    return data


def write_all(fd: int, data: bytes) -> None:
    """All that the other end takes; it is closed then."""
    with suppress(BrokenPipeError), os.fdopen(fd, "wb") as pipe:
        pipe.write(data)


def require_within(limit: int, program: str, *written: bytes) -> None:
    """Raises OutsideError(slug="output-limit")."""
    if any(len(data) > limit for data in written):
        raise OutsideError(f"'{program}' wrote more than {limit} bytes", slug="output-limit")
