"""`python -I -m heddle.relay.tools`: a session's tools on standard input and output, for agents that know no other way.

Each line is a message of MCP; it is posted to where Heddle serves the session, and the answer is a line again. Address and
token are in the environment of the session's first process; agents start their servers without most of theirs, so it is
looked for in those of the processes above.
"""

import base64
import contextlib
import http.client
import json
import os
import re
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

URL, TOKEN = "HEDDLE_TOOLS_URL", "HEDDLE_TOOLS_TOKEN"
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
NAMED = {"tools/call": "name", "resources/read": "uri"}

LINE_LIMIT = 2_000_000
"""Bytes of a message; the server takes less."""

AT_ONCE = 16
CALL_S = 300.0
"""How long an answer may take."""

ABSENT_S = 60.0
"""How long somebody to answer is waited for: a daemon that is being replaced is back sooner."""

PAUSE_S = 0.25
NOT_JSON, BAD_REQUEST, UNREACHABLE = -32700, -32600, -32000

Message = dict[str, Any]


class Absent(Exception):
    """Nobody took the request: it can be made again."""


class Shim:
    """Passes messages on, each in a thread of its own. `agreed` is the version of the handshake, once there was one."""

    def __init__(self, url: str, token: str) -> None:
        self.to, self.token = urlsplit(url), token
        self.agreed = ""
        self.room = threading.BoundedSemaphore(AT_ONCE)
        self.speaking, self.opening = threading.Lock(), threading.Lock()
        self.open: dict[object, http.client.HTTPConnection | None] = {}

    def serve(self) -> None:
        """Until our input ends; what is under way then is nobody's any more."""
        for line in lines():
            self.take(line)

    def take(self, line: bytes) -> None:
        """One message of the agent's program."""
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            return self.refuse(None, NOT_JSON, "not JSON")
        if not isinstance(message, dict):
            return self.refuse(None, BAD_REQUEST, "not a request: send one at a time")
        if message.get("method") == "notifications/cancelled":
            return self.cancel(_table(message.get("params")).get("requestId"))
        id = message.get("id")
        if "method" not in message or id is None:
            return None  # an answer, though nothing was asked; or a notification, of which nobody needs to know
        if not isinstance(id, str | int):
            return self.refuse(None, BAD_REQUEST, "not a request: its id is no text and no number")
        self.room.acquire()
        with self.opening:
            self.open[id] = None
        threading.Thread(target=self.pass_on, args=(id, message), daemon=True).start()

    def pass_on(self, id: str | int, message: Message) -> None:
        """A request and its answer, unless it was cancelled."""
        try:
            answer = self.asked(id, message)
        except (OSError, http.client.HTTPException, ValueError) as error:
            answer = _refusal(id, UNREACHABLE, f"Heddle went away before it answered ({error}): ask again")
        except Absent:
            answer = _refusal(id, UNREACHABLE, "Heddle does not answer now: ask again later, or go on without")
        finally:
            self.room.release()
        with self.opening:
            wanted = id in self.open
            self.open.pop(id, None)
        if wanted:
            self.say(answer)

    def asked(self, id: str | int, message: Message) -> Message:
        """The answer to a request; somebody who takes it is waited for. Raises Absent, OSError, HTTPException, ValueError."""
        end = time.monotonic() + ABSENT_S
        while True:
            try:
                return self.ask(id, message)
            except Absent:
                if time.monotonic() >= end or id not in self.open:
                    raise
                time.sleep(PAUSE_S)

    def ask(self, id: str | int, message: Message) -> Message:
        """As `asked`, once."""
        connection = http.client.HTTPConnection(self.to.hostname or "", self.to.port, timeout=CALL_S)
        try:
            try:
                connection.connect()
            except OSError as error:
                raise Absent from error
            with self.opening:
                if id not in self.open:
                    raise Absent
                self.open[id] = connection
            body = json.dumps(message, ensure_ascii=False).encode(errors="replace")
            connection.request("POST", self.to.path, body, self.headers(message))
            got = connection.getresponse()
            if got.status == 503:
                raise Absent
            answer = json.loads(got.read())
        finally:
            connection.close()
        if not isinstance(answer, dict):
            raise ValueError(f"an answer with status {got.status} that is none")
        if message["method"] == "initialize":
            self.agreed = str(_table(answer.get("result")).get("protocolVersion") or "")
        return {**answer, "id": id}

    def headers(self, message: Message) -> dict[str, str]:
        """What a request over HTTP says besides: its version, and in later versions what it is about."""
        params = _table(message.get("params"))
        own = _table(params.get("_meta")).get(VERSION_KEY)
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
        }
        if own is None:
            return {**headers, "MCP-Protocol-Version": self.agreed} if self.agreed else headers
        headers |= {"MCP-Protocol-Version": _header(own), "Mcp-Method": _header(message["method"])}
        name = params.get(NAMED.get(str(message["method"]), ""))
        return headers if name is None else {**headers, "Mcp-Name": _header(name)}

    def cancel(self, id: object) -> None:
        """Nobody waits for that answer any more: the connection goes, and with it the work."""
        with self.opening:
            connection = self.open.pop(id, None) if isinstance(id, str | int) else None
        if connection is not None and connection.sock is not None:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(2)

    def refuse(self, id: object, code: int, why: str) -> None:
        """Answer what cannot be passed on."""
        self.say(_refusal(id, code, why))

    def say(self, message: Message) -> None:
        """One line. Who does not listen has left."""
        data = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode(errors="replace") + b"\n"
        with self.speaking:
            try:
                while data:
                    data = data[os.write(1, data) :]
            except OSError:
                os._exit(0)


def lines() -> Iterator[bytes]:
    """The lines of our input that are not empty; of one that is too long nothing is kept, and it is no JSON."""
    while line := sys.stdin.buffer.readline(LINE_LIMIT):
        while len(line) == LINE_LIMIT and not line.endswith(b"\n"):
            line = sys.stdin.buffer.readline(LINE_LIMIT)
            if len(line) < LINE_LIMIT or line.endswith(b"\n"):
                line = b"too long\n"
        if line.strip():
            yield line


def found(environments: Iterator[Mapping[str, str]]) -> tuple[str, str] | None:
    """Address and token in the first environment that has both."""
    for env in environments:
        if env.get(URL) and env.get(TOKEN):
            return env[URL], env[TOKEN]
    return None


def environments() -> Iterator[Mapping[str, str]]:
    """Our own, and those of the processes above us as they were started; from /proc, where there is one."""
    yield os.environ
    pid = os.getppid()
    while pid > 0:
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                pairs = (word.partition("=") for word in file.read().decode(errors="replace").split("\0"))
            with open(f"/proc/{pid}/stat", "rb") as file:
                pid = int(file.read().rpartition(b")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            return
        yield {name: value for name, _, value in pairs}


def _header(value: object) -> str:
    """A value as a header takes it: what is no plain text is wrapped."""
    text = str(value)
    if re.fullmatch(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?", text) and not text.startswith("=?base64?"):
        return text
    return f"=?base64?{base64.b64encode(text.encode(errors='replace')).decode()}?="


def _table(value: object) -> Message:
    return value if isinstance(value, dict) else {}


def _refusal(id: object, code: int, why: str) -> Message:
    return {"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": why}}


def main() -> int:
    """Serve until nobody asks any more."""
    known = found(environments())
    if known is None:
        sys.stderr.write("this session has no tools of Heddle's\n")
        return 1
    Shim(*known).serve()
    sys.stdout.flush()
    os._exit(0)  # no thread is waited for


if __name__ == "__main__":
    sys.exit(main())
