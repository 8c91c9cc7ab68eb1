"""Visits: a person's own streams stay outside, and what runs inside comes and goes with them. Without a box and in one."""

import asyncio
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from heddle.adapters.sandbox import zygote
from heddle.adapters.sandbox.box import Box
from heddle.adapters.sandbox.held import HeldProcess
from heddle.adapters.sandbox.none import Unconfined
from heddle.holder.reaper import end_marked, marked
from heddle.ports import Command
from support.boxes import Bench
from support.visitor import Visitor

pytestmark = pytest.mark.asyncio

DEADLINE_S = 20.0
BYE = "farewell, visitor"
BASH = "PS1='ready> ' exec bash --norc --noprofile --noediting -i"
SLEEP = "sh -c 'echo asleep$((1 + 1)); exec sleep 100'\n"
"""What it says is not what is typed, so that seeing it means that it runs."""


@pytest.fixture
def runtime() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="hv-") as folder:
        path = Path(folder) / "r"
        path.mkdir(mode=0o700)
        yield path


@dataclass
class House:
    """Visits to one place, by people who are all gone in the end."""

    kind: str
    bench: Bench
    sandboxes: list[Unconfined | Box] = field(default_factory=list)
    people: list[Visitor] = field(default_factory=list)

    async def wait(self, script: str, *, stdin: str, key: str = "v", argv: tuple[str, ...] = ()) -> HeldProcess:
        """A visit that waits for its visitor."""
        words, env = argv or ("sh", "-c", script), {"TERM": "xterm"}
        if self.kind == "box":
            box = self.bench.open()
            self.sandboxes.append(box)
            command = Command(key, words, str(self.bench.checkout), env, stdin=stdin)  # type: ignore[arg-type]
            return await box.start_in(self.bench.view(), command)
        sandbox = Unconfined(self.bench.folder / "held", self.bench.runtime, self.bench.environment)
        self.sandboxes.append(sandbox)
        return await sandbox.start(Command(key, words, str(self.bench.layer), env, stdin=stdin))  # type: ignore[arg-type]

    def come(self, held: HeldProcess, **how: object) -> Visitor:
        """Go through the door from a terminal."""
        visitor = Visitor(held.door(BYE), env=self.bench.environment, **how)  # type: ignore[arg-type]
        self.people.append(visitor)
        return visitor

    async def at_terminal(self, script: str, **how: object) -> tuple[HeldProcess, Visitor]:
        """A visit on a terminal with its visitor."""
        held = await self.wait(script, stdin="terminal")
        return held, self.come(held, **how)

    async def piped(self, script: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
        """A visit by somebody without a terminal."""
        held = await self.wait(script, stdin="lent")
        how = {"input": stdin, "capture_output": True, "timeout": DEADLINE_S, "env": self.bench.environment}
        return await asyncio.to_thread(subprocess.run, held.door(BYE), **how)  # type: ignore[call-overload, no-any-return]

    def living(self, key: str = "v") -> list[int]:
        """Processes of this machine that belong to a visit."""
        specs = (json.loads(path.read_bytes()) for path in (self.bench.folder / "held").glob("*/spec.json"))
        return [pid for spec in specs if spec["key"] == key for pid in marked(spec["marker"])]

    async def close(self) -> None:
        for visitor in self.people:
            visitor.close()
        for path in (self.bench.folder / "held").glob("*/spec.json"):
            spec = json.loads(path.read_bytes())
            held = self.sandboxes[0].of(spec["key"])
            if "make" not in spec and held.ended() is None:
                with suppress(TimeoutError):
                    await asyncio.wait_for(held.stop(0), DEADLINE_S)
                end_marked(spec["marker"])
        await self.bench.close()
        for sandbox in self.sandboxes:
            await sandbox.close()


@pytest_asyncio.fixture(params=["none", "box"])
async def house(request: pytest.FixtureRequest, tmp_path: Path, runtime: Path) -> AsyncIterator[House]:
    made = House(request.param, Bench(tmp_path, runtime))
    yield made
    await made.close()


async def until(holds: object) -> None:
    """Wait until `holds()` is true."""
    assert callable(holds)
    async with asyncio.timeout(DEADLINE_S):
        while not holds():
            await asyncio.sleep(0.01)


# ------------------------------------------------------------------------------------------- on pipes


async def test_bytes_pass_untouched_and_the_status_comes_out(house: House) -> None:
    data = bytes(range(256)) * 20_000  # more than any pipe takes at once
    done = await house.piped("cat; echo err >&2; exit 9", data)
    assert (done.returncode, done.stdout == data, done.stderr) == (9, True, b"err\n")


async def test_the_end_of_the_input_is_passed_on(house: House) -> None:
    assert (await house.piped("wc -c", b"four")).stdout.strip() == b"4"
    held = await house.wait("cat; echo done", stdin="lent", key="w")
    with Path(os.devnull).open() as nothing:
        done = subprocess.run(held.door(BYE), stdin=nothing, capture_output=True, timeout=DEADLINE_S, check=False)
    assert done.stdout == b"done\n"


async def test_what_nobody_reads_ends_who_writes(house: House) -> None:
    held = await house.wait("yes; echo $? >&2", stdin="lent")
    with subprocess.Popen(held.door(BYE), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(4) == b"y\ny\n"
        process.stdout.close()
        assert b"141" in process.stderr.read()
        assert process.wait(timeout=DEADLINE_S) == 0


async def test_a_signal_is_passed_on_and_comes_out_as_a_shell_tells_it(house: House) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        held = await house.wait("echo up; exec sleep 100", stdin="lent", key=f"v{number}")
        with subprocess.Popen(held.door(BYE), stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"up\n"
            process.send_signal(number)
            assert process.wait(timeout=DEADLINE_S) == 128 + number
        assert (await held.exit()).signal == number


async def test_streams_that_are_closed_are_no_obstacle(house: House) -> None:
    held = await house.wait("echo out; cat", stdin="lent")
    script = 'exec "$@" <&- 2>&-'
    done = subprocess.run(["sh", "-c", script, "sh", *held.door(BYE)], stdout=subprocess.PIPE, timeout=DEADLINE_S)
    assert (done.returncode, done.stdout) == (0, b"out\n")


async def test_a_program_that_is_not_there_is_told(house: House) -> None:
    for stdin in ("lent", "terminal"):
        held = await house.wait("", stdin=stdin, key=stdin, argv=("no-such-program",))
        done = subprocess.run(held.door(BYE), capture_output=True, input=b"", timeout=DEADLINE_S, check=False)
        assert (done.returncode, b"no-such-program" in done.stderr) == (127, True)
        assert (await held.exit()).why == "start-failed"


REOPEN = """
import os, sys
for fd in range(256):
    try:
        os.fstat(fd)
        again = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY)
        os.write(again, b"written by what was to read it")
    except OSError:
        pass
"""
"""What a process may make of a descriptor that it is handed."""


async def test_no_file_of_the_person_can_be_opened_again_from_inside(house: House) -> None:
    mine = house.bench.folder / "mine.txt"
    mine.write_text("to be read and not to be written\n")
    held = await house.wait("", stdin="lent", argv=("python3", "-c", REOPEN))
    with mine.open() as file:
        subprocess.run(held.door(BYE), stdin=file, stdout=subprocess.DEVNULL, timeout=DEADLINE_S, check=False)
    assert mine.read_text() == "to be read and not to be written\n"


async def test_nothing_of_a_visit_is_kept(house: House) -> None:
    await house.piped("cat; echo answer", b"a password\n")
    for path in (house.bench.folder / "held").rglob("*"):
        if path.is_file() and path.name != "spec.json":
            assert b"password" not in path.read_bytes()
            assert b"answer" not in path.read_bytes(), path


# --------------------------------------------------------------------------------------- on a terminal


async def test_a_shell_has_a_terminal_of_its_own_with_job_control(house: House) -> None:
    _, visitor = await house.at_terminal(BASH, size=(41, 77))
    visitor.see("ready> ")
    visitor.type("tty; stty size; echo $TERM; [ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo all three\n")
    inside = visitor.see(r"/dev/pts/\d+").group()
    assert house.kind == "none" or inside == "/dev/pts/0", "of the box's own"
    assert inside != os.ttyname(visitor.theirs) or house.kind == "box"
    visitor.see(r"41 77\r\nxterm\r\nall three\r\n")
    visitor.type(SLEEP)
    visitor.see("asleep2")
    visitor.type("\x1a")
    visitor.see("Stopped")
    visitor.type("jobs; bg; kill %1; wait; echo over\n")
    visitor.see(r"\nover\r\n")
    visitor.type("exit 5\n")
    assert visitor.left() == 5


async def test_ctrl_c_reaches_what_runs_inside_and_nothing_else(house: House) -> None:
    _, visitor = await house.at_terminal(BASH)
    visitor.see("ready> ")
    visitor.type(SLEEP)
    visitor.see("asleep2")
    visitor.type("\x03")
    visitor.see("ready> ")
    visitor.type('echo "status $?"\n')
    visitor.see("status 130\r\n")
    assert not visitor.tamed(), "while it is in use the keys belong to the inside"
    visitor.type("\x04")
    assert visitor.left() == 0


async def test_a_command_may_have_a_terminal_too_and_ctrl_c_ends_it(house: House) -> None:
    held, visitor = await house.at_terminal("echo up; exec sleep 100")
    visitor.see("up\r\n")
    visitor.type("\x03")
    assert visitor.left() == 130
    assert (await held.exit()).signal == signal.SIGINT


SIZES = """
import os, signal
def say(*words):
    os.write(1, (" ".join(map(str, words)) + chr(10)).encode())
signal.signal(signal.SIGWINCH, lambda *_: say(*os.get_terminal_size(0)))
signal.signal(signal.SIGINT, signal.SIG_DFL)
say("up")
while True:
    signal.pause()
"""


async def test_a_window_of_another_size_is_told(house: House) -> None:
    visitor = house.come(await house.wait("", stdin="terminal", argv=("python3", "-c", SIZES)))
    visitor.see("up")
    for rows, columns in ((11, 222), (50, 40)):
        visitor.resize(rows, columns)
        visitor.see(f"{columns} {rows}\r\n")
    visitor.type("\x03")
    assert visitor.left() == 130


async def test_the_terminal_inside_is_like_the_one_outside(house: House) -> None:
    held = await house.wait("stty -a", stdin="terminal")
    script = 'stty erase "^H" -echoctl; exec "$@"'
    visitor = Visitor(["sh", "-c", script, "sh", *held.door(BYE)], env=house.bench.environment)
    house.people.append(visitor)
    visitor.see(r"erase = \^H")
    visitor.see("-echoctl")


async def test_much_goes_both_ways_at_once(house: House) -> None:
    _, visitor = await house.at_terminal(
        "stty raw -echo; echo up; head -c 300000 | wc -c; stty sane; seq 50000 | tail -1"
    )
    visitor.see("up")
    for _ in range(300):
        visitor.type("x" * 1000)
    visitor.see("300000")
    visitor.see("50000")
    assert visitor.left() == 0


async def test_the_persons_terminal_is_not_handed_in(house: House) -> None:
    """TIOCSTI, or a second open of the descriptor: neither finds the person's terminal."""
    probe = (
        "import os,fcntl,termios;print('is', [os.fstat(f).st_rdev for f in (0,1,2)], os.fstat(0).st_dev, flush=True)"
    )
    held = await house.wait("", stdin="terminal", argv=("python3", "-c", probe))
    visitor = house.come(held)
    told = visitor.see(r"is (\[.*\]) (\d+)\r\n")
    mine = os.fstat(visitor.theirs)
    assert (told.group(1), told.group(2)) != (str([mine.st_rdev] * 3), str(mine.st_dev))
    assert visitor.left() == 0


# ------------------------------------------------------------------------------------------ how it ends

HIDDEN = "trap '' HUP TERM; (setsid sh -c 'trap \"\" HUP TERM; echo hidden; exec sleep 300' &)"


async def test_a_stop_ends_a_visit_with_all_it_started_and_says_farewell(house: House) -> None:
    held, visitor = await house.at_terminal(f"{HIDDEN}; echo up; exec sleep 300")
    visitor.see("hidden")
    await held.stop(0.1)
    assert house.living() == []
    assert visitor.left() == 128 + signal.SIGKILL
    visitor.see(BYE)


async def test_a_shell_leaves_at_once_when_it_is_stopped(house: House) -> None:
    held, visitor = await house.at_terminal(BASH)
    visitor.see("ready> ")
    began = time.monotonic()
    await held.stop(60.0)
    assert time.monotonic() - began < 30, "an interactive shell takes no notice of SIGTERM"
    assert visitor.left() == 128 + signal.SIGHUP
    visitor.see(BYE)


async def test_a_screen_program_that_is_ended_leaves_a_plain_screen(house: House) -> None:
    held, visitor = await house.at_terminal(
        r"trap '' HUP; printf '\033[?1049h\033[?1000h\033[?25l full'; exec sleep 300"
    )
    visitor.see("full")
    await held.stop(0.0)
    assert visitor.left() == 128 + signal.SIGKILL
    for undone in ("1049l", "1000l", "25h"):
        assert f"\x1b[?{undone}" in visitor.shown


@pytest.mark.parametrize("how", ["window closed", "killed", "asked to end"])
async def test_a_visitor_who_is_gone_leaves_nothing_running(house: House, how: str) -> None:
    held, visitor = await house.at_terminal(f"{HIDDEN}; exec sleep 300")
    visitor.see("hidden")
    assert house.living() != []
    if how == "window closed":
        visitor.hang_up()
    else:
        visitor.process.send_signal(signal.SIGKILL if how == "killed" else signal.SIGTERM)
    ended = await asyncio.wait_for(held.exit(), DEADLINE_S)
    assert ended.why == "stopped"
    assert house.living() == []
    if how == "asked to end":
        assert visitor.left() == 128 + signal.SIGTERM


async def test_a_lost_holder_is_told_and_leaves_nothing(house: House) -> None:
    held, visitor = await house.at_terminal("echo up; exec sleep 300")
    visitor.see("up")
    started = held.folder.load(held.folder.started)
    assert started is not None
    os.kill(started["holder"], signal.SIGKILL)
    assert visitor.left() == 7
    visitor.see("was lost")
    assert (await held.exit()).why == "holder-lost"
    await until(lambda: house.living() == [])


IMPATIENT = """
import sys
sys.path.append(sys.argv[2])
from heddle.holder import supervisor
supervisor.PATIENCE_S = 0.3
"""


async def test_a_door_that_nobody_comes_to_is_closed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zygote, "ENTRY", IMPATIENT + zygote.ENTRY)
    held = await house.wait("touch ran", stdin="terminal")
    ended = await asyncio.wait_for(held.exit(), DEADLINE_S)
    assert (ended.why, ended.detail) == ("start-failed", "nobody came through its door")
    assert not (house.bench.layer / "ran").exists()
    done = subprocess.run(held.door(BYE), capture_output=True, timeout=DEADLINE_S, check=False)
    assert (done.returncode, b"nobody is behind this door" in done.stderr) == (7, True)


async def test_a_stop_before_anybody_came_is_the_end_of_it(house: House) -> None:
    held = await house.wait("touch ran", stdin="terminal")
    began = time.monotonic()
    await held.stop(60.0)
    assert time.monotonic() - began < 30
    assert not (house.bench.layer / "ran").exists()
    assert list(house.bench.runtime.glob("*.d")) == []


async def test_a_door_is_for_one_visitor(house: House) -> None:
    held, visitor = await house.at_terminal("echo up; exec sleep 300")
    visitor.see("up")
    done = subprocess.run(held.door(BYE), capture_output=True, input=b"", timeout=DEADLINE_S, check=False)
    assert done.returncode == 7
    assert held.ended() is None
    visitor.type("\x03")
    assert visitor.left() == 130
