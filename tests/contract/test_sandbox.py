"""What every Sandbox keeps: a process is started once, heard to its end, fed once, and ended whole.

Real processes throughout. A further sandbox joins by one line in SANDBOXES; one that needs a view is given one in which
the place of the test may be written.
"""

import asyncio
import gc
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from heddle.adapters.sandbox.held import HeldProcess
from heddle.adapters.sandbox.landlock import Landlock
from heddle.adapters.sandbox.none import Unconfined
from heddle.core.errors import Refused, UserError
from heddle.core.session import Send
from heddle.holder.reaper import end_marked
from heddle.ports import Command, Held, Mount, Sandbox, View

pytestmark = pytest.mark.asyncio


class Confined(Landlock):
    """Tier 1, with one view for all."""

    async def start(self, command: Command) -> HeldProcess:
        (place := self._root.parent).joinpath("home").mkdir(exist_ok=True)
        view = View("all", (Mount("write", str(place), source=str(place)),), str(place / "home"), str(place / "lock"))
        return await self.start_in(view, command)


SANDBOXES: dict[str, Callable[[Path, Mapping[str, str]], Unconfined | Confined]] = {
    "none": lambda place, environment: Unconfined(place / "held", place / "run", environment),
    "landlock": lambda place, environment: Confined(place / "held", place / "run", environment),
}


@dataclass
class Place:
    """A folder in which sandboxes of one kind are opened, again and again as after restarts of the daemon."""

    kind: str
    path: Path

    def open(self, environment: Mapping[str, str] = os.environ) -> Unconfined | Confined:
        return SANDBOXES[self.kind](self.path, environment)

    def own_names(self) -> dict[str, str]:
        """What the sandbox itself says in the environment of a session."""
        if self.kind == "none":
            return {}
        home = self.path / "home"
        return {"HOME": str(home), "TMPDIR": str(home / ".tmp"), "SHELL": "/bin/sh"}


@pytest.fixture(params=sorted(SANDBOXES))
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    path = Path(tempfile.mkdtemp(prefix="hd-"))  # short: a socket's path has little room
    yield Place(request.param, path)
    for spec in path.rglob("spec.json"):  # whatever a failed test left alive
        end_marked(json.loads(spec.read_text())["marker"])
    shutil.rmtree(path, ignore_errors=True)


def shell(key: str, script: str, *, stdin: bool = False, **more: object) -> Command:
    return Command(key, ("sh", "-c", script), "/", stdin="pipe" if stdin else "null", **more)  # type: ignore[arg-type]


async def heard(held: Held, start: int = 0) -> bytes:
    return b"".join([chunk.data async for chunk in held.output(start)])


async def until_heard(held: Held, wanted: bytes) -> None:
    """Listen until `wanted` is in the output."""
    said = b""
    async for chunk in held.output():
        said += chunk.data
        if wanted in said:
            return
    raise AssertionError(f"ended without {wanted!r}: {said!r}")


async def test_output_comes_while_the_process_still_runs_and_again_from_any_offset(place: Place) -> None:
    sandbox = place.open()
    held = await sandbox.start(shell("talk", "echo one; read x; echo two", stdin=True))
    await until_heard(held, b"one\n")
    assert held.ended() is None
    assert await held.send(Send("go", b"\n"))
    chunks = [chunk async for chunk in held.output(2)]
    assert b"".join(chunk.data for chunk in chunks) == b"e\ntwo\n"
    assert chunks[0].offset == 2
    assert (await held.exit()).ok
    assert await heard(held) == b"one\ntwo\n"
    await sandbox.close()


async def test_two_listeners_and_a_waiter_all_hear_everything(place: Place) -> None:
    sandbox = place.open()
    held = await sandbox.start(
        shell("many", "for i in 1 2 3 4 5 6 7 8 9; do echo $i; done; read x; echo end", stdin=True)
    )
    everyone = asyncio.gather(heard(held), heard(held), held.exit())
    await held.send(Send("go", b"\n"))
    first, second, ended = await everyone
    assert first == second == b"1\n2\n3\n4\n5\n6\n7\n8\n9\nend\n"
    assert ended.ok
    await sandbox.close()


@pytest.mark.parametrize(
    ("script", "code", "number"), [("exit 0", 0, None), ("exit 7", 7, None), ("kill -9 $$", None, 9)]
)
async def test_the_exit_tells_status_and_signal_apart(
    place: Place, script: str, code: int | None, number: int | None
) -> None:
    sandbox = place.open()
    ended = await (await sandbox.start(shell("end", script))).exit()
    assert (ended.code, ended.signal, ended.why) == (code, number, "exited")
    assert ended.ok == (code == 0)
    await sandbox.close()


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (Command("a", ("no-such-program-here", "x"), "/"), "program 'no-such-program-here'"),
        (Command("b", ("true",), "/no/such/folder"), "folder '/no/such/folder'"),
        (Command("c", ("true", "nul\0byte"), "/"), "program 'true'"),
        (Command("d", (), "/"), "process"),
    ],
)
async def test_what_cannot_start_ends_with_the_reason_named(place: Place, command: Command, named: str) -> None:
    sandbox = place.open()
    ended = await (await sandbox.start(command)).exit()
    assert ended.why == "start-failed"
    assert not ended.ok
    assert ended.detail.startswith(named) or named == "process"
    assert ended.detail
    await sandbox.close()


async def test_a_key_is_started_once_however_often_and_at_once_it_is_asked(place: Place) -> None:
    runs = place.path / "runs"
    command = shell("once", f"echo run >> {runs}; read x", stdin=True)
    first, second = place.open(), place.open()
    everyone = await asyncio.gather(*(sandbox.start(command) for sandbox in (first, second) * 10))
    await everyone[0].close_input()
    await asyncio.gather(*(held.exit() for held in everyone))
    assert (await (await second.start(command)).exit()) == everyone[0].ended()
    assert runs.read_text() == "run\n"
    await asyncio.gather(first.close(), second.close())


async def test_messages_arrive_once_each_and_in_order(place: Place) -> None:
    sandbox = place.open()
    held = await sandbox.start(shell("cat", "cat", stdin=True))
    taken = [await held.send(Send(str(number // 2), f"{number // 2}\n".encode())) for number in range(40)]
    assert taken == [True, False] * 20
    await held.close_input()
    assert (await heard(held)).split() == [str(number).encode() for number in range(20)]
    await sandbox.close()


async def test_a_process_that_reads_late_loses_nothing_of_a_large_message(place: Place) -> None:
    sandbox = place.open()
    held = await sandbox.start(shell("late", "echo $$; kill -STOP $$; wc -c", stdin=True))
    await until_heard(held, b"\n")
    assert await held.send(Send("large", b"x" * 3_000_000))
    await held.close_input()
    os.kill(int(held.load_output()), signal.SIGCONT)
    assert (await heard(held)).split()[1] == b"3000000"
    await sandbox.close()


async def test_any_bytes_pass_both_ways(place: Place) -> None:
    sandbox = place.open()
    held = await sandbox.start(shell("bytes", "cat", stdin=True))
    every = bytes(range(256)) + "ünïcödé\n".encode()
    await held.send(Send("all", every))
    await held.close_input()
    assert await heard(held) == every
    await sandbox.close()


async def test_a_message_that_is_too_large_is_refused_by_name(place: Place) -> None:
    sandbox = place.open()
    held = await sandbox.start(shell("cat", "cat", stdin=True))
    with pytest.raises(UserError, match="message 'huge'") as caught:
        await held.send(Send("huge", b"x" * 5_000_000))
    assert caught.value.slug == "message-too-large"
    await held.close_input()
    assert (await held.exit()).ok
    await sandbox.close()


async def test_nothing_is_sent_to_a_process_that_has_ended_or_closed_its_input(place: Place) -> None:
    sandbox = place.open()
    held = await sandbox.start(shell("gone", "true", stdin=True))
    await held.exit()
    assert not await held.send(Send("late", b"hello\n"))
    await held.close_input()
    deaf = await sandbox.start(shell("deaf", "true"))
    assert not await deaf.send(Send("never", b"hello\n"))
    await sandbox.close()


async def test_stop_ends_a_process_that_ignores_the_request_within_the_grace(place: Place) -> None:
    sandbox = place.open()
    held = await sandbox.start(shell("stubborn", "trap '' TERM HUP INT; echo up; while :; do sleep 60; done"))
    await until_heard(held, b"up")
    began = time.monotonic()
    await held.stop(grace_s=0.2)
    assert time.monotonic() - began < 5
    assert held.ended() is not None
    assert (held.ended().why, held.ended().signal) == ("stopped", 9)  # type: ignore[union-attr]
    await sandbox.close()


async def test_stop_gives_a_process_time_to_leave(place: Place) -> None:
    sandbox = place.open()
    held = await sandbox.start(shell("tidy", "trap 'echo tidied; exit 3' TERM; echo up; while :; do sleep 0.05; done"))
    await until_heard(held, b"up")
    await held.stop(grace_s=20)
    assert held.load_output() == b"up\ntidied\n"
    assert (held.ended().why, held.ended().code) == ("stopped", 3)  # type: ignore[union-attr]
    await sandbox.close()


BEATS = (
    "(while :; do echo x >> beats; sleep 0.01; done) & setsid sh -c 'while :; do echo x >> beats; sleep 0.01; done' &"
)
"""Two that write: a child, and one in a session of its own."""


def beats(place: Place) -> int:
    path = place.path / "beats"
    return path.stat().st_size if path.exists() else 0


async def until(claim: Callable[[], object]) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(20):
        while not claim():
            await asyncio.sleep(0.01)


async def passed(sandbox: Sandbox, key: str, wall_s: float) -> None:
    """Wait as long as another process takes to come to its wall limit."""
    clock = await sandbox.start(shell(key, "exec sleep 60", wall_s=wall_s))
    assert (await clock.exit()).why == "wall-limit"


async def test_what_is_frozen_does_nothing_until_it_is_thawed_by_whichever_daemon(place: Place) -> None:
    first = place.open()
    command = Command("frozen", ("sh", "-c", f"{BEATS} echo up; read x; echo end"), str(place.path))
    command = replace(command, stdin="pipe")
    held = await first.start(command)
    await until(lambda: beats(place) > 20)
    assert await held.freeze()
    assert await held.freeze()
    frozen = beats(place)
    assert await held.send(Send("go", b"\n"))
    await first.close()
    second = place.open()
    again = await second.start(command)
    assert await again.freeze()
    await passed(second, "clock", 0.3)
    assert beats(place) == frozen
    assert (again.ended(), again.load_output()) == (None, b"up\n")
    await again.thaw()
    await again.thaw()
    assert (await again.exit()).ok
    assert beats(place) >= frozen
    assert await again.freeze(), "of what has ended nothing runs"
    await second.close()


async def test_time_in_which_a_process_is_frozen_is_no_part_of_its_wall_limit(place: Place) -> None:
    sandbox = place.open()
    held = await sandbox.start(shell("slow", "echo up; read x", stdin=True, wall_s=3.0))
    await until_heard(held, b"up")
    assert await held.freeze()
    await passed(sandbox, "clock", 3.1)
    assert held.ended() is None
    await held.thaw()
    assert (await held.exit()).why == "wall-limit"
    await sandbox.close()


async def test_a_stop_ends_what_is_frozen_at_once_and_its_reason_is_kept(place: Place) -> None:
    sandbox = place.open()
    held = await sandbox.start(Command("frozen", ("sh", "-c", f"{BEATS} echo up; wait"), str(place.path)))
    await until(lambda: beats(place) > 20)
    assert await held.freeze()
    await held.stop(grace_s=3600, why="too-large", detail="wrote 5 GB")
    ended = held.ended()
    assert ended is not None
    assert (ended.why, ended.detail, ended.signal) == ("too-large", "wrote 5 GB", 9)
    left = beats(place)
    await passed(sandbox, "clock", 0.1)
    assert beats(place) == left
    await sandbox.close()


async def test_what_had_stopped_by_itself_stays_stopped(place: Place) -> None:
    sandbox = place.open()
    script = "sleep 60 & kill -STOP $!; echo $!; read x; kill -KILL $!; echo end"
    held = await sandbox.start(shell("resting", script, stdin=True))
    await until_heard(held, b"\n")
    pid = int(held.load_output())
    await until(lambda: about(pid)[0] == "T")
    assert await held.freeze()
    await held.thaw()
    await until(lambda: about(int(about(pid)[1]))[0] != "T")
    assert about(pid)[0] == "T"
    await held.send(Send("go", b"\n"))
    assert (await held.exit()).ok
    await sandbox.close()


def about(pid: int) -> list[str]:
    """State and parent of a process."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]


async def test_a_stop_after_the_end_changes_nothing(place: Place) -> None:
    sandbox = place.open()
    held = await sandbox.start(shell("done", "exit 4"))
    ended = await held.exit()
    await held.stop()
    assert held.ended() == ended
    await sandbox.close()


async def test_output_beyond_the_limit_ends_the_process_and_says_so(place: Place) -> None:
    sandbox = place.open()
    gigabyte = shell("flood", "head -c 1000000000 /dev/zero", transcript_limit=3_000_000)
    exact = shell("exact", "head -c 5000 /dev/zero", transcript_limit=5_000)
    parting = shell("parting", "head -c 5001 /dev/zero", transcript_limit=5_000)
    for command, why in ((gigabyte, "transcript-limit"), (exact, "exited"), (parting, "transcript-limit")):
        held = await sandbox.start(command)
        ended = await held.exit()
        assert ended.why == why
        assert len(await heard(held)) == command.transcript_limit
    await sandbox.close()


async def test_a_process_that_hangs_is_ended_at_its_wall_limit(place: Place) -> None:
    sandbox = place.open()
    held = await sandbox.start(shell("hang", "echo up; exec sleep 600", wall_s=0.3))
    ended = await held.exit()
    assert (ended.why, ended.detail) == ("wall-limit", "ran for 0.3 s")
    assert await heard(held) == b"up\n"
    await sandbox.close()


async def test_an_ended_process_is_found_with_all_it_said(place: Place) -> None:
    first = place.open()
    held = await first.start(shell("past", "echo out; echo err >&2; exit 5"))
    ended = await held.exit()
    await first.close()
    second = place.open()
    again = await second.find("past")
    assert again is not None
    assert again.ended() == await again.exit() == ended
    assert (again.load_output(), again.load_errors(), await heard(again, 1)) == (b"out\n", b"err\n", b"ut\n")
    assert await second.find("never") is None
    await second.close()


async def test_only_the_end_of_what_it_said_is_loaded(place: Place) -> None:
    sandbox = place.open()
    held = await sandbox.start(shell("long", "printf 0123456789; printf abcdef >&2"))
    await held.exit()
    assert (held.load_output(4), held.load_errors(2)) == (b"6789", b"ef")
    await sandbox.close()


async def test_credentials_of_the_daemon_do_not_reach_the_process(place: Place) -> None:
    secret = dict.fromkeys(
        ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "SSH_AUTH_SOCK", "ODD"),
        "secret",
    )
    passed = {"PATH": os.environ["PATH"], "HOME": "/home/x", "LC_ALL": "C", "LANG": "C"}
    sandbox = place.open({**secret, **passed})
    held = await sandbox.start(shell("env", "env", env={"GITHUB_TOKEN": "given", "LANG": "de"}))
    seen = dict(line.split("=", 1) for line in (await heard(held)).decode().splitlines())
    own = {name: seen.pop(name) for name in ("HEDDLE_SESSION", "HEDDLE_HOLDER")}
    seen = {name: value for name, value in seen.items() if name not in ("PWD", "OLDPWD", "SHLVL", "_")}
    assert seen == {**passed, "GITHUB_TOKEN": "given", "LANG": "de", **place.own_names()}
    assert own["HEDDLE_SESSION"] == "env"
    await sandbox.close()


async def test_without_a_pipe_the_input_is_empty_and_no_other_descriptor_is_open(place: Place) -> None:
    sandbox = place.open()
    script = (
        "import os, sys; print(len(sys.stdin.read()), [fd for fd in range(3, 256) if os.path.exists(f'/dev/fd/{fd}')])"
    )
    held = await sandbox.start(Command("bare", (sys.executable, "-I", "-S", "-c", script), "/"))
    assert await heard(held) == b"0 []\n"
    await sandbox.close()


async def test_any_key_is_a_name_of_its_own(place: Place) -> None:
    sandbox = place.open()
    keys = ("T1/r1", "T1_r1", "../../up", "-x", "", "ä ö\n", "k" * 300, "K" * 300)
    everyone = await asyncio.gather(*(sandbox.start(shell(key, 'printf %s "$HEDDLE_SESSION"')) for key in keys))
    assert [(await heard(held)).decode() for held in everyone] == list(keys)
    assert not (place.path.parent / "up").exists()
    await sandbox.close()


async def test_the_tier_is_told(place: Place) -> None:
    sandbox: Sandbox = place.open()
    assert sandbox.tier == {"none": 0, "landlock": 1}[place.kind]


ELSEWHERE = (
    Mount("write", "/heddle/out", source="/tmp"),
    Mount("read", "/usr", source="/etc"),
    Mount("empty", "/tmp"),
    Mount("overlay", "/tmp", source="/tmp", lower=("/usr",), upper="/tmp/u", work="/tmp/w"),
)


@pytest.mark.parametrize("mount", ELSEWHERE)
async def test_d2_a_view_that_only_a_box_can_give_is_refused_without_one(place: Place, mount: Mount) -> None:
    sandbox = place.open()
    view = View("t1", (Mount("write", "/tmp", source="/tmp"), mount), str(place.path), str(place.path / "lock"))
    asked = (
        sandbox.start_in(view, shell("never", "true")),
        sandbox.run_in(view, ("true",)),
        sandbox.bridge(view),
    )
    for asking in asked:
        with pytest.raises(Refused) as caught:
            await asking
        assert caught.value.slug == "sandbox-needs-view"
        assert "workspace.provider" in caught.value.hint
    assert await sandbox.find("never") is None
    await sandbox.close()


async def test_what_nobody_asks_about_any_more_is_let_go_and_goes_on(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox = place.open()
    try:
        held = await sandbox.start(Command("k", ("cat",), str(place.path), stdin="pipe"))
        assert await held.send(Send("1", b"said\n"))
        wire = held._wire
        assert wire is not None and not wire.gone
        listening, held = weakref.ref(wire), None  # type: ignore[assignment]
        wire = None
        async with asyncio.timeout(20):
            while listening() is not None:  # until its connection is closed
                gc.collect()
                await asyncio.sleep(0.01)
        assert not [record for record in caplog.records if "destroyed" in record.message]
        again = await sandbox.find("k")
        assert again is not None and again.ended() is None
        await again.stop(0)
    finally:
        await sandbox.close()
