"""Tier 1: what a session without namespaces cannot reach, what it can, and how it ends."""

import asyncio
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from claude_cli import program
from heddle.adapters.sandbox import machine, policy, zygote
from heddle.adapters.sandbox.landlock import Landlock
from heddle.core.errors import OutsideError, Refused
from heddle.core.session import Send
from heddle.holder import landlock
from heddle.ports import Command, Held, Mount
from modelserver import ModelServer, Read, Shell, Turn, Write
from support.ground import Ground
from support.reaches import REACHES, RUN, by_the_person, targets, unproven

pytestmark = pytest.mark.asyncio

DEADLINE_S = 20.0
LOOPBACK = "127.0.0.1"


@pytest.fixture
def runtime() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="hl-") as folder:
        path = Path(folder) / "r"
        path.mkdir(mode=0o700)
        yield path


@pytest_asyncio.fixture
async def ground(tmp_path: Path, runtime: Path) -> AsyncIterator[Ground]:
    made = Ground(tmp_path, runtime)
    yield made
    await made.close()


@pytest.fixture
def sandbox(ground: Ground) -> Landlock:
    return ground.open()


def shell(ground: Ground, key: str, script: str, **more: object) -> Command:
    return ground.command(key, "sh", "-c", script, **more)


def python(ground: Ground, key: str, script: str, *args: str, **more: object) -> Command:
    return ground.command(key, sys.executable, "-I", "-S", "-c", script, *args, **more)


async def heard(held: Held) -> str:
    return b"".join([chunk.data async for chunk in held.output()]).decode()


async def first(held: Held) -> bytes:
    async for chunk in held.output():
        return chunk.data
    raise AssertionError(held.load_errors())


async def until(claim: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not claim():
            await asyncio.sleep(0.01)


def patch_holders(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr(zygote, "ENTRY", f"import sys\nsys.path.append(sys.argv[2])\n{code}\n{zygote.ENTRY}")


# ------------------------------------------------------------------------------------------------------- no way out


async def test_x2_no_way_leads_out_of_a_session(ground: Ground, sandbox: Landlock, runtime: Path) -> None:
    """Each way is open to the person, and to no session: with ports of its own, without, and for a short command."""
    other = await sandbox.start_in(ground.view("t2"), python(ground, "other", "open('kept', 'w')", view="t2"))
    assert (await other.exit()).ok, other.load_errors()
    with targets(runtime) as aims:
        own = {"secret": ground.secret, "work": ground.work, "home": ground.home, "shown": ground.shown}
        own |= {"given": ground.shown / "given.txt", "other": ground.own("t2") / "tree" / "kept"}
        own |= {"spec": other.folder.spec, "moved": ground.home / "moved", "removed": ground.home / "removed"}
        told = json.dumps([aims | {name: str(path) for name, path in own.items()}, REACHES]).encode() + b"\n"
        for name in ("moved", "removed"):
            (ground.home / name).touch()
        results = []
        for key, ports in (("with", (aims["own"],)), ("without", ())):
            held = await sandbox.start_in(ground.view(), python(ground, key, RUN, ports=ports))
            await held.send(Send("ways", told))
            assert (await held.exit()).ok, held.load_errors()
            results.append(held.load_output())
        argv = (sys.executable, "-I", "-S", "-c", f"import os; os.chdir({str(ground.own() / 'tree')!r})\n{RUN}")
        results.append((await sandbox.run_in(ground.view(), argv, stdin=told)).out)
        for result in results:
            assert [name for name, word in json.loads(result).items() if word == "through"] == []
        assert ground.work.read_text() == "the person's own\n"
        (control := ground.folder / "control").mkdir()
        free = by_the_person(told, control)
    assert {name for name, word in free.items() if word != "through"} <= unproven(), "the sandbox alone is the reason"


INSIDE = """
import subprocess, sys
def reads(path):
    try:
        return len(open(path).read()) > 0
    except PermissionError:
        return "refused"
secret, source = sys.argv[1:]
child = [sys.executable, "-I", "-S", "-c", "import sys; open(sys.argv[1])"]
for path in ("/etc/passwd", secret):
    print(reads(path), subprocess.run([*child, path], stderr=subprocess.DEVNULL, start_new_session=True).returncode)
sys.path.append(source)
from heddle.holder import landlock
for rule in (("write", "/"), ("read", "/proc")):
    landlock.restrict([rule])
    print(reads("/etc/passwd"), reads(secret))
"""


async def test_what_a_session_starts_is_enclosed_too_and_can_only_enclose_itself_further(
    ground: Ground, sandbox: Landlock
) -> None:
    command = python(ground, "k", INSIDE, str(ground.secret), policy.own_places()[-1])
    told = (await heard(await sandbox.start_in(ground.view(), command))).splitlines()
    assert told == ["True 0", "refused 1", "True refused", "refused refused"]


async def test_no_right_is_left(ground: Ground, sandbox: Landlock) -> None:
    told = dict(line.split(":\t") for line in (await ground.run(sandbox, "cat /proc/self/status")).splitlines())
    assert {name: int(told[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == dict.fromkeys(
        ("CapInh", "CapPrm", "CapEff", "CapAmb"), 0
    )
    assert (told["NoNewPrivs"], told["Seccomp"]) == ("1", "2")
    refused = "unshare -U true || unshare -m true || mount -t tmpfs none . || echo refused"
    assert (await ground.run(sandbox, f"({refused}) 2>/dev/null")).strip() == "refused"


async def test_the_system_is_shown_without_its_secrets(ground: Ground, sandbox: Landlock) -> None:
    said = await ground.run(
        sandbox, "cat /etc/passwd | head -c 5; for p in /etc /usr /opt; do touch $p/x || echo no; done"
    )
    assert said == "root:no\nno\nno\n"
    hidden = [path for path in policy.HIDDEN if os.path.exists(path)]
    assert hidden
    shown = [path for kind, path in policy.rules(ground.view(), ground.environment)]
    for path in hidden:
        assert not any(policy.lies_in(path, other) for other in shown), path
        assert "refused" in await ground.run(sandbox, f"cat {path}/* {path} 2>/dev/null || echo refused")


async def test_a_place_with_something_hidden_below_it_is_named_entry_by_entry(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = ground.folder / "etc"
    for name in ("shadow", "hosts", "ssh/key", "ssl/certs/a", "ssl/private/key", "app/conf"):
        (system / name).parent.mkdir(parents=True, exist_ok=True)
        (system / name).touch()
    (system / "link").symlink_to(ground.secret)
    monkeypatch.setattr(policy, "SYSTEM", (str(system), str(ground.folder / "absent")))
    monkeypatch.setattr(policy, "LINKED", ())
    monkeypatch.setattr(
        policy, "HIDDEN", tuple(f"{system}/{name}" for name in ("shadow", "ssh", "ssl/private", "gone"))
    )
    named = {path for _, path in policy.rules(ground.view(), ground.environment) if policy.lies_in(path, str(system))}
    assert named == {f"{system}/{name}" for name in ("app", "hosts", "ssl/certs")}


async def test_limits_hold_and_leave_room_for_the_person(ground: Ground, sandbox: Landlock) -> None:
    script = (
        "import resource as r; print(*(r.getrlimit(k)[1] for k in (r.RLIMIT_FSIZE, r.RLIMIT_CORE, r.RLIMIT_NOFILE)))"
    )
    held = await sandbox.start_in(
        ground.view(), python(ground, "k", f"{script}; print(r.getrlimit(r.RLIMIT_NPROC)[1])")
    )
    sizes, tasks = (await heard(held)).splitlines()
    assert sizes == f"{1 << 30} 0 16384"
    assert policy.TASKS < int(tasks) < 10 * policy.TASKS
    large = await sandbox.start_in(ground.view(), shell(ground, "large", "exec truncate -s 1100M file"))
    assert (await large.exit()).signal == signal.SIGXFSZ


# -------------------------------------------------------------------------------------------------- room to work in


async def test_a_session_works_in_what_it_is_given(ground: Ground, sandbox: Landlock) -> None:
    script = f"""
    mkdir -p a b; echo x > a/file; mv a/file b/moved; ln -s moved b/link; ln b/moved b/hard; mkfifo pipe; chmod 750 b
    printf '#!/bin/sh\\necho ran\\n' > tool; chmod +x tool; ./tool; cat b/link
    : > emptied; truncate -s 3 emptied; rm -r a
    echo gone > /dev/null; head -c 3 /dev/zero | wc -c; echo told > /dev/stderr
    cat {ground.shown}/given.txt; echo mine > ~/kept; cd; pwd; mktemp
    (sleep 60 & kill $!; wait) && sh -c 'kill -9 $$' || echo killed; ps -p 1 -o pid= | tr -d ' '
    """
    said = (await ground.run(sandbox, script)).split()
    home = f"{ground.own()}/home"
    assert said[:5] == ["ran", "x", "3", "given", home]
    assert said[5].startswith(f"{home}/.tmp/")
    assert said[6:] == ["killed", "1"]
    assert (ground.own() / "home" / "kept").read_text() == "mine\n"


async def test_git_works_and_what_it_made_is_fetched_over_the_bridge(ground: Ground, sandbox: Landlock) -> None:
    make = "git init -qb main .; git config gc.auto 0; echo x > x; git add x; git -c user.name=a -c user.email=a@b commit -qm c"
    await ground.run(sandbox, f"{make}; git gc -q; git stash list; git rev-parse HEAD")
    bridge = shlex.join((*await sandbox.bridge(ground.view()), "git", "upload-pack"))
    host = ground.folder / "host"
    fetch = (
        "git",
        "-C",
        str(host),
        "fetch",
        "-q",
        f"--upload-pack={bridge}",
        str(ground.own() / "tree" / ".git"),
        "main:got",
    )
    for argv in (("git", "init", "-q", str(host)), fetch):
        done = await asyncio.to_thread(subprocess.run, argv, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
    assert (host / ".git/refs/heads/got").exists()


async def test_what_git_is_told_to_run_by_a_session_is_enclosed(ground: Ground, sandbox: Landlock) -> None:
    """A session's own configuration has git run a program when Heddle reads it."""
    script = ground.own() / "tree" / "hook"
    await ground.run(
        sandbox, "git init -qb main .; git config uploadpack.packObjectsHook ./hook; git config core.fsmonitor ./hook"
    )
    script.write_text(f"#!/bin/sh\ncat {ground.secret} > stolen || echo refused > said\nexit 1\n")
    script.chmod(0o755)
    await ground.run(sandbox, "git status >/dev/null 2>&1 || true")
    assert (ground.own() / "tree" / "said").read_text() == "refused\n"
    assert (ground.own() / "tree" / "stolen").read_text() == ""


async def test_a_link_that_a_session_put_in_the_way_leads_no_rule_astray(ground: Ground, sandbox: Landlock) -> None:
    """Each is a place that the next process of the view gets by name."""
    inner = ground.own() / "tree" / "inner"
    await ground.run(sandbox, f"rm -rf ~/.tmp; ln -s {ground.home} ~/.tmp; ln -s {ground.home} inner")
    nested = [Mount(kind, str(inner), source=str(inner)) for kind in ("read", "write")]  # type: ignore[arg-type]
    for mount in nested:
        said = await ground.run(
            sandbox, "cat inner/.ssh/* || cat $TMPDIR/.ssh/* || echo no", view=ground.view("t1", mount)
        )
        assert said == "no\n"
    outer = ground.folder / "outer"
    outer.symlink_to(ground.home)
    view = ground.view("t1", Mount("write", str(outer), source=str(outer)))
    with pytest.raises(Refused, match="link"):
        await sandbox.start_in(view, shell(ground, "never", "cat .ssh/*"))


async def test_what_rules_over_files_do_not_govern_is_as_the_documents_say(ground: Ground, sandbox: Landlock) -> None:
    """Names, sizes, and the modes and times of one's own files: SECURITY.md tells them. A change here belongs there."""
    said = await ground.run(
        sandbox, f"stat -c %s {ground.secret}; chmod 640 {ground.work} && touch -c -d 2001-01-01 {ground.home}"
    )
    assert said == "12\n"
    assert ground.work.stat().st_mode & 0o777 == 0o640


@pytest.mark.needs("claude")
async def test_claude_code_works_in_it(ground: Ground, model_server: ModelServer) -> None:
    """Its model is reached over a forward; its tools read, write, run and commit, and reach nothing of the person's."""
    steal = f"cat {ground.secret} > stolen || echo refused > said; git add -A; git -c user.name=a -c user.email=a@b commit -qm c"
    turns = (
        Turn("", [Write("new.txt", "new\n")]),
        Turn("", [Read("new.txt")]),
        Turn("", [Shell(steal)]),
        Turn("Done."),
    )
    model_server.play("enclosed", *turns)
    sandbox = ground.open(program())
    await ground.run(sandbox, "git init -qb main .")
    argv = (program(), "-p", "[[scn:enclosed]] go", "--output-format=json", "--permission-mode=bypassPermissions")
    env = {
        "ANTHROPIC_BASE_URL": model_server.url,
        "ANTHROPIC_API_KEY": "test",
        "IS_SANDBOX": "1",
        "DISABLE_AUTOUPDATER": "1",
    }
    forwards = (model_server.url.removeprefix("http://"),)
    held = await sandbox.start_in(ground.view(), ground.command("claude", *argv, env=env, forwards=forwards))
    await held.close_input()
    ended = await held.exit()
    assert ended.ok, (ended, held.load_output(), held.load_errors())
    assert json.loads(held.load_output())["result"] == "Done."
    said = await ground.run(sandbox, "git show --stat --format= HEAD; cat new.txt said")
    assert said.endswith("new\nrefused\n")
    assert "new.txt" in said


# -------------------------------------------------------------------------------------------------------- the network


NEAR = """
from heddle.holder import egress
egress.is_public = lambda address: address == "127.0.0.1"
egress.Egress.__init__.__defaults__ = (lambda host, port: ["127.0.0.1"],)
"""
"""The one address of this machine counts as one of the internet."""

ASK = """
import base64, http.client, os, sys, urllib.parse
def asked(secret, host, port):
    proxy = urllib.parse.urlsplit(os.environ["HTTPS_PROXY"])
    client = http.client.HTTPConnection(proxy.hostname, proxy.port, timeout=20)
    login = base64.b64encode(f"{proxy.username}:{secret or proxy.password}".encode()).decode()
    client.set_tunnel(host, port, {"Proxy-Authorization": f"Basic {login}"} if secret != "none" else {})
    try:
        client.request("GET", "/")
        return client.getresponse().read().decode()
    except OSError as error:
        return str(error)
for secret, host, port in (word.split(",") for word in sys.argv[1:]):
    print(asked(secret, host, int(port)))
"""


class Service:
    """A service of this machine that greets, and counts who came."""

    def __init__(self) -> None:
        self.listener = socket.create_server((LOOPBACK, 0))
        self.port = int(self.listener.getsockname()[1])
        self.callers = 0

    async def serve(self) -> None:
        server = await asyncio.start_server(self._greet, sock=self.listener)
        async with server:
            await server.serve_forever()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.callers += 1
        await reader.readline()
        writer.write(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        await writer.drain()
        writer.close()


@pytest_asyncio.fixture
async def service() -> AsyncIterator[Service]:
    made = Service()
    serving = asyncio.create_task(made.serve())
    yield made
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


async def test_the_proxy_leads_to_the_hosts_that_were_named_and_to_no_other(
    ground: Ground, sandbox: Landlock, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    patch_holders(monkeypatch, NEAR)
    asks = (f",api.example,{service.port}", f",evil.example,{service.port}", f",{LOOPBACK},{service.port}")
    command = python(ground, "k", ASK, *asks, hosts=(f"api.example:{service.port}",))
    good, *bad = (await heard(await sandbox.start_in(ground.view(), command))).splitlines()
    assert good == "hello"
    assert len(bad) == 2
    assert all("403" in answer for answer in bad)
    assert service.callers == 1


async def test_who_does_not_know_the_secret_is_told_nothing_by_the_proxy(
    ground: Ground, sandbox: Landlock, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody on this machine can connect to it."""
    patch_holders(monkeypatch, NEAR)
    command = shell(ground, "k", "echo $HTTPS_PROXY; read x", hosts=(f"api.example:{service.port}",))
    held = await sandbox.start_in(ground.view(), command)
    url = (await first(held)).decode().strip()
    asks = [
        f"{secret},{host},{service.port}" for secret in ("none", "wrong") for host in ("api.example", "evil.example")
    ]
    argv = (sys.executable, "-I", "-S", "-c", ASK, *asks, f",api.example,{service.port}")
    done = await asyncio.to_thread(subprocess.run, argv, env={"HTTPS_PROXY": url}, capture_output=True, text=True)
    *refused, good = done.stdout.splitlines()
    assert [("407" in answer, "secret" in answer or "Authentication" in answer) for answer in refused] == [
        (True, True)
    ] * 4
    assert good == "hello"
    assert service.callers == 1


async def test_each_session_has_a_secret_of_its_own(ground: Ground, sandbox: Landlock) -> None:
    keys = ("a", "b")
    helds = [
        await sandbox.start_in(ground.view(key), shell(ground, key, "echo $HTTPS_PROXY", view=key, hosts=("x.y:1",)))
        for key in keys
    ]
    urls = [await heard(held) for held in helds]
    assert len({url.partition("@")[0] for url in urls}) == 2
    checked = await sandbox.start_in(ground.view(), shell(ground, "check", "env"))
    assert "PROXY" not in await heard(checked)


TALK = """
import socket, sys
for port in map(int, sys.argv[1:]):
    try:
        with socket.create_connection(("127.0.0.1", port), 20) as client:
            client.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
            print(client.recv(8).decode())
    except OSError as error:
        print(type(error).__name__)
"""


async def test_a_forward_leads_to_the_service_that_was_named_and_to_no_other(
    ground: Ground, sandbox: Landlock, service: Service
) -> None:
    with socket.create_server((LOOPBACK, 0)) as other:
        asks = (str(service.port), str(other.getsockname()[1]))
        command = python(ground, "k", TALK, *asks, forwards=(f"{LOOPBACK}:{service.port}",))
        assert await heard(await sandbox.start_in(ground.view(), command)) == "HTTP/1.0\nPermissionError\n"
        command = python(ground, "without", TALK, *asks)
        assert await heard(await sandbox.start_in(ground.view(), command)) == "PermissionError\nPermissionError\n"


SERVE = """
import http.server, socketserver, sys, threading
handler = http.server.BaseHTTPRequestHandler
handler.do_GET = lambda self: (self.send_response(200), self.end_headers(), self.wfile.write(b"here"))
handler.log_message = lambda *_: None
server = socketserver.TCPServer(("0.0.0.0", int(sys.argv[1])), handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.socket.getsockopt(1, 25, 16).rstrip(b"\\0").decode(), flush=True)
"""


async def test_a_session_serves_on_its_own_ports_to_itself_and_to_this_machine_alone(
    ground: Ground, sandbox: Landlock
) -> None:
    with socket.create_server((LOOPBACK, 0)) as free:
        port = int(free.getsockname()[1])
    ask = f"import urllib.request\nprint(urllib.request.urlopen('http://127.0.0.1:{port}/').read(), flush=True)"
    command = python(ground, "k", f"{SERVE}\n{ask}\nsys.stdin.read()", str(port), ports=(port,))
    held = await sandbox.start_in(ground.view(), command)
    await until(lambda: held.load_output().count(b"\n") == 2)
    assert held.load_output() == b"lo\nb'here'\n", "it hears what comes over the loopback device alone"
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    assert (await reader.read()).endswith(b"here")
    writer.close()
    stranger = python(ground, "stranger", TALK, str(port), view="t2", ports=(port + 1,))
    assert await heard(await sandbox.start_in(ground.view("t2"), stranger)) == "PermissionError\n"


ODD = """
import ctypes, os, socket, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
number = {"x86_64": 41, "aarch64": 198}[os.uname().machine]
for words in ((0xDEAD << 32 | 2, 1, 0), (2, 0xBEEF << 32 | 1, 0xBEEF << 32 | 6), (2, 1 | 1 << 31, 0), (10, 0x7FFFFFF1, 6)):
    fd = libc.syscall(ctypes.c_long(number), *(ctypes.c_ulong(word) for word in words))
    print(fd >= 0 or ctypes.get_errno())
def many():
    for _ in range(200):
        socket.socket().close()
for thread in (threads := [threading.Thread(target=many) for _ in range(8)]):
    thread.start()
for thread in threads:
    thread.join()
kept = socket.socket(type=socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
print(os.get_inheritable(kept.fileno()), kept.getblocking(), socket.socket(socket.AF_INET6).family == socket.AF_INET6)
"""


async def test_sockets_are_made_for_every_thread_and_odd_requests_harm_nobody(
    ground: Ground, sandbox: Landlock
) -> None:
    held = await sandbox.start_in(ground.view(), python(ground, "k", ODD, ports=(1,)))
    ended = await held.exit()
    assert ended.ok, (ended, held.load_errors())
    *odd, last = held.load_output().decode().splitlines()
    assert odd[:2] == ["True", "True"], "the kernel looks at the lower halves, and so does the holder"
    assert last == "False False True"


# -------------------------------------------------------------------------------------------------------- every end


HIDING = """
import os, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
def live(bare):
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        open("pids", "a").write(f"{os.getpid()}\\n")
        if bare:
            os.execve("/bin/sleep", ["sleep", "300"], {})
        while True:
            signal.pause()
for bare in (True, False):
    live(bare)
open("pids", "a").write(f"{os.getpid()}\\n")
while len(open("pids").readlines()) < 3:
    pass
print("up", flush=True)
while True:
    signal.pause()
"""
"""Leaves processes in sessions of their own, one without an environment, none of which heeds a SIGTERM."""


def alive(ground: Ground, key: str = "t1") -> list[int]:
    pids = [int(pid) for pid in (ground.own(key) / "tree" / "pids").read_text().split()]
    assert len(pids) >= 3
    stats = (Path(f"/proc/{pid}/stat") for pid in pids)
    return [pid for pid, stat in zip(pids, stats, strict=True) if stat.exists() and ") Z " not in stat.read_text()]


async def test_d4_a_stop_leaves_nothing_of_a_confined_process(ground: Ground, sandbox: Landlock) -> None:
    held = await sandbox.start_in(ground.view(), python(ground, "k", HIDING, hosts=("x.y:1",)))
    assert await first(held) == b"up\n"
    assert len(alive(ground)) == 3
    await held.stop(0.05)
    assert alive(ground) == []


async def test_closing_ends_all_of_the_view_and_nothing_of_another(ground: Ground, sandbox: Landlock) -> None:
    helds = {
        key: await sandbox.start_in(ground.view(key), python(ground, f"{key}.a", HIDING, view=key))
        for key in ("t1", "t2")
    }
    second = await sandbox.start_in(ground.view(), shell(ground, "t1.b", "echo up; exec sleep 300"))
    for held in (*helds.values(), second):
        assert await first(held) == b"up\n"
    visiting = asyncio.create_task(
        sandbox.run_in(ground.view(), ("sh", "-c", f"touch {ground.own()}/tree/visit; exec sleep 300"))
    )
    await until((ground.own() / "tree" / "visit").exists)
    await ground.open().close_box("t1")  # as the next daemon would
    assert (await second.exit()).why == "stopped"
    assert alive(ground) == []
    assert (await visiting).status == -signal.SIGKILL
    assert len(alive(ground, "t2")) == 3
    await sandbox.close_box("t1")
    assert await ground.run(sandbox, "echo again") == "again\n"


async def test_a_short_command_leaves_nothing_whether_it_ends_or_is_ended(ground: Ground, sandbox: Landlock) -> None:
    leaving = HIDING.replace('print("up", flush=True)', "os.kill(os.getpid(), 9)")
    tree = str(ground.own() / "tree")
    argv = (sys.executable, "-I", "-S", "-c", f"import os; os.chdir({tree!r})\n{leaving}")
    assert (await sandbox.run_in(ground.view(), argv)).status == -signal.SIGKILL
    assert alive(ground) == []
    flood = (*argv[:4], argv[4].replace("os.kill(os.getpid(), 9)", "os.system('yes 2>/dev/null; exec sleep 300')"))
    with pytest.raises(OutsideError) as caught:
        await sandbox.run_in(ground.view(), flood, limit=100_000)
    assert caught.value.slug == "output-limit"
    assert alive(ground) == []
    cancelled = asyncio.create_task(
        sandbox.run_in(ground.view(), (*argv[:4], argv[4].replace("os.kill(os.getpid(), 9)", "open('on', 'w')")))
    )
    await until((ground.own() / "tree" / "on").exists)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert alive(ground) == []


async def test_a_bridge_that_is_asked_to_end_leaves_nothing(ground: Ground, sandbox: Landlock) -> None:
    bridge = await sandbox.bridge(ground.view())
    argv = (*bridge, sys.executable, "-I", "-S", "-c", f"import os; os.chdir({str(ground.own() / 'tree')!r})\n{HIDING}")
    process = subprocess.Popen(argv, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert await asyncio.to_thread(process.stdout.readline) == b"up\n"
    process.terminate()
    assert await asyncio.to_thread(process.wait) == 128 + signal.SIGTERM
    process.stdout.close()
    assert alive(ground) == []


async def test_no_confined_process_lives_without_its_holder(ground: Ground, sandbox: Landlock) -> None:
    held = await sandbox.start_in(ground.view(), python(ground, "k", HIDING.replace("(True, False)", "(False, False)")))
    assert await first(held) == b"up\n"
    started = held.folder.load(held.folder.started)
    assert started is not None
    os.kill(started["holder"], signal.SIGKILL)
    assert (await held.exit()).why == "holder-lost"
    await until(lambda: alive(ground) == [])


async def test_a_key_is_started_once_and_found_by_the_next_daemon(ground: Ground, sandbox: Landlock) -> None:
    command = shell(ground, "once", "echo run >> ran; echo up; cat")
    await first(await sandbox.start_in(ground.view(), command))
    again = await ground.open().start_in(ground.view(), command)
    assert await again.send(Send("1", b"heard\n"))
    await again.close_input()
    assert await heard(again) == "up\nheard\n"
    assert (ground.own() / "tree" / "ran").read_text() == "run\n"
    assert await (await ground.open().start(command)).exit() == again.ended()


# ------------------------------------------------------------------------------------------- what a machine lacks (D2)


OLDER = "from heddle.holder import landlock\nlandlock.abi = lambda: {version}"
NO_LANDLOCK = """
from heddle.holder import landlock
def absent():
    raise OSError(95, "landlock: Operation not supported")
landlock.abi = absent
"""


def speak(monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    """A kernel of that version: it governs no more than that version knows."""
    patch_holders(monkeypatch, OLDER.format(version=version))
    monkeypatch.setattr(landlock, "abi", lambda: version)
    program = f"import sys\nsys.path.append(sys.argv[1])\n{OLDER.format(version=version)}\n{machine.TRIAL}"
    monkeypatch.setattr(machine, "TRIAL", program)


@pytest.mark.parametrize("version", [3, 4, 5, 6])
async def test_older_kernels_keep_files_apart_too(
    ground: Ground, sandbox: Landlock, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    speak(monkeypatch, version)
    script = (
        f"cat {ground.secret} || echo no; echo x > {ground.work} || echo no; mkdir a b; echo x > a/x; mv a/x b; cat b/x"
    )
    held = await sandbox.start_in(ground.view(), shell(ground, "k", script, ports=(20_000,)))
    assert await heard(held) == "no\nno\nx\n"
    hosts = shell(ground, "hosts", "echo $HTTPS_PROXY", hosts=("api.example:443",))
    told, why = await machine.try_landlock(ground.folder / "probe")
    assert told == version
    if version < landlock.PORTS:
        assert "version 3 knows no network" in why
        with pytest.raises(Refused, match="which knows no network") as caught:
            await sandbox.start_in(ground.view(), hosts)
        assert caught.value.slug == "sandbox-unavailable"
        assert await sandbox.find("hosts") is None
    else:
        assert why == ""
        assert "@127.0.0.1:" in await heard(await sandbox.start_in(ground.view(), hosts))


async def test_d2_what_cannot_be_confined_does_not_start(
    ground: Ground, sandbox: Landlock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found out before the start, or on the way: nothing of it runs."""
    touch = f"touch {ground.own()}/tree/ran"
    overlay = Mount("overlay", "/x", lower=("/usr",), upper="/u", work="/w")
    elsewhere = Mount("read", "/heddle/objects", source=str(ground.shown))
    missing = Mount("read", "/no/such/folder", source="/no/such/folder")
    for mount, slug in (
        (overlay, "sandbox-needs-view"),
        (elsewhere, "sandbox-needs-view"),
        (missing, "sandbox-unavailable"),
    ):
        view = ground.view("t1", mount)
        for asking in (
            sandbox.start_in(view, shell(ground, "k", touch)),
            sandbox.run_in(view, ("sh", "-c", touch)),
            sandbox.bridge(view),
        ):
            with pytest.raises(Refused) as caught:
                await asking
            assert caught.value.slug == slug
    with pytest.raises(Refused, match="no view"):
        await sandbox.start(shell(ground, "k", touch))
    assert await sandbox.find("k") is None
    patch_holders(monkeypatch, NO_LANDLOCK)
    with pytest.raises(Refused, match="Operation not supported") as caught:
        await ground.open().start_in(ground.view(), shell(ground, "late", touch))
    assert caught.value.slug == "sandbox-unavailable"

    def absent() -> int:
        raise OSError(95, "landlock: Operation not supported")

    monkeypatch.setattr(landlock, "abi", absent)
    with pytest.raises(Refused, match="Operation not supported"):
        await sandbox.start_in(ground.view(), shell(ground, "early", touch))
    assert await sandbox.find("early") is None
    assert not (ground.own() / "tree" / "ran").exists()


async def test_a_machine_is_tried_and_tells_what_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await machine.try_landlock(tmp_path) == (landlock.abi(), "")
    found = {one.what: one for one in await machine.findings(1, tmp_path, os.environ, policy.NOTHING)}
    assert "tier 1 (landlock)" in found["sandbox"].detail
    assert found["landlock"].ok
    assert "against a box it lacks" in found["landlock"].detail
    monkeypatch.setattr(machine, "TRIAL", f"import sys\nsys.path.append(sys.argv[1])\n{NO_LANDLOCK}\n{machine.TRIAL}")
    version, why = await machine.try_landlock(tmp_path)
    assert version == 0
    assert "Operation not supported; it needs Linux 6.7 or newer" in why
    lacking = {one.what: one for one in await machine.findings(0, tmp_path, os.environ, policy.NOTHING)}
    assert not lacking["landlock"].ok
    boxed = {one.what: one for one in await machine.findings(2, tmp_path, os.environ, policy.NOTHING)}
    assert boxed["landlock"].ok, "what a box makes needless is no fault"


async def test_auto_takes_the_best_and_what_was_asked_for_is_never_replaced() -> None:
    assert [
        machine.tier_for("auto", box, rules) for box, rules in (("", ""), ("", "no"), ("no", ""), ("no", "no"))
    ] == [2, 2, 1, 0]
    assert [machine.tier_for(wanted, "no", "no") for wanted in ("0", "1", "2", "3")] == [0, 1, 2, 3]
