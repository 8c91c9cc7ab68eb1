"""The relay with real processes: what it tells of a turn, and that nothing of one is left."""

import json
import os
import queue
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from heddle.adapters.agents.turns.adapter import RELAY
from heddle.relay import turns

DEADLINE_S = 60.0

Message = dict[str, Any]


class Relayed:
    """A relay on pipes; what it tells is read as it comes."""

    def __init__(self, folder: Path) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            RELAY, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, cwd=folder, start_new_session=True
        )
        self.told: list[Message] = []
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(b"")

    def order(self, order: Message) -> None:
        self.raw(json.dumps(order).encode() + b"\n")

    def raw(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def shell(self, script: str, turn: int = 1, **more: Any) -> None:
        self.order({"turn": turn, "argv": ["sh", "-c", script], **more})

    def until(self, fits: Callable[[Message], bool]) -> Message:
        """The next message that fits; fails when the relay has ended before."""
        while line := self._lines.get(timeout=DEADLINE_S):
            self.told.append(json.loads(line))
            if fits(self.told[-1]):
                return self.told[-1]
        raise AssertionError(f"it ended; told: {self.told}")

    def end(self, turn: int = 1) -> Message:
        return self.until(lambda message: message.get("turn") == turn and "why" in message)

    def said(self, text: str) -> Message:
        return self.until(lambda message: message.get("out") == text)

    def of(self, name: str) -> list[str]:
        return [message[name] for message in self.told if name in message]

    def close(self) -> int:
        """Close its input; its exit status."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        while line := self._lines.get(timeout=DEADLINE_S):
            self.told.append(json.loads(line))
        return self.process.wait(DEADLINE_S)


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relayed]:
    made = Relayed(tmp_path)
    yield made
    with suppress(ProcessLookupError):
        os.killpg(made.process.pid, signal.SIGKILL)
    made.process.wait()
    assert made.process.stdin is not None and made.process.stdout is not None
    with suppress(OSError):
        made.process.stdin.close()
    made._reader.join(DEADLINE_S)
    made.process.stdout.close()


def gone(pid: int) -> None:
    """Wait until a process has ended, if it has not."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([descriptor], [], [], DEADLINE_S)[0], f"{pid} still runs"
    finally:
        os.close(descriptor)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_turn_is_told_line_by_line_and_its_end_comes_last(relay: Relayed) -> None:
    relay.shell("cat; echo $MORE; echo oops >&2; printf 'no newline'; exit 3", stdin="one\ntwo\n", env={"MORE": "more"})
    assert relay.end() == {"turn": 1, "exit": 3, "signal": None, "why": ""}
    assert relay.of("out") == ["one", "two", "more", "no newline"]
    assert relay.of("err") == ["oops"]
    assert relay.close() == 0


def test_turns_follow_each_other_in_order(relay: Relayed) -> None:
    for number in (1, 2, 3):
        relay.shell(f"echo {number}", turn=number)
    assert relay.end(3)["exit"] == 0
    ends = [message["turn"] for message in relay.told if "why" in message]
    assert (ends, relay.of("out")) == ([1, 2, 3], ["1", "2", "3"])


def test_a_large_prompt_arrives_whole(relay: Relayed) -> None:
    relay.shell("wc -c", stdin="x" * 3_000_000)
    relay.end()
    assert relay.of("out") == ["3000000"]


def test_a_prompt_that_nobody_reads_hinders_nothing(relay: Relayed) -> None:
    relay.shell("exec <&-; echo done", stdin="x" * 3_000_000)
    assert relay.end()["exit"] == 0


def test_what_is_no_text_and_what_is_no_line_is_told_within_bounds(relay: Relayed) -> None:
    script = (
        f"import sys; w=sys.stdout.buffer.write; w(b'\\xff\\x00!\\n\\n'); w(b'y'*{turns.LINE_LIMIT + 9}); w(b'\\nlast')"
    )
    relay.order({"turn": 1, "argv": [sys.executable, "-c", script]})
    relay.end()
    first, empty, huge, last = (message for message in relay.told if "out" in message)
    assert (first["out"], empty["out"], last["out"]) == ("\ufffd\x00!", "", "last")
    assert (len(huge["out"]), huge["cut"]) == (turns.LINE_LIMIT, True)
    assert not any("cut" in message for message in (first, empty, last))


@pytest.mark.parametrize(
    "garbage",
    [
        b"{",
        b"[]",
        b"7",
        b"null",
        b"{}",
        b'{"turn":"1","argv":["true"]}',
        b'{"turn":1}',
        b'{"turn":1,"argv":[7]}',
        b'{"turn":1,"argv":"true"}',
        b'{"turn":1,"argv":["true"],"env":7}',
        b'{"turn":1,"argv":["true"],"silence_s":"long"}',
        b"\xff\x00",
        b"[" * 100_000,
    ],
)
def test_what_is_no_order_is_refused_and_the_next_one_is_carried_out(relay: Relayed, garbage: bytes) -> None:
    relay.raw(garbage + b"\n")
    relay.shell("echo well")
    assert relay.end()["exit"] == 0
    assert len(relay.of("refused")) == 1


@pytest.mark.parametrize("argv", [["/nowhere/at/all"], ["sh\x00"], ["/"], ["sh", "-c", "x" * 300_000]])
def test_what_cannot_be_started_is_said(relay: Relayed, argv: list[str]) -> None:
    relay.order({"turn": 1, "argv": argv})
    end = relay.end()
    assert (end["why"], end["exit"]) == ("start-failed", None)
    assert end["detail"]
    relay.shell("echo well", turn=2)
    assert relay.end(2)["exit"] == 0


def test_a_grandchild_that_holds_the_pipes_open_holds_no_turn(relay: Relayed) -> None:
    relay.shell("sleep 600 & echo $! ; exit 0")
    assert relay.end()["exit"] == 0
    (pid,) = map(int, relay.of("out"))
    assert alive(pid), "what a turn leaves running goes on until the session ends"
    os.kill(pid, signal.SIGKILL)


STUBBORN = "trap '' INT TERM; (setsid sh -c 'trap \"\" INT TERM; echo $$; while :; do sleep 600; done') & wait; while :; do sleep 600; done"


def test_an_interrupt_is_heard_by_who_listens(relay: Relayed) -> None:
    relay.shell("trap 'echo heard; exit 7' INT; echo ready; while :; do sleep 0.05; done")
    relay.said("ready")
    relay.order({"turn": 1, "interrupt": True})
    assert relay.end() == {"turn": 1, "exit": 7, "signal": None, "why": "interrupt"}
    assert "heard" in relay.of("out")


def test_an_interrupt_ends_who_does_not_listen_and_all_that_it_started(relay: Relayed) -> None:
    relay.shell(STUBBORN)
    pid = int(relay.until(lambda message: message.get("out", "").isdigit())["out"])
    relay.order({"turn": 1, "interrupt": True})
    end = relay.end()
    assert (end["signal"], end["why"]) == (signal.SIGKILL, "interrupt")
    gone(pid)
    assert relay.close() == 0, "what we ended ourselves was not lost"


def test_an_interrupt_of_another_turn_is_none(relay: Relayed) -> None:
    relay.shell("echo ready; read line; echo $line")
    relay.order({"turn": 9, "interrupt": True})
    assert relay.end()["why"] == ""


def test_a_turn_that_was_interrupted_before_it_began_never_begins(relay: Relayed, tmp_path: Path) -> None:
    relay.shell("echo ready; while [ ! -e go ]; do sleep 0.05; done")
    relay.said("ready")
    relay.shell("echo never", turn=2)
    relay.order({"turn": 2, "interrupt": True})
    assert relay.end(2)["why"] == "interrupt"
    (tmp_path / "go").touch()
    assert relay.end(1)["exit"] == 0
    assert "never" not in relay.of("out")


def test_who_says_nothing_for_too_long_is_ended_and_standard_error_does_not_count(relay: Relayed) -> None:
    relay.shell("echo ready; while :; do echo again >&2; sleep 0.1; done", silence_s=1.5)
    relay.said("ready")
    assert relay.end()["why"] == "silence"
    assert "again" in relay.of("err")


def test_who_goes_on_speaking_is_not_ended(relay: Relayed) -> None:
    relay.shell("for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.5; done", silence_s=2.5)
    assert relay.end()["why"] == ""


def test_its_end_of_input_ends_the_turn_first(relay: Relayed) -> None:
    relay.shell("trap 'echo leaving; exit 0' INT; echo ready; while :; do sleep 0.05; done")
    relay.said("ready")
    assert relay.close() == 0
    assert relay.told[-1] == {"turn": 1, "exit": 0, "signal": None, "why": "closed"}


def test_it_ends_when_it_is_asked_to_and_takes_the_turn_with_it(relay: Relayed) -> None:
    relay.shell(STUBBORN)
    pid = int(relay.until(lambda message: message.get("out", "").isdigit())["out"])
    os.kill(relay.process.pid, signal.SIGTERM)
    assert relay.end()["why"] == "closed"
    assert relay.process.wait(DEADLINE_S) == 0
    gone(pid)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD + 30])
def test_when_the_agent_was_killed_it_ends_the_same_way(relay: Relayed, number: int) -> None:
    relay.shell("echo $$; exec sleep 600")
    pid = int(relay.until(lambda message: "out" in message)["out"])
    os.kill(pid, number)
    assert relay.end() == {"turn": 1, "exit": None, "signal": number, "why": ""}
    assert relay.close() == -number


def test_a_turn_after_a_lost_one_clears_it(relay: Relayed) -> None:
    relay.shell("kill -9 $$")
    relay.shell("true", turn=2)
    relay.end(2)
    assert relay.close() == 0


def test_when_it_is_killed_itself_no_agent_goes_on(relay: Relayed) -> None:
    relay.order(
        {"turn": 1, "argv": [sys.executable, "-c", "import os,time; print(os.getpid(), flush=True); time.sleep(600)"]}
    )
    pid = int(relay.until(lambda message: "out" in message)["out"])
    os.kill(relay.process.pid, signal.SIGKILL)
    gone(pid)


def test_when_nobody_reads_any_more_nothing_goes_on(tmp_path: Path) -> None:
    order = {"turn": 1, "argv": ["sh", "-c", "echo $$; while :; do echo x; sleep 0.05; done"]}
    with subprocess.Popen(RELAY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(order).encode() + b"\n")
        process.stdin.flush()
        pid = int(json.loads(process.stdout.readline())["out"])
        process.stdout.close()
        assert process.wait(DEADLINE_S) == 1
    gone(pid)


def test_the_repository_that_it_starts_in_is_not_imported_from(tmp_path: Path) -> None:
    for name in ("json", "selectors", "subprocess", "heddle", "sitecustomize", "usercustomize"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('caught')\n")
    relay = Relayed(tmp_path)
    relay.shell("echo well")
    assert relay.end()["exit"] == 0
    assert relay.close() == 0
    assert relay.process.stdout is not None
    relay.process.stdout.close()


def test_it_can_be_started_as_a_module(tmp_path: Path) -> None:
    order = json.dumps({"turn": 1, "argv": ["true"]})
    source = Path(turns.__file__).parents[2]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(source)}
    done = subprocess.run(
        [sys.executable, "-m", "heddle.relay.turns"], input=order + "\n", text=True, capture_output=True, env=env
    )
    assert (done.returncode, json.loads(done.stdout)["turn"]) == (0, 1)
