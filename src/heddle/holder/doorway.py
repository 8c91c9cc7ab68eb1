"""The holder's end of a door: a person comes through it, and the process begins with them and ends with them.

Frames as in box/frames.py. The holder says {"terminal": BOOL}; the visitor answers with the terminal to be like
(`size`, `modes`), or sends three descriptors along. {"started": true} has the terminal's outer end with it; else it is
{"failed": "..."}. Then the visitor may send {"signal": N}, and hears {"ended": ...} as exit.json has it.
"""

import os
import selectors
import signal
import socket
from typing import TYPE_CHECKING, Any

from heddle.holder.box.frames import receive, tell
from heddle.holder.child import listen, run_visited
from heddle.holder.link import peer_uid

if TYPE_CHECKING:
    from heddle.holder.supervisor import Supervisor

PATIENCE_S = 30.0
"""How long the door stays open for somebody to come."""

ANSWER_S = 5.0
"""How long whoever knocked may take to say what they bring."""

LEAVE_S = 2.0
"""The grace of a process whose visitor has left."""


class Doorway:
    """One door, for one visitor."""

    def __init__(self, owner: "Supervisor") -> None:
        self.owner = owner
        self.visitor: socket.socket | None = None
        self.listener = listen(owner.spec["door"])
        self.listener.setblocking(False)
        owner.selector.register(self.listener, selectors.EVENT_READ, self._on_knock)

    def tell_end(self, ended: dict[str, Any]) -> None:
        """Say how the process ended."""
        self._tell({"ended": ended})

    def _on_knock(self) -> None:
        try:
            connection, _ = self.listener.accept()
        except OSError:
            return
        connection.settimeout(ANSWER_S)
        if self.owner.stopping or peer_uid(connection) not in (None, os.getuid()):
            return connection.close()
        streams: list[int] = []
        try:
            tell(connection, {"terminal": self.owner.spec["stdin"] == "terminal"})
            told, streams = receive(connection, descriptors=3)
            if told is None or bool(streams) == (self.owner.spec["stdin"] == "terminal"):
                return connection.close()
            self._admit(connection, told, streams)
        except (OSError, ValueError):
            connection.close()
        finally:
            for fd in streams:
                os.close(fd)

    def _admit(self, visitor: socket.socket, told: dict[str, Any], streams: list[int]) -> None:
        """Start the process, and open the door for nobody else."""
        self.owner.selector.unregister(self.listener)
        self.listener.close()
        self.visitor = visitor
        self.owner.selector.register(visitor, selectors.EVENT_READ, self._on_word)
        terminal = -1
        try:
            child, terminal = run_visited(self.owner.spec, told, streams)
        except (OSError, ValueError, TypeError) as error:
            self.owner.detail = str(error)
            self._tell({"failed": str(error)})
            return self.owner.stop(0.0, "start-failed")
        self.owner.adopt(child)
        self._tell(
            {"failed": child.failure} if child.failure else {"started": True}, [terminal] if terminal >= 0 else []
        )
        if terminal >= 0:
            os.close(terminal)

    def _on_word(self) -> None:
        """The visitor passes a signal on, or is gone."""
        if self.visitor is None:
            return
        try:
            told, _ = receive(self.visitor)
            number = signal.Signals(told["signal"]) if told else None
        except (OSError, ValueError, KeyError):
            number = None
        if number is not None:
            return self.owner.child.signal(number)
        self.owner.selector.unregister(self.visitor)
        self.owner.stop(LEAVE_S, "stopped", "its visitor left")

    def _tell(self, message: dict[str, Any], descriptors: list[int] | None = None) -> None:
        """To the visitor; one that is gone is told nothing."""
        if self.visitor is not None:
            try:
                tell(self.visitor, message, descriptors)
            except OSError:
                return
