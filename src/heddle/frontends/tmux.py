"""A tmux server of Heddle's own, on a socket of its own: the person's server and its settings are never touched."""

import os
import shlex
import shutil
import sys
from collections.abc import Iterable
from typing import NoReturn

from heddle import places
from heddle.client import become, run_captured
from heddle.core.errors import OutsideError, SetupError

SESSION = "heddle"
FLEET = "fleet"
OVERVIEW = "overview"
TASK = "@heddle-task"
"""The option of a pane that says what it shows: a task's id, or OVERVIEW."""

SETTINGS = (
    ("default-shell", "/bin/sh"),
    ("mouse", "on"),
    ("pane-border-status", "top"),
    ("pane-border-format", f" #{{{TASK}}} "),
    ("status-right", ""),
)


class Tmux:
    """Lays out panes and windows that run commands of ours. Nothing is ever typed into any of them."""

    def __init__(self) -> None:
        """Raises SetupError (slug no-tmux, socket-path-too-long, unsafe-runtime)."""
        program = shutil.which("tmux")
        if program is None:
            raise SetupError(
                "tmux is not there", slug="no-tmux", hint="install tmux, for instance with your package manager"
            )
        self.socket = places.socket_path(places.runtime(), "tmux.sock")
        self.argv = [program, "-S", self.socket, "-f", os.devnull]

    def lay_out(self, tasks: Iterable[str]) -> list[str]:
        """The overview and a pane for each of these tasks, in one window; those that are there stay. Returns the tasks shown.

        Raises OutsideError(slug="tmux-failed").
        """
        self._begin()
        panes = self._panes()
        for task in tasks:
            if task not in panes:
                after, fleet = list(panes.values())[-1], f"={SESSION}:{FLEET}"
                pane = self._run("split-window", "-d", "-t", after, "-P", "-F", "#{pane_id}", ours("watch", task))
                self._run("set-option", "-p", "-t", pane, TASK, task)
                self._run("select-layout", "-t", fleet, "tiled")
                panes[task] = pane
        return [task for task in panes if task != OVERVIEW]

    def open_window(self, name: str, *words: str) -> None:
        """A window that runs one command of Heddle's; the one of that name when it is there. It closes with the command."""
        self._begin()
        if name not in self._windows():
            self._run("new-window", "-d", "-t", f"={SESSION}:", "-n", name, ours(*words))
        self._run("select-window", "-t", f"={SESSION}:={name}")

    def attach(self, *, control: bool) -> NoReturn:
        """Be its client; `control`: in control mode, for terminals that draw panes themselves. Works inside of another tmux."""
        os.environ.pop("TMUX", None)
        become([*self.argv, *(["-CC"] if control else []), "attach-session", "-t", f"={SESSION}"])

    def _begin(self) -> None:
        """The session with its first window; that one is made anew when it was closed."""
        status, _, _ = run_captured([*self.argv, "has-session", "-t", f"={SESSION}"])
        board = ours("status", "--follow")
        if status != 0:
            size = shutil.get_terminal_size((200, 50))
            at = ("-x", str(size.columns), "-y", str(size.lines))
            self._run("new-session", "-d", "-s", SESSION, "-n", FLEET, *at, board)
            for name, value in SETTINGS:
                self._run("set-option", "-g", name, value)
            self._run("set-hook", "-g", "pane-exited", "select-layout tiled")
        elif FLEET not in self._windows():
            self._run("new-window", "-d", "-t", f"={SESSION}:", "-n", FLEET, board)
        self._run("set-option", "-p", "-t", f"={SESSION}:{FLEET}.0", TASK, OVERVIEW)

    def _windows(self) -> list[str]:
        return self._run("list-windows", "-t", f"={SESSION}", "-F", "#{window_name}").splitlines()

    def _panes(self) -> dict[str, str]:
        """The ids of the panes by what they show, in order."""
        listed = self._run("list-panes", "-t", f"={SESSION}:{FLEET}", "-F", f"#{{{TASK}}} #{{pane_id}}").splitlines()
        return {name: pane for name, _, pane in (line.rpartition(" ") for line in listed)}

    def _run(self, *words: str) -> str:
        status, out, err = run_captured([*self.argv, *words])
        if status != 0:
            raise OutsideError(
                f"tmux {words[0]} failed",
                slug="tmux-failed",
                hint="see what it says; is this tmux older than 3.0?",
                program="tmux",
                tail=err.decode(errors="replace"),
            )
        return out.decode(errors="replace").strip()


def ours(*words: str) -> str:
    """A command line for tmux' shell that runs a command of Heddle's. One that fails is seen until somebody says Enter."""
    return shlex.join((sys.executable, "-P", "-m", "heddle.frontends.cli", *words)) + " || read -r _"
