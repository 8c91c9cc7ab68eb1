"""`python -I -m heddle.relay.turns`: one long-lived process for an agent that wants a process of its own for each turn.

It reads orders, one JSON object a line, and starts what they say, one turn after the other:

    {"turn": 1, "argv": [...], "stdin": "...", "env": {...}, "silence_s": 600}      start a turn
    {"turn": 1, "interrupt": true}                                                  end it

It tells what comes of a turn, one JSON object a line, the end last and once:

    {"turn": 1, "out": "..."}     a line of standard output, or of standard error: "err"; a cut one has "cut": true
    {"turn": 1, "exit": 0, "signal": null, "why": ""}

`why` is empty when the process ended by itself, else interrupt, silence (nothing on standard output for `silence_s`
seconds), closed (our own input ended, or we were asked to end) or start-failed, with a `detail`. When the last process
was killed by somebody else, we end by the same signal: whoever holds us is told that the agent was lost.
"""

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from heddle.relay.below import become_subreaper, die_with_parent, kill_below, reap, send

LINE_LIMIT = 2 * 1024 * 1024
"""Bytes of a line that are told; as JSON they are six times as many at most."""

ORDER_LIMIT = 64 * 1024 * 1024
DRAIN_S = 2.0
"""How long what an ended process left behind may hold its pipes open."""

GRACE = ((signal.SIGINT, 3.0), (signal.SIGTERM, 2.0), (signal.SIGKILL, 3600.0))
"""How a turn is ended: what is sent, and how long we wait for it to work."""

HURRY = ((signal.SIGTERM, 1.0), (signal.SIGKILL, 3600.0))
TICK_S = 1.0
CHUNK = 65_536


class Lines:
    """Cuts bytes into lines of bounded length; `tell` is called with each, and whether something of it is missing."""

    def __init__(self, tell: Callable[[str, bool], None]) -> None:
        self._tell = tell
        self._kept = bytearray()
        self._cut = False

    def feed(self, data: bytes) -> None:
        """More bytes."""
        *whole, rest = data.split(b"\n")
        for piece in whole:
            self._keep(piece)
            self.end(always=True)
        self._keep(rest)

    def _keep(self, piece: bytes) -> None:
        room = LINE_LIMIT - len(self._kept)
        self._kept += piece[:room]
        self._cut = self._cut or len(piece) > room

    def end(self, *, always: bool = False) -> None:
        """The line is over; without `always` an empty one is none."""
        if self._kept or always:
            self._tell(self._kept.decode(errors="replace"), self._cut)
        self._kept, self._cut = bytearray(), False


class Turn:
    """One process, from its start to the end of its pipes."""

    def __init__(self, number: int, process: subprocess.Popen[bytes], stdin: bytes, silence_s: float) -> None:
        self.number, self.process, self.stdin, self.silence_s = number, process, stdin, silence_s
        self.pipes: dict[int, Lines] = {}
        self.status: int | None = None
        self.drained_at = 0.0
        self.quiet_s = 0.0
        self.why = ""
        self.steps: deque[tuple[signal.Signals, float]] = deque()
        self.step_at = 0.0

    def end(self, why: str, steps: tuple[tuple[signal.Signals, float], ...]) -> None:
        """Begin to end it; the first reason stands, a further call may only hurry."""
        if self.status is None:
            self.why = self.why or why
            if not self.steps or len(steps) < len(self.steps):
                self.steps, self.step_at = deque(steps), 0.0

    def press(self, now: float) -> None:
        """The next step of its end when it is due: to its group, to the last also to everything below us."""
        if self.status is None and self.steps and now >= self.step_at:
            number, wait_s = self.steps.popleft()
            self.step_at = now + wait_s
            send(self.process.pid, number, group=True)
            if number is signal.SIGKILL:
                kill_below()


class Relay:
    """The loop. Single-threaded: a process that we start dies with the thread that started it."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.orders: deque[dict[str, Any]] = deque()
        self.turn: Turn | None = None
        self.reading = True
        self.input = bytearray()
        self.mirrored: int | None = None
        self.looked_at = time.monotonic()

    def serve(self) -> int | None:
        """Until our input ended, and with it the turn; the signal by which the last process was lost, if it was."""
        become_subreaper()
        self._watch_signals()
        self.selector.register(0, selectors.EVENT_READ, self.on_input)
        while self.reading or self.turn is not None:
            if self.turn is None and self.orders:
                self.start(self.orders.popleft())
                continue
            for key, _ in self.selector.select(self._patience()):
                key.data()
            self.tick()
        return self.mirrored

    def _watch_signals(self) -> None:
        self.wake, wake_write = os.pipe()
        for fd in (self.wake, wake_write):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self.close(HURRY))
        self.selector.register(self.wake, selectors.EVENT_READ, self.on_wake)

    def on_wake(self) -> None:
        """A signal came."""
        try:
            while os.read(self.wake, 512):
                pass
        except BlockingIOError:
            pass

    def _patience(self) -> float | None:
        turn = self.turn
        if turn is None:
            return None
        waits = [TICK_S] if turn.silence_s or turn.steps else []
        waits += [DRAIN_S / 4] if turn.status is not None else []
        return min(waits, default=None)

    def close(self, steps: tuple[tuple[signal.Signals, float], ...]) -> None:
        """Take no more orders, and end the turn."""
        if self.reading:
            self.reading = False
            self.selector.unregister(0)
        self.orders.clear()
        if self.turn is not None:
            self.turn.end("closed", steps)

    # ------------------------------------------------------------------------------------------ orders

    def on_input(self) -> None:
        """Orders came, or their end."""
        data = os.read(0, CHUNK)
        if not data:
            return self.close(GRACE)
        self.input += data
        *lines, rest = self.input.split(b"\n") if b"\n" in data else [self.input]
        self.input = bytearray(rest) if len(rest) <= ORDER_LIMIT else bytearray()
        for line in lines:
            self.take(bytes(line))

    def take(self, line: bytes) -> None:
        """One order; what is none is told back, and nothing comes of it."""
        try:
            order = json.loads(line)
            number, argv = order["turn"], order.get("argv")
            if order.get("interrupt") is True:
                return self.interrupt(number)
            if not isinstance(number, int) or not _texts(argv):
                raise ValueError("no turn or no argv")
            order["silence_s"] = float(order.get("silence_s") or 0)
            order["env"] = {str(name): str(value) for name, value in dict(order.get("env") or {}).items()}
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            return tell({"refused": f"not an order: {error}"})
        self.orders.append(order)

    def interrupt(self, number: object) -> None:
        """End that turn when it runs, or forget it when it has not begun."""
        if self.turn is not None and self.turn.number == number:
            return self.turn.end("interrupt", GRACE)
        for order in [order for order in self.orders if order["turn"] == number]:
            self.orders.remove(order)
            tell({"turn": number, "exit": None, "signal": None, "why": "interrupt"})

    def start(self, order: dict[str, Any]) -> None:
        """Start the process of a turn."""
        number, text = order["turn"], str(order.get("stdin") or "").encode(errors="replace")
        try:
            process = subprocess.Popen(
                order["argv"],
                stdin=subprocess.PIPE if text else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, **order["env"]},
                start_new_session=True,
                preexec_fn=die_with_parent(os.getpid()),  # noqa: PLW1509 - there are no threads here
                bufsize=0,
            )
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            return tell({"turn": number, "exit": None, "signal": None, "why": "start-failed", "detail": str(error)})
        self.turn = Turn(number, process, text, order["silence_s"])
        self.mirrored, self.looked_at = None, time.monotonic()
        self._listen(process.stdout, "out")
        self._listen(process.stderr, "err")
        if process.stdin is not None:
            os.set_blocking(process.stdin.fileno(), False)
            self.selector.register(process.stdin, selectors.EVENT_WRITE, self.on_writable)

    def _listen(self, pipe: Any, name: str) -> None:
        turn = self.turn
        assert turn is not None

        def said(text: str, cut: bool) -> None:
            tell({"turn": turn.number, name: text, **({"cut": True} if cut else {})})

        turn.pipes[pipe.fileno()] = Lines(said)
        os.set_blocking(pipe.fileno(), False)
        self.selector.register(pipe, selectors.EVENT_READ, lambda: self.on_output(pipe, name == "out"))

    # -------------------------------------------------------------------------------------- the process

    def on_writable(self) -> None:
        """It is ready to read more of its input."""
        turn = self.turn
        assert turn is not None
        pipe = turn.process.stdin
        assert pipe is not None
        try:
            turn.stdin = turn.stdin[os.write(pipe.fileno(), turn.stdin[:CHUNK]) :]
        except BlockingIOError:
            return
        except OSError:  # it reads no more
            turn.stdin = b""
        if not turn.stdin:
            self._shut(pipe)

    def on_output(self, pipe: Any, counts: bool) -> None:
        """It said something, or closed its end."""
        turn = self.turn
        assert turn is not None
        try:
            data = os.read(pipe.fileno(), CHUNK)
        except BlockingIOError:
            return
        if data:
            turn.pipes[pipe.fileno()].feed(data)
            turn.quiet_s = 0.0 if counts else turn.quiet_s
            return
        turn.pipes.pop(pipe.fileno()).end()
        self._shut(pipe)

    def _shut(self, pipe: Any) -> None:
        self.selector.unregister(pipe)
        pipe.close()

    def tick(self) -> None:
        """Collect who has ended, and see to what is due."""
        now, turn, ended = time.monotonic(), self.turn, reap()
        passed, self.looked_at = min(now - self.looked_at, 2 * TICK_S), now  # while it is frozen no silence is seen
        if turn is None:
            return
        if turn.status is None and turn.process.pid in ended:
            turn.status, turn.drained_at = ended[turn.process.pid], now + DRAIN_S
        turn.quiet_s += passed
        if turn.silence_s and turn.quiet_s >= turn.silence_s:
            turn.end("silence", GRACE)
        turn.press(now)
        if turn.status is not None and (not turn.pipes or now >= turn.drained_at):
            self.finish(turn, turn.status)

    def finish(self, turn: Turn, status: int) -> None:
        """Tell its end; what it was ended for takes all that it started with it."""
        if turn.why:
            kill_below()
        for pipe in (turn.process.stdin, turn.process.stdout, turn.process.stderr):
            if pipe is not None and not pipe.closed:
                lines = turn.pipes.pop(pipe.fileno(), None)
                if lines is not None:
                    lines.end()
                self._shut(pipe)
        code = turn.process.returncode = os.waitstatus_to_exitcode(status)
        number = -code if code < 0 else None
        self.mirrored = number if not turn.why else None
        self.turn = None
        tell({"turn": turn.number, "exit": None if code < 0 else code, "signal": number, "why": turn.why})


def tell(message: dict[str, Any]) -> None:
    """One line on standard output. Whoever does not read any more has left: then we end, and the kernel all else."""
    data = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode(errors="replace") + b"\n"
    try:
        while data:
            data = data[os.write(1, data) :]
    except OSError:
        kill_below()
        os._exit(1)


def _texts(argv: object) -> bool:
    return isinstance(argv, list) and bool(argv) and all(isinstance(part, str) for part in argv)


def main() -> int:
    """Serve, then end as the last process did."""
    lost = Relay().serve()
    if lost is not None:
        if lost != signal.SIGKILL:
            signal.signal(lost, signal.SIG_DFL)
        os.kill(os.getpid(), lost)
    return 0


if __name__ == "__main__":
    sys.exit(main())
