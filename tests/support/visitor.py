"""Somebody at a terminal of their own who runs a program there, and waits for what they expect to see."""

import fcntl
import os
import re
import select
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from typing import Any

PATIENCE_S = 30.0


class Visitor:
    """A program on a fresh terminal. What was seen is passed over by the next look."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        size: tuple[int, int] = (30, 100),
        env: Mapping[str, str] = os.environ,
        stdout: int | None = None,
    ) -> None:
        self.ours, self.theirs = os.openpty()
        termios.tcsetwinsize(self.theirs, size)
        self.modes = termios.tcgetattr(self.theirs)
        self.shown = ""
        self.unseen = ""
        self.process = subprocess.Popen(
            list(argv),
            stdin=self.theirs,
            stdout=self.theirs if stdout is None else stdout,
            stderr=self.theirs,
            env={**env, "TERM": "xterm"},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )

    def type(self, text: str) -> None:
        """Type it."""
        os.write(self.ours, text.encode())

    def see(self, pattern: str) -> "re.Match[str]":
        """Wait until a pattern is on the screen, after all that was seen before."""
        deadline = time.monotonic() + PATIENCE_S
        while (found := re.search(pattern, self.unseen)) is None:
            ready, _, _ = select.select([self.ours], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"never saw {pattern!r} in {self.shown!r}"
            said = os.read(self.ours, 65_536).decode(errors="replace")
            self.shown += said
            self.unseen += said
        self.unseen = self.unseen[found.end() :]
        return found

    def resize(self, rows: int, columns: int) -> None:
        """Draw the window to another size."""
        termios.tcsetwinsize(self.ours, (rows, columns))

    def left(self) -> int:
        """Wait for the program's end; its exit status. The terminal is as it was."""
        status = self.process.wait(timeout=PATIENCE_S)
        while select.select([self.ours], [], [], 0)[0]:
            said = os.read(self.ours, 65_536).decode(errors="replace")
            self.shown += said
            self.unseen += said
        assert self.tamed(), "the terminal was left as it must not be"
        return status

    def tamed(self) -> bool:
        """Whether the terminal treats what is typed as it did before."""
        return self.modes_now() == self.modes

    def modes_now(self) -> list[Any]:
        """How the terminal treats what is typed now."""
        return termios.tcgetattr(self.theirs)

    def close(self) -> None:
        """Take the terminal away; whatever still runs there is ended."""
        self.hang_up()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def hang_up(self) -> None:
        """Close the window."""
        for name in ("ours", "theirs"):
            fd = getattr(self, name)
            if fd >= 0:
                os.close(fd)
                setattr(self, name, -1)
