"""The relay between standard streams and a server, with real processes and a small real server."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

SERVER = """
import base64, json, os, signal, subprocess, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

events = []

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, data):
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def let_in(self):
        wanted = "Basic " + base64.b64encode(f"us:{os.environ['SECRET']}".encode()).decode()
        if self.headers["Authorization"] != wanted:
            self.answer(401, b"")
        return self.headers["Authorization"] == wanted

    def do_GET(self):
        if not self.let_in():
            return
        if self.path == "/health":
            return self.answer(200, b"{}")
        if self.path == "/big":
            return self.answer(200, b"x" * 9_000_000)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b': hello\\n\\ndata: {"type":"hello"}\\n\\n')
        self.wfile.flush()
        while True:
            while events:
                data = events.pop(0)
                if data is None:
                    self.close_connection = True
                    return
                self.wfile.write(data)
                self.wfile.flush()
            time.sleep(0.01)

    def do_POST(self):
        if not self.let_in():
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = json.loads(body or b"null")
        if self.path.startswith("/say"):
            events.append(asked["raw"].encode())
        if self.path == "/flood":
            events.append(b'data: {"type":"tick","x":"' + b"y" * asked + b'"}\\n\\n')
        if self.path == "/hang-up":
            events.append(None)
        if self.path == "/fork":
            code = "import os,signal,time; os.setsid(); signal.signal(15, 1); print(os.getpid(), flush=True); time.sleep(600)"
            child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
            return self.answer(200, child.stdout.readline())
        if self.path == "/die":
            os.kill(os.getpid(), asked) if asked > 0 else os._exit(-asked)
        self.answer(200, b"not json" if self.path == "/text" else json.dumps({"you": asked}).encode())

    def log_message(self, *_):
        pass

if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("server says hello", flush=True)
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


class Served:
    """The relay with our server."""

    def __init__(self, folder: Path, *words: str, only: str = "") -> None:
        file = folder / "server.py"
        file.write_text(SERVER)
        options = ["--ready=/health", "--events=/events", "--password=SECRET", "--user=us"]
        options += [f"--only={only}"] if only else []
        argv = [
            sys.executable,
            "-m",
            "heddle.relay.served",
            *options,
            "--",
            sys.executable,
            str(file),
            "{port}",
            *words,
        ]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)

    def send(self, line: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def ask(self, id: str, path: str, body: object = None, method: str = "POST") -> None:
        self.send(json.dumps({"id": id, "method": method, "path": path, "body": body}).encode())

    def told(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.errors()
        message: dict[str, Any] = json.loads(line)
        return message

    def until(self, key: str, value: object = None) -> dict[str, Any]:
        while key not in (message := self.told()) or (value is not None and message[key] != value):
            pass
        return message

    def errors(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read().decode()

    def end(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(60)


@pytest.fixture
def made() -> Iterator[list[Served]]:
    relays: list[Served] = []
    yield relays
    for relay in relays:
        with suppress(ProcessLookupError):
            os.killpg(relay.process.pid, signal.SIGKILL)
        relay.process.wait()
        for pipe in (relay.process.stdin, relay.process.stdout, relay.process.stderr):
            with suppress(BrokenPipeError):
                pipe and pipe.close()


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_requests_are_answered_in_order_and_events_come_as_lines(tmp_path: Path, made: list[Served]) -> None:
    made.append(relay := Served(tmp_path, only="hello,tick"))
    assert relay.told()["ready"] > 0
    assert relay.told() == {"event": {"type": "hello"}}
    for number in range(5):
        relay.ask(f"a{number}", "/echo", {"number": number})
    assert [relay.told() for _ in range(5)] == [
        {"answer": f"a{number}", "status": 200, "body": {"you": {"number": number}}} for number in range(5)
    ]
    relay.ask("b", "/say", {"raw": 'data: {"type":"other"}\n\ndata: {"payload":\ndata: {"type":"tick"}}\n\n'})
    assert relay.until("event") == {"event": {"payload": {"type": "tick"}}}
    relay.ask("c", "/text")
    assert relay.until("answer", "c") == {"answer": "c", "status": 200, "body": "not json"}
    assert relay.end() == 0
    assert "server says hello" in relay.errors()


def test_garbage_is_told_and_nothing_comes_of_it(tmp_path: Path, made: list[Served]) -> None:
    made.append(relay := Served(tmp_path))
    for line in (
        b"{",
        b"[]",
        b"7",
        b'{"id":1,"method":"GET","path":"/"}',
        b'{"id":"x","method":"GET","path":"http://e/"}',
    ):
        relay.send(line)
        assert "not a request" in relay.until("refused")["refused"]
    relay.send(b"\xff" * 100)
    assert "refused" in relay.until("refused")
    relay.ask("bad", "/x\r\ny: z")
    assert relay.until("answer")["status"] == 0
    relay.ask("say", "/say", {"raw": "data: {not json\n\nnonsense\n\nid: 7\ndata:\n\n"})
    assert relay.until("event", "{not json")
    relay.ask("after", "/echo")
    assert relay.until("answer", "after")["status"] == 200
    assert relay.end() == 0


def test_what_is_too_long_is_dropped_and_said(tmp_path: Path, made: list[Served]) -> None:
    made.append(relay := Served(tmp_path))
    relay.ask("f", "/flood", 9_000_000)
    assert relay.until("dropped")["dropped"] > 8_000_000
    relay.ask("g", "/big", method="GET")
    assert relay.until("answer", "g") == {"answer": "g", "status": 200, "body": None}
    relay.ask("h", "/flood", 10)
    assert relay.until("event")["event"]["x"] == "y" * 10
    assert relay.end() == 0


def test_a_stream_that_breaks_is_told_and_joined_again(tmp_path: Path, made: list[Served]) -> None:
    made.append(relay := Served(tmp_path))
    relay.until("event")
    relay.ask("x", "/hang-up")
    assert relay.until("lost")["again"] is True
    assert relay.until("event") == {"event": {"type": "hello"}}
    assert relay.end() == 0


@pytest.mark.parametrize("words", [(), ("stubborn",)])
def test_the_end_of_input_ends_the_server_and_all_that_it_started(
    tmp_path: Path, made: list[Served], words: tuple[str, ...]
) -> None:
    made.append(relay := Served(tmp_path, *words))
    relay.ask("f", "/fork")
    pid = relay.until("answer", "f")["body"]
    assert is_alive(pid)
    assert relay.end() == 0
    assert not is_alive(pid)


@pytest.mark.parametrize(("how", "status"), [(-3, 3), (-0, 0), (9, -9), (11, -11)])
def test_the_servers_end_is_ours(tmp_path: Path, made: list[Served], how: int, status: int) -> None:
    made.append(relay := Served(tmp_path))
    relay.ask("f", "/fork")
    pid = relay.until("answer", "f")["body"]
    relay.ask("d", "/die", how)
    assert relay.process.wait(60) == status
    assert not is_alive(pid)


def test_a_server_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "heddle.relay.served", "--", str(tmp_path / "none")]
    ended = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert ended.returncode == 127
    assert "No such file" in ended.stderr


def test_its_port_is_one_of_those_that_were_leased(
    tmp_path: Path, made: list[Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        last = taken.getsockname()[1]
        monkeypatch.setenv("HEDDLE_PORTS", f"{last - 9}-{last}")
        made.append(relay := Served(tmp_path))
        assert relay.until("ready")["ready"] in range(last - 9, last)
    assert relay.end() == 0
