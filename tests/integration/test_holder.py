"""The holder under fire: daemons, holders and zygotes are killed, disks fill, sockets get garbage, trees of processes hide.

What is patched is patched in the zygote's program (`zygote.ENTRY`), because holders live in processes of their own.
"""

import asyncio
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from heddle.adapters.sandbox import zygote
from heddle.adapters.sandbox.held import HeldProcess
from heddle.adapters.sandbox.none import Unconfined
from heddle.core.errors import OutsideError, SetupError
from heddle.core.session import Send
from heddle.holder.reaper import end_marked, marked
from heddle.ports import Command
from support.evaders import EVADERS, evader, has_begun

pytestmark = pytest.mark.asyncio

DEADLINE_S = 20.0

DAEMON = """
import asyncio, os, sys
from pathlib import Path
from heddle.adapters.sandbox.none import Unconfined
from heddle.ports import Command

async def main(place, key, script):
    sandbox = Unconfined(Path(place) / "held", Path(place) / "run", os.environ)
    held = await sandbox.start(Command(key, ("sh", "-c", script), place, stdin="pipe"))
    print("held", flush=True)
    await held.exit()

asyncio.run(main(*sys.argv[1:]))
"""

HIDING = """
import os, signal, socket, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.alarm(120)
pids = open("pids", "a", buffering=1)

def live(*, session=False, deep=False, bare=False):
    if os.fork():
        return
    signal.alarm(120)
    if session:
        os.setsid()
    if deep and os.fork():
        os._exit(0)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    print(os.getpid(), file=pids)
    if bare:
        os.execve("/bin/sleep", ["sleep", "120"], {})
    while True:
        signal.pause()

listener = socket.create_server(("127.0.0.1", 0))
os.set_inheritable(listener.fileno(), True)
for number in range(36):
    live()
live(session=True)
live(session=True, deep=True)
live(deep=True)
live(session=True, deep=True, bare=True)
print(listener.getsockname()[1], flush=True)
print(os.getpid(), file=pids)
if sys.argv[1:] == ["leave"]:
    sys.stdin.readline()
    os._exit(0)
while True:
    signal.pause()
"""

COMET = """
import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    signal.alarm(60)
    print("up", flush=True)
    while not os.fork():
        pass
    os._exit(0)
signal.pause()
"""

HEADLESS = """
import ctypes, os, signal, threading
signal.signal(signal.SIGTERM, signal.SIG_IGN)
def rest():
    threading.Event().wait(60)
if os.fork():
    os._exit(0)
os.setsid()
signal.alarm(60)
threading.Thread(target=rest).start()
print(os.getpid(), flush=True)
os.close(1)
ctypes.CDLL(None).syscall(93 if os.uname().machine == "aarch64" else 60, 0)
"""
"""Its main thread leaves: the system calls it a zombie from then on, and it runs on."""


@pytest.fixture
def place() -> Iterator[Path]:
    """A short folder (a socket's path has little room); whatever a failed test leaves alive in it is ended."""
    path = Path(tempfile.mkdtemp(prefix="hd-"))
    yield path
    for spec in path.rglob("spec.json"):
        end_marked(json.loads(spec.read_text())["marker"])
    for pids in path.rglob("pids"):
        for pid in pids.read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
    shutil.rmtree(path, ignore_errors=True)  # a holder that a failed test left may just write its exit


def opened(place: Path) -> Unconfined:
    return Unconfined(place / "held", place / "run", os.environ)


def shell(place: Path, key: str, script: str, **more: object) -> Command:
    return Command(key, ("sh", "-c", script), str(place), stdin="pipe", **more)  # type: ignore[arg-type]


def python(place: Path, key: str, script: str, *args: str) -> Command:
    return Command(key, (sys.executable, "-I", "-S", "-c", script, *args), str(place), stdin="pipe")


def daemon(place: Path, key: str, script: str) -> subprocess.Popen[bytes]:
    """A daemon of its own process that holds `script` and waits for its end."""
    return subprocess.Popen([sys.executable, "-c", DAEMON, str(place), key, script], stdout=subprocess.PIPE)


async def until(claim: Callable[[], object]) -> None:
    """Return when the claim holds; fail when it does not within the deadline."""
    async with asyncio.timeout(DEADLINE_S):
        while not claim():
            await asyncio.sleep(0.01)


async def heard(held: HeldProcess, start: int = 0) -> bytes:
    return b"".join([chunk.data async for chunk in held.output(start)])


async def until_said(held: HeldProcess, wanted: bytes) -> None:
    await until(lambda: wanted in held.load_output())


def holder_of(held: HeldProcess) -> int:
    return int((held.folder.load(held.folder.started) or {})["holder"])


def spec_of(held: HeldProcess) -> dict[str, str]:
    return held.folder.load(held.folder.spec) or {}


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def patch_holders(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Run `program` in the zygote before it serves."""
    prologue = "import sys\nsys.path.append(sys.argv[2])\n"
    monkeypatch.setattr(zygote, "ENTRY", prologue + program + zygote.ENTRY)


# ------------------------------------------------------------------------------- the daemon comes and goes (D3)


async def test_a_killed_daemon_leaves_the_turn_running_and_the_next_one_attaches_without_a_second_start(
    place: Path,
) -> None:
    script = "echo run >> runs; echo one; read x; echo two"
    first = daemon(place, "T1/s1", script)
    assert first.stdout is not None
    assert await asyncio.to_thread(first.stdout.readline) == b"held\n"
    sandbox = opened(place)
    found = await sandbox.find("T1/s1")
    assert found is not None
    await until_said(found, b"one")
    first.kill()
    await asyncio.to_thread(first.wait)

    assert await sandbox.live() == ("T1/s1",)
    held = await sandbox.start(shell(place, "T1/s1", script))
    assert held.ended() is None
    assert await held.send(Send("go", b"\n"))
    assert await heard(held, start=4) == b"two\n"
    assert (await held.exit()).ok
    assert (place / "runs").read_text() == "run\n"
    first.stdout.close()
    await sandbox.close()


async def test_daemons_that_start_the_same_key_at_once_share_one_process(place: Path) -> None:
    daemons = [daemon(place, "same", "echo run >> runs; read x") for _ in range(3)]
    for each in daemons:
        assert each.stdout is not None
        assert await asyncio.to_thread(each.stdout.readline) == b"held\n"
    sandbox = opened(place)
    held = await sandbox.find("same")
    assert held is not None
    await until((place / "runs").exists)
    await held.stop()
    for each in daemons:
        await asyncio.to_thread(each.communicate)
        assert each.returncode == 0
    assert (place / "runs").read_text() == "run\n"
    await sandbox.close()


async def test_a_killed_zygote_is_replaced_and_takes_no_holder_with_it(place: Path) -> None:
    sandbox = opened(place)
    old = await sandbox.start(shell(place, "old", "read x"))
    process = sandbox._zygote._process
    assert process is not None
    process.kill()
    process.wait()
    fresh = await asyncio.gather(*(sandbox.start(shell(place, f"new{n}", "read x")) for n in range(5)))
    assert old.ended() is None
    assert len(set(await sandbox.live())) == 6
    await asyncio.gather(*(held.stop(grace_s=1) for held in (old, *fresh)))
    await sandbox.close()


async def test_closing_the_sandbox_ends_its_zygote_but_nothing_held(place: Path) -> None:
    sandbox = opened(place)
    held = await sandbox.start(shell(place, "on", "echo up; read x; echo still"))
    process = sandbox._zygote._process
    await sandbox.close()
    assert process is not None
    assert process.returncode == 0
    later = opened(place)
    again = await later.start(shell(place, "on", "echo up; read x; echo still"))
    await again.send(Send("go", b"\n"))
    assert await heard(again) == b"up\nstill\n"
    assert (await held.exit()).ok
    await later.close()


async def test_fifty_start_at_once(place: Path) -> None:
    sandbox = opened(place)
    everyone = await asyncio.gather(*(sandbox.start(shell(place, f"k{n}", f"echo {n}; read x")) for n in range(50)))
    assert len(set(map(holder_of, everyone))) == 50
    for held in everyone:
        await held.close_input()
    assert [await heard(held) for held in everyone] == [f"{n}\n".encode() for n in range(50)]
    await sandbox.close()


# ----------------------------------------------------------------------------------------------- messages (D1)


async def test_a_message_is_written_once_also_when_the_next_daemon_sends_it_again(place: Path) -> None:
    command = shell(place, "cat", "cat")
    first = opened(place)
    held = await first.start(command)
    assert await held.send(Send("a", b"one\n"))
    assert not await held.send(Send("a", b"one\n"))
    await first.close()
    second = opened(place)
    again = await second.start(command)
    assert not await again.send(Send("a", b"one\n"))
    assert await again.send(Send("b", b"two\n"))
    await again.close_input()
    assert await heard(again) == b"one\ntwo\n"
    log = [json.loads(line)["id"] for line in again.folder.inputs.read_text().splitlines()]
    assert log == ["a", "b"]
    await second.close()


async def test_a_message_never_reaches_what_a_dead_agent_left_at_its_input(place: Path) -> None:
    """The holder is frozen while the agent dies and a message comes, so that it learns of both at once."""
    sandbox = opened(place)
    held = await sandbox.start(shell(place, "dead", "exec 3<&0; cat <&3 >> typed & echo $$; wait"))
    await until_said(held, b"\n")
    assert await held.send(Send("greeting", b"hello\n"))
    await until(lambda: (place / "typed").exists() and (place / "typed").read_bytes() == b"hello\n")
    holder = holder_of(held)
    os.kill(holder, signal.SIGSTOP)
    await until(lambda: Path(f"/proc/{holder}/stat").read_text().rpartition(")")[2].split()[0] == "T")
    sending = asyncio.create_task(held.send(Send("late", b"rm -r everything\n")))
    await asyncio.sleep(0)  # let it write to the holder's socket
    agent = int(held.load_output())
    os.kill(agent, signal.SIGKILL)
    await until(lambda: not alive(agent))
    os.kill(holder, signal.SIGCONT)
    assert not await sending
    assert (await held.exit()).signal == signal.SIGKILL
    assert b"late" not in held.folder.inputs.read_bytes()
    assert (place / "typed").read_bytes() == b"hello\n"
    await sandbox.close()


# --------------------------------------------------------------------------------------- nothing is left (D4)


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


async def leaving(place: Path, sandbox: Unconfined, *args: str) -> tuple[HeldProcess, list[int], int]:
    """A tree of 41 processes that hides: own sessions, double forks, no TERM, no HUP, one with an empty environment."""
    held = await sandbox.start(python(place, "tree", HIDING, *args))
    await until(lambda: (place / "pids").exists() and len((place / "pids").read_text().split()) == 41)
    await until_said(held, b"\n")
    return held, [int(pid) for pid in (place / "pids").read_text().split()], int(held.load_output())


async def test_a_stop_leaves_no_process_port_lock_or_socket(place: Path) -> None:
    sandbox = opened(place)
    held, pids, port = await leaving(place, sandbox)
    assert not port_is_free(port)
    await held.stop(grace_s=0.1)
    assert [pid for pid in pids if alive(pid)] == []
    assert port_is_free(port)
    assert list((place / "run").iterdir()) == []
    await until(lambda: not alive(holder_of(held)))
    lock = held.folder.take_lock()
    assert lock is not None
    os.close(lock)
    await sandbox.close()


async def test_nothing_is_left_either_when_the_parent_left_first(place: Path) -> None:
    sandbox = opened(place)
    held, pids, port = await leaving(place, sandbox, "leave")
    await held.send(Send("go", b"\n"))
    assert (await held.exit()).ok
    assert [pid for pid in pids if alive(pid)] == []
    assert port_is_free(port)
    await sandbox.close()


async def test_a_process_whose_main_thread_left_is_ended_too(place: Path) -> None:
    sandbox = opened(place)
    command = f"{sys.executable} -I -S -c '{HEADLESS}' > pids; read x"
    held = await sandbox.start(shell(place, "headless", command))
    await until(lambda: (place / "pids").exists() and (place / "pids").read_text())
    tasks = Path(f"/proc/{int((place / 'pids').read_text())}/task")
    await until(lambda: len(list(tasks.iterdir())) == 2 and not alive(int(tasks.parent.name)))
    await held.stop(grace_s=0.0)
    await until(lambda: not tasks.exists())
    await sandbox.close()


async def test_processes_that_fork_faster_than_they_can_be_listed_are_ended_too(place: Path) -> None:
    sandbox = opened(place)
    held = await sandbox.start(python(place, "comet", COMET))
    await until_said(held, b"up")
    async with asyncio.timeout(DEADLINE_S):
        await held.stop(grace_s=0.0)
    await sandbox.close()


# ---------------------------------------------------------------------------------------- what is frozen stays so


@pytest.mark.parametrize("kind", EVADERS)
async def test_what_evades_being_frozen_is_frozen_all_the_same_and_ends_from_there(place: Path, kind: str) -> None:
    sandbox = opened(place)
    held = await sandbox.start(python(place, kind, evader(kind)))
    await until(lambda: has_begun(place, kind))
    assert await held.freeze()
    before = (place / "beats").stat().st_size
    clock = await sandbox.start(shell(place, "clock", "exec sleep 60", wall_s=0.3))
    await clock.exit()
    assert (place / "beats").stat().st_size == before
    assert marked(spec_of(held)["marker"]), "it lives"
    await held.stop(grace_s=60)
    assert marked(spec_of(held)["marker"]) == []
    await sandbox.close()


async def test_a_chain_of_processes_is_frozen_also_where_there_are_many_others(place: Path) -> None:
    """One look at all of them takes longer than a link of the chain lives."""
    sandbox = opened(place)
    crowd = [subprocess.Popen(["sleep", "120"], stdout=subprocess.DEVNULL) for _ in range(400)]
    try:
        held = await sandbox.start(python(place, "comet", evader("comet")))
        await until(lambda: has_begun(place, "comet"))
        assert await held.freeze()
        await held.stop(grace_s=60)
    finally:
        for one in crowd:
            one.kill()
            one.wait()
    await sandbox.close()


async def test_what_is_frozen_ends_with_its_holder(place: Path) -> None:
    sandbox = opened(place)
    held = await sandbox.start(python(place, "tree", evader("tree")))
    await until(lambda: has_begun(place, "tree"))
    assert await held.freeze()
    os.kill(holder_of(held), signal.SIGKILL)
    assert (await held.exit()).why == "holder-lost"
    assert marked(spec_of(held)["marker"]) == []
    await sandbox.close()


async def test_a_main_process_that_is_killed_while_it_is_frozen_takes_the_rest_along(place: Path) -> None:
    sandbox = opened(place)
    held = await sandbox.start(shell(place, "killed", "setsid sleep 120 & echo $$; wait"))
    await until_said(held, b"\n")
    assert await held.freeze()
    os.kill(int(held.load_output()), signal.SIGKILL)
    assert (await held.exit()).signal == signal.SIGKILL
    assert marked(spec_of(held)["marker"]) == []
    await sandbox.close()


async def test_a_holder_of_before_says_that_it_cannot_freeze(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patch_holders(
        monkeypatch,
        """
from heddle.holder import link
known = link.Link._answer
def answer(self, request):
    return {"error": "unknown"} if request["op"] in ("freeze", "thaw") else known(self, request)
link.Link._answer = answer
""",
    )
    sandbox = opened(place)
    held = await sandbox.start(shell(place, "old", "read x; echo got $x"))
    assert not await held.freeze()
    await held.thaw()
    await held.send(Send("go", b"it\n"))
    assert await heard(held) == b"got it\n"
    await sandbox.close()


# -------------------------------------------------------------------------------------- the holder itself dies


async def test_a_killed_holder_takes_its_process_along_and_is_told_as_lost(place: Path) -> None:
    sandbox = opened(place)
    script = "echo run >> runs; sh -c 'echo $$ >> pids; exec setsid sleep 120' & echo $$ >> pids; echo up; read x"
    held = await sandbox.start(shell(place, "lost", script))
    await until_said(held, b"up")
    await until(lambda: len((place / "pids").read_text().split()) == 2)
    listening = asyncio.create_task(heard(held))
    os.kill(holder_of(held), signal.SIGKILL)
    ended = await held.exit()
    assert (ended.why, ended.code, ended.signal) == ("holder-lost", None, None)
    assert await listening == b"up\n"
    assert [pid for pid in (place / "pids").read_text().split() if alive(int(pid))] == []
    assert not await held.send(Send("late", b"\n"))
    again = await sandbox.start(shell(place, "lost", script))
    assert again.ended() == ended
    assert (place / "runs").read_text() == "run\n"
    await sandbox.close()


async def test_a_holder_lost_while_no_daemon_ran_is_settled_at_the_next_look(place: Path) -> None:
    first = opened(place)
    held = await first.start(shell(place, "lost", "sh -c 'echo $$ >> pids; exec setsid sleep 120' & wait"))
    other = await first.start(shell(place, "well", "read x"))
    await until(lambda: (place / "pids").exists() and (place / "pids").read_text())
    await first.close()
    os.kill(holder_of(held), signal.SIGKILL)
    await until(lambda: not alive(holder_of(held)))
    second = opened(place)
    assert await second.live() == ("well",)
    assert held.ended() is not None
    assert not alive(int((place / "pids").read_text()))
    await other.stop(grace_s=1)
    await second.close()


async def test_settling_a_loss_leaves_another_installation_with_the_same_key_alone(place: Path) -> None:
    here = Unconfined(place / "here", place / "run", os.environ)
    there = Unconfined(place / "there", place / "run", os.environ)
    mine = await here.start(shell(place, "T1/s1", "echo mine; read x"))
    theirs = await there.start(shell(place, "T1/s1", "echo theirs; read x; echo fine"))
    os.kill(holder_of(mine), signal.SIGKILL)
    assert (await mine.exit()).why == "holder-lost"
    assert await theirs.send(Send("go", b"\n"))
    assert await heard(theirs) == b"theirs\nfine\n"
    await asyncio.gather(here.close(), there.close())


async def test_a_holder_killed_before_it_began_is_started_again(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patch_holders(
        monkeypatch,
        f"""
import os, signal
from heddle.holder import supervisor
claim, flag = supervisor.claim, {str(place / "flag")!r}
def mortal(folder):
    if not os.path.exists(flag):
        open(flag, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return claim(folder)
supervisor.claim = mortal
""",
    )
    sandbox = opened(place)
    held = await sandbox.start(shell(place, "again", "echo run >> runs"))
    assert (await held.exit()).ok
    assert (place / "runs").read_text() == "run\n"
    await sandbox.close()


async def test_a_folder_prepared_by_a_daemon_that_died_before_the_start_is_started_not_lost(
    place: Path,
) -> None:
    sandbox = opened(place)
    command = shell(place, "prepared", "echo fine")
    held = sandbox.of("prepared")
    sandbox._prepare(held.folder, command, {})
    assert await sandbox.live() == ()
    assert await sandbox.find("prepared") is None
    assert sandbox.transcript("prepared") is None
    assert await heard(await sandbox.start(command)) == b"fine\n"
    transcript = sandbox.transcript("prepared")
    assert transcript is not None
    assert transcript.read_bytes() == b"fine\n"
    await sandbox.close()


async def test_a_holder_that_fails_ends_all_and_says_so(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patch_holders(
        monkeypatch,
        """
from heddle.holder import supervisor
def broken(self):
    raise RuntimeError("a fault")
supervisor.Supervisor.close_input = broken
""",
    )
    sandbox = opened(place)
    held = await sandbox.start(shell(place, "fault", "echo $$ >> pids; echo up; read x; read y"))
    await until_said(held, b"up")
    await held.close_input()
    ended = await held.exit()
    assert (ended.why, ended.detail) == ("holder-lost", "the holder failed: RuntimeError: a fault")
    assert not alive(int((place / "pids").read_text()))
    await sandbox.close()


# ---------------------------------------------------------------------------------------------- bad surroundings


async def test_a_full_disk_ends_the_process_and_keeps_all_that_fitted(place: Path) -> None:
    """The holder may write no file beyond 8 KiB: the system refuses it as it refuses a full disk."""
    sandbox = opened(place)
    held = await sandbox.start(shell(place, "full", "read x; head -c 100000 /dev/zero; echo $? >> ends; sleep 120"))
    resource.prlimit(holder_of(held), resource.RLIMIT_FSIZE, (8192, 8192))
    await held.send(Send("go", b"\n"))
    ended = await held.exit()
    assert ended.why == "disk-full"
    assert ended.detail.startswith("transcript: ")
    assert not ended.ok
    assert await heard(held) == b"\0" * 8192
    await sandbox.close()


async def test_a_message_that_cannot_be_logged_is_not_written(place: Path) -> None:
    sandbox = opened(place)
    held = await sandbox.start(shell(place, "full", "cat > typed"))
    await until((place / "typed").exists)
    resource.prlimit(holder_of(held), resource.RLIMIT_FSIZE, (8192, 8192))
    assert not await held.send(Send("a", b"x" * 9000))
    assert (await held.exit()).why == "disk-full"
    assert (place / "typed").read_bytes() == b""
    await sandbox.close()


async def test_room_for_the_exit_is_taken_at_the_start(place: Path) -> None:
    sandbox = opened(place)
    held = await sandbox.start(shell(place, "room", "read x"))
    assert held.folder.room.stat().st_size == 4096
    number = held.folder.room.stat().st_ino
    await held.stop(grace_s=1)
    assert held.folder.exit.stat().st_ino == number
    await sandbox.close()


async def test_a_folder_that_cannot_be_made_is_named(place: Path) -> None:
    (place / "held").write_text("a file")
    sandbox = Unconfined(place / "held" / "deeper", place / "run", os.environ)
    with pytest.raises(OutsideError, match="'T1/s1'") as caught:
        await sandbox.start(shell(place, "T1/s1", "true"))
    assert caught.value.slug == "no-holder"
    assert str(place / "held") in str(caught.value.facts)
    await sandbox.close()


async def test_a_socket_path_that_is_too_long_is_refused_with_a_way_out(place: Path) -> None:
    sandbox = Unconfined(place / "held", place / ("r" * 100), os.environ)
    with pytest.raises(SetupError) as caught:
        await sandbox.start(shell(place, "x", "true"))
    assert caught.value.slug == "socket-path-too-long"
    assert "HEDDLE_RUNTIME_DIR" in caught.value.hint
    await sandbox.close()


async def test_a_runtime_folder_that_others_may_enter_is_refused(place: Path) -> None:
    (place / "run").mkdir()
    (place / "run").chmod(0o755)
    sandbox = opened(place)
    with pytest.raises(SetupError) as caught:
        await sandbox.start(shell(place, "x", "true"))
    assert caught.value.slug == "unsafe-runtime"
    await sandbox.close()


async def test_everything_of_a_session_is_for_its_owner_alone(place: Path) -> None:
    sandbox = opened(place)
    held = await sandbox.start(shell(place, "private", "echo up; read x"))
    await until_said(held, b"up")
    assert held.folder.path.stat().st_mode & 0o777 == 0o700
    everything = [*held.folder.path.iterdir(), *(place / "run").iterdir()]
    assert {path.name for path in everything} >= {"spec.json", "lock", "started.json", "transcript", "errors"}
    assert [path.name for path in everything if path.stat().st_mode & 0o177] == []
    await held.stop(grace_s=1)
    await sandbox.close()


@pytest.mark.parametrize(
    "garbage",
    [
        b"hello\n",
        b"\xff\xfe\0\n",
        b"[]\n",
        b"7\n",
        b"null\n",
        b"{}\n",
        b'{"op": "stop", "grace_s": NaN}\n',
        b'{"op": "stop", "grace_s": "soon"}\n',
        b'{"op": "stop", "grace_s": 1e308}\n',
        b'{"op": "input", "id": "x"}\n',
        b'{"op": "input", "id": "x", "data": "\\ud800"}\n',
        b"[" * 100_000 + b"\n",
        b"x" * (33 * 1024 * 1024),
    ],
    ids=lambda garbage: repr(garbage[:40]),
)
async def test_garbage_costs_only_the_connection_that_sent_it(place: Path, garbage: bytes) -> None:
    sandbox = opened(place)
    held = await sandbox.start(shell(place, "sturdy", "cat"))
    assert await held.send(Send("a", b"one\n"))
    reader, writer = await asyncio.open_unix_connection(str(next((place / "run").iterdir())))
    with suppress(ConnectionError):
        writer.write(garbage)
        await writer.drain()
        async with asyncio.timeout(DEADLINE_S):
            assert await reader.read() == b""
    writer.close()
    assert await held.send(Send("b", b"two\n"))
    await held.close_input()
    assert await heard(held) == b"one\ntwo\n"
    assert (await held.exit()).ok
    await sandbox.close()


async def test_a_request_of_a_newer_daemon_is_answered_as_unknown(place: Path) -> None:
    sandbox = opened(place)
    held = await sandbox.start(shell(place, "older", "read x"))
    assert await held._ask({"op": "teleport"}) == {"n": 2, "error": "unknown"}
    hello = await held._ask({"op": "hello", "versions": [1, 2]})
    assert hello is not None
    assert (hello["version"], hello["key"]) == (1, "older")
    await held.stop(grace_s=1)
    await sandbox.close()


async def test_a_wall_clock_that_leaps_moves_no_limit(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patch_holders(
        monkeypatch,
        """
import itertools, time
leaps = itertools.count(1)
time.time = lambda: (-1) ** next(leaps) * 1e9
""",
    )
    sandbox = opened(place)
    short = await sandbox.start(shell(place, "short", "exec sleep 600", wall_s=0.3))
    long = await sandbox.start(shell(place, "long", "read x", wall_s=600.0))
    assert (await short.exit()).why == "wall-limit"
    assert long.ended() is None
    await long.close_input()
    assert (await long.exit()).why == "exited"
    await sandbox.close()


async def test_the_transcript_is_flushed_after_a_quiet_moment_not_for_every_line(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patch_holders(
        monkeypatch,
        f"""
import os
flush, log = os.fdatasync, os.open({str(place / "flushes")!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def counted(fd):
    os.write(log, b".")
    flush(fd)
os.fdatasync = counted
""",
    )
    script = "import select\nfor n in range(40):\n print(n, flush=True)\n select.select([], [], [], 0.01)\ninput()"
    sandbox = opened(place)
    held = await sandbox.start(python(place, "talk", script))
    await until_said(held, b"39\n")
    await until(lambda: (place / "flushes").stat().st_size)
    assert (place / "flushes").stat().st_size < 20
    await held.close_input()
    await held.exit()
    await sandbox.close()


async def test_signals_are_as_a_fresh_process_expects_them(place: Path) -> None:
    sandbox = opened(place)
    held = await sandbox.start(
        shell(place, "signals", "grep -E 'SigBlk|SigIgn' /proc/self/status; ps -o sid=,pid= -p $$")
    )
    *masks, sid, pid = (await heard(held)).split()
    assert [mask for mask in masks if mask.strip(b"0")] == [b"SigBlk:", b"SigIgn:"]
    assert sid == pid
    await sandbox.close()


async def test_nothing_happens_in_a_holder_while_nothing_happens_in_its_process(place: Path) -> None:
    sandbox = opened(place)
    held = await sandbox.start(shell(place, "idle", "echo up; read x"))
    listening = asyncio.create_task(heard(held))
    await until_said(held, b"up")

    def switches() -> int:
        status = Path(f"/proc/{holder_of(held)}/status").read_text()
        return int(status.partition("voluntary_ctxt_switches:")[2].split()[0])

    meanwhile = [await sandbox.start(shell(place, f"nap{n}", "sleep 0.3")) for n in range(2)]
    await meanwhile[0].exit()  # what was due after the last output is done
    before = switches()
    await (await sandbox.start(shell(place, "nap", "sleep 0.5"))).exit()
    assert switches() - before <= 1
    await held.close_input()
    assert await listening == b"up\n"
    await meanwhile[1].exit()
    await sandbox.close()
