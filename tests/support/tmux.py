"""A person's tmux, on a socket of its own."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path


class Tmux:
    """A person's tmux, on a socket of its own."""

    def __init__(self, folder: Path) -> None:
        self.base = ("tmux", "-S", str(folder / "tmux"), "-f", os.devnull)
        self.run("new-session", "-d", "-c", str(folder), "-x", "100", "-y", "30", "env PS1='mine> ' sh")

    def run(self, *words: str) -> str:
        return subprocess.run((*self.base, *words), capture_output=True, text=True, check=True).stdout

    def type(self, text: str) -> None:
        """A line, with Enter."""
        self.run("send-keys", "-l", text)
        self.run("send-keys", "Enter")

    def see(self, holds: Callable[[str], bool]) -> str:
        """Wait until the screen is as it should be; returns it."""
        deadline = time.monotonic() + 30
        while not holds(screen := self.run("capture-pane", "-p")):
            assert time.monotonic() < deadline, screen
            time.sleep(0.05)
        return screen
