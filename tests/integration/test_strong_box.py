"""Tier 3: a list of system calls that leaves tools their work, and a control group of a box's own."""

import asyncio
import itertools
import os
import pwd
import shutil
import struct
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from heddle.adapters.sandbox import machine, policy, zygote
from heddle.adapters.sandbox.box import Box
from heddle.adapters.sandbox.strong import MB, StrongBox, unbounded
from heddle.core.errors import Refused
from heddle.holder.box import filter, groups
from support.boxes import Bench

DEADLINE_S = 20.0
ALLOW, EPERM, ENOSYS, KILL = 0x7FFF0000, 0x50001, 0x50026, 0x80000000
BOUND_MB = 96


@pytest.fixture
def runtime() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="hb-") as folder:
        path = Path(folder) / "r"
        path.mkdir(mode=0o700)
        yield path


@pytest_asyncio.fixture
async def bench(tmp_path: Path, runtime: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path, runtime)
    yield made
    await made.close()


def strong(bench: Bench, memory_mb: int = 0, **environment: str) -> StrongBox:
    told = {**bench.environment, **environment}
    bench.boxes.append(StrongBox(bench.folder / "held", bench.runtime, told, memory_mb=memory_mb))
    return bench.boxes[-1]  # type: ignore[return-value]


# ------------------------------------------------------------------------------------------------------- the filter


def verdict(code: list[bytes], number: int, *args: int, arch: int = filter._ARCH) -> int:
    """What the kernel makes of a call: the filter, run here."""
    data = struct.pack("=IIQ6Q", number, arch, 0, *args, *itertools.repeat(0, 6 - len(args)))
    held, at = 0, 0
    while True:
        operation, when_true, when_false, value = struct.unpack("=HBBI", code[at])
        at += 1
        match operation:
            case filter._LOAD:
                (held,) = struct.unpack_from("=I", data, value)
            case filter._AND:
                held &= value
            case filter._EQUAL:
                at += when_true if held == value else when_false
            case filter._AT_LEAST:
                at += when_true if held >= value else when_false
            case filter._BITS:
                at += when_true if held & value else when_false
            case _:
                return int(value)


def test_every_number_has_one_verdict_and_nothing_is_killed_for_it() -> None:
    code, denied = filter.program(strict=True), {pair[not filter._X86] for pair in filter._DENIED.values()}
    listed = set(filter.allowed().values())
    assert not listed & denied
    for number in range(1024):
        wanted = ALLOW if number in listed else EPERM if number in denied else ENOSYS
        assert verdict(code, number, 1) == wanted, number
    assert verdict(code, 0, arch=0x40000003) == KILL, "another architecture has other numbers"


def test_what_is_on_the_list_is_still_looked_into() -> None:
    code, calls = filter.program(strict=True), filter.allowed()
    assert verdict(code, calls["clone"], 0x10000000) == EPERM
    assert verdict(code, calls["clone"], 0x00000100) == ALLOW
    assert verdict(code, calls["ioctl"], 0, 0x5412) == EPERM
    assert verdict(code, calls["socket"], 40) == 0x50061
    assert verdict(code, filter._CLONE3) == ENOSYS


def test_the_list_names_each_call_once_on_each_machine() -> None:
    names, x86, arm = zip(*(word.split(":") for word in filter._ALLOWED.split()), strict=True)
    for column in (names, x86, [number for number in arm if number]):
        assert len(column) == len(set(column))
    # an older call without a number on aarch64 has a newer one that does the same there
    assert {"openat", "newfstatat", "faccessat", "pipe2", "ppoll", "clone", "unlinkat"} <= {
        name for name, number in zip(names, arm, strict=True) if number
    }


CALLS = """
import ctypes, errno, os, sys
libc = ctypes.CDLL(None, use_errno=True)
for number in map(int, sys.argv[1:]):
    result = libc.syscall(ctypes.c_long(number), 0, 0, 0, 0, 0, 0)
    print("done" if result >= 0 else errno.errorcode[ctypes.get_errno()])
"""


async def test_what_is_not_on_the_list_is_refused_and_the_process_lives(bench: Bench) -> None:
    x86 = [
        29,
        68,
        135,
        239,
        303,
        600,
        248,
        101,
        425,
    ]  # shmget, msgget, personality, get_mempolicy, name_to_handle_at, ..
    arm = [194, 186, 92, 236, 264, 600, 217, 117, 425]
    argv = (shutil.which("python3") or "python3", "-c", CALLS, *map(str, x86 if filter._X86 else arm))
    ran = await strong(bench).run_in(bench.view(), argv)
    assert ran.status == 0, ran.err
    assert ran.out.decode().split() == [*["ENOSYS"] * 6, *["EPERM"] * 3]
    known = await bench.open().run_in(bench.view("t2"), argv)
    assert known.out.decode().split()[:2] != ["ENOSYS"] * 2, "in tier 2 they are let through"


TOOLS = {
    "git": """
        git init -qb main .; echo x > x; git add x; git commit -qm c; git gc -q; git clone -q . ../copy
        git worktree add -q ../other; git merge-tree main main; git fsck --strict""",
    "python3": """
        python3 -m venv v; v/bin/pip --version
        python3 -c 'import multiprocessing, sqlite3, ssl
with multiprocessing.Pool(2) as pool: assert pool.map(abs, [-1, -2]) == [1, 2]
sqlite3.connect("x.db").execute("create table a(b)")'""",
    "node": """
        node -e 'const {Worker} = require("worker_threads"), http = require("http");
            new Worker("require(`worker_threads`).parentPort.postMessage(1)", {eval: true}).on("message", () => {
                require("child_process").execSync("true");
                http.createServer((asked, answer) => answer.end("x")).listen(3000, () =>
                    http.get("http://127.0.0.1:3000", () => process.exit(0)))})'""",
    "npm": "mkdir n; cd n; npm init -y; npm pack; npm install ./n-1.0.0.tgz --offline --prefix ../m",
    "gcc": """
        printf '#include <pthread.h>\nvoid *f(void *x){return x;}\nint main(){pthread_t t;pthread_create(&t,0,f,0);return pthread_join(t,0);}' > a.c
        gcc -O2 -flto -pthread -o a a.c; ./a""",
    "go": """
        printf 'module x\n\ngo 1.20\n' > go.mod
        printf 'package main\nimport ("net"; "os/exec")\nfunc main() { net.Listen("tcp", "127.0.0.1:0"); exec.Command("true").Run() }\n' > m.go
        GOCACHE=$HOME/c GOPATH=$HOME/g go build -buildvcs=false -o m .; ./m""",
    "cargo": "CARGO_HOME=$HOME/c cargo new -q --vcs none c; cd c; CARGO_HOME=$HOME/c cargo test -q --offline; CARGO_HOME=$HOME/c cargo run -q --offline",
}
NEEDED = frozenset(("git", "python3"))


@pytest.mark.parametrize("tool", TOOLS)
async def test_tools_do_their_work(bench: Bench, tool: str, record_property: Callable[[str, object], None]) -> None:
    """Those that this machine has, with the HOME of whoever has them, so that they are shown as they lie."""
    if shutil.which(tool) is None and tool not in NEEDED:
        return record_property(f"not tried in tier 3: {tool}", "it is not on this machine")
    box = strong(bench, HOME=pwd.getpwuid(os.getuid()).pw_dir)
    identity = "git config --global user.name a; git config --global user.email a@b"
    ran = await box.run_in(
        bench.view(),
        ("sh", "-ec", f"{identity}; export TMPDIR=/tmp; cd '{bench.checkout}'; mkdir w; cd w\n{TOOLS[tool]}"),
    )
    assert ran.status == 0, ran


async def test_a_strict_box_costs_no_more_than_another(bench: Bench) -> None:
    assert len(filter.program(strict=True)) < 512, "each call takes some eight comparisons of them"


# ------------------------------------------------------------------------------------------------ the control group


HOG = """
import os, sys
held = []
pid = os.fork()
if pid == 0:
    for _ in range(int(sys.argv[1])):
        held.append(b"x" * (1 << 20))
    os._exit(0)
print(os.waitpid(pid, 0)[1])
"""


def hog(mb: int) -> tuple[str, ...]:
    return (shutil.which("python3") or "python3", "-c", HOG, str(mb))


def ours() -> list[str]:
    """Groups that anybody made here."""
    return [name for place in groups._places() for name in os.listdir(place.folder) if name.startswith(groups.PREFIX)]


@pytest.mark.needs("groups")
async def test_what_a_session_takes_of_memory_is_bounded_and_its_box_outlives_it(bench: Bench) -> None:
    box = strong(bench, BOUND_MB)
    assert (await box.run_in(bench.view(), hog(BOUND_MB + 32))).out == b"9\n"
    assert (await box.run_in(bench.view(), hog(BOUND_MB // 3))).out == b"0\n"
    (made,) = await box.live(boxes=True)
    assert made == "t1/box-1"
    free = await strong(bench).run_in(bench.view("t2"), hog(BOUND_MB + 32))
    assert free.out == b"0\n", "where no bound was set there is none"


@pytest.mark.needs("groups")
async def test_a_group_goes_with_its_box_and_what_a_killed_holder_left_goes_with_the_next(bench: Bench) -> None:
    box, before = strong(bench, BOUND_MB), set(ours())
    await box.run_in(bench.view(), ("true",))
    assert set(ours()) - before
    await box.close_box("t1")
    assert set(ours()) - before == set()
    left = await asyncio.create_subprocess_exec("true")
    await left.wait()
    for place in groups._places():
        os.mkdir(os.path.join(place.folder, f"{groups.PREFIX}{left.pid}-left"))
    await box.run_in(bench.view(), ("true",))
    assert not any(name.endswith("-left") for name in ours())


NO_GROUPS = """
from heddle.holder.box import groups
groups._places = lambda: []
"""


async def test_where_no_group_can_be_made_a_box_works_without_and_it_is_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zygote, "ENTRY", f"import sys\nsys.path.append(sys.argv[2])\n{NO_GROUPS}\n{zygote.ENTRY}")
    monkeypatch.setattr(groups, "_places", list)
    assert (await strong(bench, BOUND_MB).run_in(bench.view(), hog(BOUND_MB + 32))).out == b"0\n"
    assert "no control group can be made" in unbounded(BOUND_MB)
    found = {one.what: one for one in await machine.findings(3, bench.folder, os.environ, policy.NOTHING, BOUND_MB)}
    assert not found["memory limits"].ok
    assert "Delegate=yes" in found["memory limits"].detail
    weaker = {one.what: one for one in await machine.findings(2, bench.folder, os.environ, policy.NOTHING)}
    assert weaker["memory limits"].ok


@pytest.mark.needs("groups")
async def test_a_bound_that_nobody_set_is_told_too(bench: Bench) -> None:
    assert unbounded(BOUND_MB) == ""
    assert unbounded(0) == "limits.session_memory_mb is 0"
    found = {one.what: one for one in await machine.findings(3, bench.folder, os.environ, policy.NOTHING, BOUND_MB)}
    assert found["memory limits"].ok
    assert found["sandbox"].detail.startswith("tier 3")


async def test_nothing_is_begun_in_a_weaker_box_that_an_earlier_daemon_made(bench: Bench) -> None:
    weaker = bench.open()
    held = await weaker.start_in(bench.view(), bench.command("k", "exec cat"))
    box = strong(bench)
    with pytest.raises(Refused, match="tier 2"):
        await box.start_in(bench.view(), bench.command("k2", "true"))
    assert (await box.start_in(bench.view(), bench.command("k", "exec cat"))).key == "k", "what was begun is found"
    await held.stop(0)
    await weaker.close_box("t1")
    assert (await (await box.start_in(bench.view(), bench.command("k3", "true"))).exit()).ok


# A tree of files as version 2 has it, where a machine has only version 1.


def tree(folder: Path, *, controllers: str, given: str) -> Path:
    folder.mkdir()
    for name, text in (("controllers", controllers), ("subtree_control", given), ("procs", "")):
        (folder / f"cgroup.{name}").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("controllers", "given", "divides", "then"),
    [
        ("cpu memory pids", "memory pids", True, "memory pids"),
        ("cpu memory pids", "", True, "+memory +pids"),
        ("cpu memory pids", "cpu memory", True, "+pidsemory"),
        ("cpu pids", "pids", False, "pids"),
    ],
)
def test_a_folder_of_version_2_divides_what_it_has(
    tmp_path: Path, controllers: str, given: str, divides: bool, then: str
) -> None:
    """A file keeps what stood behind what is written; the kernel's does not."""
    folder = tree(tmp_path / "own", controllers=controllers, given=given)
    assert groups._divides(str(folder)) == divides
    assert (folder / "cgroup.subtree_control").read_text().startswith(then[: len("+memory +pids")]) or given == then


def test_a_bound_of_version_2_leaves_no_way_into_swap(tmp_path: Path) -> None:
    for name in ("memory.max", "memory.swap.max", "pids.max"):
        (tmp_path / name).write_text("max")
    place = groups.Hierarchy(str(tmp_path), groups.CONTROLLERS, unified=True)
    groups._limit(str(tmp_path), place, 5 * MB, 1024)
    assert [(tmp_path / name).read_text() for name in ("memory.max", "pids.max")] == [str(5 * MB), "1024"]
    assert (tmp_path / "memory.swap.max").read_text() == "0ax"


def test_a_group_is_looked_for_where_its_mount_shows_it() -> None:
    assert groups._folder("/sys/fs/cgroup", "/", "/user.slice/a") == "/sys/fs/cgroup/user.slice/a"
    assert groups._folder("/sys/fs/cgroup", "/docker/x", "/docker/x/y") == "/sys/fs/cgroup/y"
    assert groups._folder("/sys/fs/cgroup", "/docker/x", "/docker/xy") == ""
    assert groups._folder("/sys/fs/cgroup", "/", "/../outside") == ""


def test_a_weaker_tier_is_never_taken_for_a_stronger_one() -> None:
    assert (Box.tier, StrongBox.tier) == (2, 3)
