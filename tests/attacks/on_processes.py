"""Attacks on processes and terminals, and over sockets on what listens."""

import asyncio

import pytest

from attacks.attack import Attack, Verdict, patched, succeeded, told
from attacks.scene import Scene
from attacks.victims import lives, named
from heddle.adapters.sandbox import policy
from support.yard import BOUND_MB

PATIENCE_S = 60.0


def passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A box that hands the daemon's environment on."""
    monkeypatch.setattr(policy, "PASSED", policy.PASSED | {"API_KEY"})


def drowsy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A box that waits for a minder that sleeps; not for long, for the test's sake."""
    patched(monkeypatch, "import os\nfrom heddle.holder.box import entry\nos.WUNTRACED, entry.PATIENCE_S = 0, 1.0")


async def killed(scene: Scene) -> bool:
    """The person's process, or that of another session, is gone."""
    return not lives(scene.victims.person.pid) or not lives(scene.other_pid)


async def outlives(scene: Scene) -> bool:
    """The session is over, the workspace is sealed, and something of it is still there."""
    assert scene.attacker is not None
    async with asyncio.timeout(PATIENCE_S):
        await scene.attacker.exit()
        await scene.mine.seal()
    return named(scene.word) != []


async def outlives_stop(scene: Scene) -> bool:
    """It was stopped, and something that it started is still there."""
    assert scene.attacker is not None
    async with asyncio.timeout(PATIENCE_S):
        while not (scene.of(scene.mine) / "tree" / "asleep").exists() and scene.attacker.ended() is None:
            await asyncio.sleep(0.01)
        await scene.attacker.stop(0)
    return named(scene.word) != []


async def seen(scene: Scene) -> bool:
    """It stands on the person's terminal."""
    return b"pwned" in scene.terminal.seen()


def reached(*names: str) -> Verdict:
    """A listener of the host heard of it."""

    async def heard(scene: Scene) -> bool:
        return any(scene.victims.listeners[name].came for name in names)

    return heard


async def multiplex(scene: Scene) -> None:
    """The person works in a terminal multiplexer, which ends with the scene's folder (and it waits for no terminal)."""
    await _tmux(scene, "-f", "/dev/null", "new-session", "-d", "-s", "person", "cat")


async def mistaken(scene: Scene) -> bool:
    """The person's terminal multiplexer took an order."""
    said = await _tmux(scene, "show-environment", "-g")
    await _tmux(scene, "kill-server")
    return b"ORDERED=yes" in said


async def _tmux(scene: Scene, *words: str) -> bytes:
    argv = ("tmux", "-S", str(scene.folder / "mux"), *words)
    env = {**scene.yard.sample.env, "TERM": "xterm"}
    process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE, env=env)
    said, _ = await process.communicate()
    return said


LEAVE = """
(env -i PATH="$PATH" setsid "$PYTHON" -I -S -c '
import pathlib, signal
for number in (1, 2, 15):
    signal.signal(number, signal.SIG_IGN)
pathlib.Path("ready").touch()
signal.pause()' "$WORD" &)
until [ -e ready ]; do :; done
"""
"""A process that does without its marker, its session and its parent, and takes no hints."""

SPEAK = """
import socket
def speak(family, kind, address):
    with socket.socket(family, kind) as one:
        one.settimeout(2)
        one.connect(address)
        if kind == socket.SOCK_DGRAM:
            one.send(b"hello")
        print(one.recv(100).decode(), flush=True)
"""

ATTACKS = (
    Attack(
        row="15",
        name="a process that outlives its session",
        script=LEAVE + "kill -9 $PPID && exec cat",
        stays=True,
        through=outlives,
    ),
    Attack(
        row="15b",
        name="a process that outlives a stop",
        script=LEAVE + "kill -STOP $PPID; touch asleep; exec cat",
        stays=True,
        through=outlives_stop,
        control="a box that does not mind when one of its minders sleeps",
        without=drowsy,
    ),
    Attack(
        row="16",
        name="type into a terminal multiplexer",
        needs="tmux",
        prepare=multiplex,
        script="""
tmux -S "$SCENE/mux" send-keys -t person 'echo pwned' Enter
tmux -S "$SCENE/mux" set-environment -g ORDERED yes
""",
        through=mistaken,
    ),
    Attack(
        row="16b",
        name="write on a terminal",
        script='for at in "$TTY" /dev/tty /dev/console /dev/pts/[0-9]*; do [ "$at" = "$TTY" ] && echo pwned > "$at"; done',
        through=seen,
    ),
    Attack(
        row="17",
        name="call a service on loopback",
        python=True,
        script=SPEAK + 'attempt(speak, 2, 1, ("127.0.0.1", int(os.environ["LOOPBACK_PORT"])))',
        through=reached("loopback"),
    ),
    Attack(
        row="17b",
        name="sockets of Heddle's own",
        python=True,
        script="""
import glob, socket
for path in glob.glob(os.environ["RUN"] + "/*") + glob.glob("/run/**/*.[si]", recursive=True):
    if socket.socket(socket.AF_UNIX).connect_ex(path) == 0:
        print("got through", path, flush=True)
""",
        through=succeeded,
    ),
    Attack(
        row="18",
        name="an abstract socket",
        python=True,
        script=SPEAK + 'attempt(speak, 1, 1, "\\0" + os.environ["ABSTRACT"])',
        through=reached("abstract"),
    ),
    Attack(
        row="19",
        name="a socket in tmp",
        python=True,
        script=SPEAK + 'attempt(speak, 1, 1, os.environ["SOCKET"])',
        through=reached("unix"),
    ),
    Attack(
        row="20",
        passes=frozenset({1}),
        name="the environment of other processes",
        script="""
wanted = b"-".join((b"TOP", b"SECRET", b"4711"))
for pid in filter(str.isdigit, os.listdir("/proc")):
    for name in ("environ", "cmdline"):
        data = attempt(lambda path: open(path, "rb").read(), f"/proc/{pid}/{name}")
        if data and wanted in data:
            print(pid, wanted.decode(), flush=True)
""",
        python=True,
        through=told,
    ),
    Attack(
        row="21",
        name="a secret in its own environment",
        script='env; tr "\\0" "\\n" < /proc/self/environ',
        through=told,
        control="a box that hands the daemon's environment on",
        without=passed_on,
    ),
    Attack(
        row="22",
        name="kill others",
        script="kill -9 $PERSON_PID; kill -9 $OTHER_PID",
        through=killed,
    ),
    Attack(
        row="28",
        name="connect out",
        python=True,
        script=SPEAK + 'attempt(speak, 2, 1, (os.environ["ADDRESS"], int(os.environ["OUTER_PORT"])))',
        through=reached("outer"),
    ),
    Attack(
        row="28b",
        name="a datagram out",
        python=True,
        script=SPEAK + 'attempt(speak, 2, 2, (os.environ["ADDRESS"], int(os.environ["UDP_PORT"])))',
        through=reached("udp"),
    ),
    Attack(
        row="40",
        name="sockets of the person's helpers",
        python=True,
        script=SPEAK
        + """
import glob
for path in (os.environ["AGENT"], os.environ.get("SSH_AUTH_SOCK", "")):
    attempt(speak, 1, 1, path)
inside = not os.path.isdir(os.environ["SCENE"] + "/tmp")
for path in ("/run/docker.sock", "/var/run/docker.sock", "/run/dbus/system_bus_socket", "/run/user", "/run/systemd"):
    if inside and os.path.exists(path):
        print("".join(("TOP-", "SECRET-4711")), "could be reached:", path, flush=True)
""",
        through=told,
    ),
    Attack(
        row="42",
        name="take more memory than is good for all",
        passes=frozenset({1, 2}),
        kinds={3: "bounded"},
        needs="groups",
        script=f"""
child = os.fork()
if child == 0:
    held = [b"x" * (1 << 20) for _ in range({BOUND_MB} + 64)]
    os._exit(0)
if os.waitpid(child, 0)[1] == 0:
    print("got through", flush=True)
""",
        python=True,
        through=succeeded,
    ),
)
