"""`python -I -m heddle.relay.served ... -- COMMAND...`: an agent that is a server, spoken to over standard streams.

It starts the command as a server on a port of this machine's loopback (`{port}` in its words stands for it), with a
password of its own making in its environment, and waits until it answers. Then it reads requests, one JSON object a line:

    {"id": "...", "method": "POST", "path": "/session", "body": {...}}

and tells, one JSON object a line, what came of them, in the order they were made, and what the server says by itself:

    {"ready": 4711}                                       it answers, and its events are heard
    {"answer": "...", "status": 200, "body": ...}         status 0: there was no answer, and "error" says why
    {"event": {...}}                                      one event of its stream
    {"lost": "...", "again": true}                        the stream of events broke; what was in between was not heard
    {"dropped": 3000000}                                  an event or an answer of that many bytes, which is too much
    {"refused": "..."}                                    a line of ours that was no request

What the server prints goes to standard error. When standard input ends the server is ended, with all that it started;
when the server ends so do we, with its status, or by its signal.
"""

import argparse
import base64
import http.client
import json
import os
import queue
import secrets
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

from heddle.relay.below import become_subreaper, die_with_parent, kill_below, reap, send

LINE_LIMIT = 8 * 1024 * 1024
"""Bytes of one event or answer that are passed on."""

REQUEST_LIMIT = 64 * 1024 * 1024
START_S = 300.0
"""How long the server may take until it answers; a loaded machine is slow."""

ANSWER_S = 120.0
QUIET_S = 90.0
"""A stream of events that is silent for longer is broken: the servers that we know send a sign of life."""

REJOIN = 5
"""How often in a row the stream may break before we give up."""

GRACE = ((signal.SIGTERM, 3.0), (signal.SIGKILL, 3600.0))
HURRY = ((signal.SIGTERM, 1.0), (signal.SIGKILL, 3600.0))
TICK_S = 0.25
CHUNK = 65_536
PORTS = "HEDDLE_PORTS"
"""Where a session may listen, as "first-last", when it shares the loopback with others."""

Steps = tuple[tuple[signal.Signals, float], ...]


class Voice:
    """What is told, whole lines from whichever thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def tell(self, **message: Any) -> None:
        """One line. Whoever does not read any more has left: then we end, and with us all that we started."""
        data = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode(errors="replace") + b"\n"
        if len(data) > 2 * LINE_LIMIT:
            return self.tell(dropped=len(data))
        try:
            with self._lock:
                while data:
                    data = data[os.write(1, data) :]
        except OSError:
            kill_below()
            os._exit(1)


class Server:
    """Where the server is, and how it is asked."""

    def __init__(self, port: int, user: str) -> None:
        self.port, self.password = port, secrets.token_urlsafe(32)
        token = base64.b64encode(f"{user}:{self.password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}

    def ask(self, method: str, path: str, body: Any, timeout_s: float) -> http.client.HTTPResponse:
        """Its answer, not read yet. Raises OSError, http.client.HTTPException, ValueError."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        data = None if body is None else json.dumps(body).encode()
        link.request(method, path, data, {**self._headers, "Connection": "close"})
        return link.getresponse()

    def answers(self, path: str) -> bool:
        """Whether it is there and lets us in."""
        try:
            with self.ask("GET", path, None, 10.0) as answer:
                answer.read(LINE_LIMIT)
                return answer.status == 200
        except (OSError, http.client.HTTPException):
            return False


class Relay:
    """The main thread holds the process, a second one makes the requests, a third one hears the events."""

    def __init__(self, wish: argparse.Namespace) -> None:
        self.wish, self.voice = wish, Voice()
        self.server = Server(wish.port or free_port(os.environ.get(PORTS, "")), wish.user)
        self.requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.selector = selectors.DefaultSelector()
        self.input = bytearray()
        self.reading = True
        self.steps: deque[tuple[signal.Signals, float]] = deque()
        self.step_at = 0.0
        self.ended_by_us = False
        self.heard = threading.Event()
        self.given_up = threading.Event()

    # ------------------------------------------------------------------------------------- the main thread

    def serve(self) -> int:
        """Until the server has ended; its exit code, negative for a signal. Raises OSError when it does not start."""
        become_subreaper()
        self._watch_signals()
        command = [word.replace("{port}", str(self.server.port)) for word in self.wish.command]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=2,
            env={**os.environ, self.wish.password: self.server.password},
            start_new_session=True,
            preexec_fn=die_with_parent(os.getpid()),  # noqa: PLW1509 - no thread has been started yet
        )
        self.selector.register(0, selectors.EVENT_READ, self.on_input)
        threading.Thread(target=self.converse, daemon=True).start()
        threading.Thread(target=self.listen, daemon=True).start()
        return self._hold()

    def _hold(self) -> int:
        while True:
            for key, _ in self.selector.select(TICK_S):
                key.data()
            ended = reap()
            if self.process.pid in ended:
                kill_below()
                code = self.process.returncode = os.waitstatus_to_exitcode(ended[self.process.pid])
                return code
            if self.given_up.is_set():
                self.end(GRACE)
            self.press(time.monotonic())

    def _watch_signals(self) -> None:
        wake, write = os.pipe()
        for fd in (wake, write):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self.end(HURRY))
        self.selector.register(wake, selectors.EVENT_READ, lambda: os.read(wake, 512))

    def on_input(self) -> None:
        """Requests came, or their end."""
        data = os.read(0, CHUNK)
        if not data:
            return self.end(GRACE)
        self.input += data
        *lines, rest = self.input.split(b"\n") if b"\n" in data else [self.input]
        self.input = bytearray(rest) if len(rest) <= REQUEST_LIMIT else bytearray()
        for line in lines:
            self.take(bytes(line))

    def take(self, line: bytes) -> None:
        """One request; what is none is told back, and nothing comes of it."""
        try:
            asked = json.loads(line)
            words = [asked["id"], asked["method"], asked["path"]]
            if not all(isinstance(word, str) for word in words) or not asked["path"].startswith("/"):
                raise ValueError("no id, method or path")
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            return self.voice.tell(refused=f"not a request: {error}")
        self.requests.put(asked)

    def end(self, steps: Steps) -> None:
        """Begin to end the server; a second call may only hurry."""
        self.ended_by_us = True
        if self.reading:
            self.reading = False
            self.selector.unregister(0)
        if (not self.steps and not self.step_at) or steps is HURRY:
            self.steps, self.step_at = deque(steps), 0.0

    def press(self, now: float) -> None:
        """The next step of its end when that is due: to its group, the last also to all else below us."""
        if self.steps and now >= self.step_at:
            number, wait_s = self.steps.popleft()
            self.step_at = now + wait_s
            send(self.process.pid, number, group=True)
            if number is signal.SIGKILL:
                kill_below()

    # ------------------------------------------------------------------------------------------- requests

    def converse(self) -> None:
        """Make the requests, one after the other, once the events are heard."""
        self.heard.wait()
        while True:
            asked = self.requests.get()
            try:
                self._request(asked)
            except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
                self.voice.tell(answer=asked["id"], status=0, error=f"{type(error).__name__}: {error}"[:500])

    def _request(self, asked: dict[str, Any]) -> None:
        with self.server.ask(asked["method"], asked["path"], asked.get("body"), ANSWER_S) as answer:
            data = answer.read(LINE_LIMIT + 1)
            status = answer.status
        if len(data) > LINE_LIMIT:
            self.voice.tell(dropped=len(data))
            return self.voice.tell(answer=asked["id"], status=status, body=None)
        self.voice.tell(answer=asked["id"], status=status, body=decoded(data))

    # --------------------------------------------------------------------------------------------- events

    def listen(self) -> None:
        """Hear the events for as long as the server lives."""
        deadline = time.monotonic() + START_S
        while not self.server.answers(self.wish.ready):
            if time.monotonic() > deadline:
                sys.stderr.write(f"the server did not answer within {START_S:.0f} s\n")
                return self.given_up.set()
            time.sleep(0.05)
        broken = 0
        while broken <= REJOIN:
            why = ""
            try:
                with self.server.ask("GET", self.wish.events, None, QUIET_S) as stream:
                    for event in events_of(stream):
                        self._hear(event)
                        broken = 0
            except (OSError, http.client.HTTPException, ValueError) as error:
                why = f"{type(error).__name__}: {error}"[:500]
            broken += 1
            if not self.ended_by_us:
                self.voice.tell(lost=why or "the stream ended", again=broken <= REJOIN)
            time.sleep(min(0.1 * 2**broken, 2.0))
        self.given_up.set()

    def _hear(self, data: bytes) -> None:
        if not self.heard.is_set():
            self.voice.tell(ready=self.server.port)
            self.heard.set()
        if len(data) > LINE_LIMIT:
            return self.voice.tell(dropped=len(data))
        event = decoded(data)
        if not self.wish.only or kind_of(event) in self.wish.only:
            self.voice.tell(event=event)


def events_of(stream: http.client.HTTPResponse) -> Iterator[bytes]:
    """The data of each server-sent event; of one that is too long only so much that this can be told."""
    if stream.status != 200:
        raise ValueError(f"status {stream.status}")
    data = bytearray()
    while line := stream.readline(LINE_LIMIT):
        if line.startswith(b"data:"):
            piece = line[5:].strip(b"\r\n")
            data += (b"\n" if data else b"") + piece.removeprefix(b" ")
        elif not line.strip(b"\r\n") and data:
            yield bytes(data)
            data.clear()
        elif len(data) >= LINE_LIMIT - 16:  # the rest of a line that was longer than what is read at once
            data += line[: max(0, 2 * LINE_LIMIT - len(data))]


def kind_of(event: Any) -> str:
    """The type of an event, also of one that is wrapped."""
    inner = event.get("payload", event) if isinstance(event, dict) else None
    kind = inner.get("type") if isinstance(inner, dict) else None
    return kind if isinstance(kind, str) else ""


def decoded(data: bytes) -> Any:
    """What JSON says, or the text itself when it is none."""
    if not data:
        return None
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return data.decode(errors="replace")


def free_port(leased: str) -> int:
    """A port that nobody listens on: of those that were leased to us, the last ones first, when there are such."""
    first, _, last = leased.partition("-")
    wanted = range(int(last), int(first) - 1, -1) if first.isdigit() and last.isdigit() else [0]
    for number in wanted:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("127.0.0.1", number))
            except OSError:
                continue
            port: int = trial.getsockname()[1]
            return port
    raise OSError(f"no port is free among {leased}")


def wishes(words: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="heddle.relay.served", allow_abbrev=False)
    parser.add_argument("--port", type=int, default=0, help="instead of a free one")
    parser.add_argument("--ready", default="/", help="a path that answers 200 once the server is up")
    parser.add_argument("--events", default="/event", help="the path of its stream of events")
    parser.add_argument("--only", type=lambda told: frozenset(told.split(",")), default=frozenset())
    parser.add_argument("--password", default="SERVER_PASSWORD", help="the variable that tells it its password")
    parser.add_argument("--user", default="user")
    parser.add_argument("command", nargs="+")
    return parser.parse_args(words)


def main() -> int:
    """Serve, then end as the server did; what we ended ourselves has ended well."""
    relay = Relay(wishes(sys.argv[1:]))
    try:
        code = relay.serve()
    except OSError as error:
        sys.stderr.write(f"'{relay.wish.command[0]}': {error.strerror or error}\n")
        return 127
    if relay.given_up.is_set():
        return 1
    if relay.ended_by_us:
        return 0
    if code < 0:
        if code != -signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


if __name__ == "__main__":
    sys.exit(main())
