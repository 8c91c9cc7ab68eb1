"""Attacks on the kernel: what an ordinary program never asks for."""

import os

import pytest

from attacks.attack import Attack, patched, succeeded, told
from heddle.adapters.sandbox import policy

ARM = os.uname().machine == "aarch64"


def unfiltered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A box whose filter denies nothing."""
    patched(
        monkeypatch,
        "from heddle.holder.box import filter as it\nit.program = lambda **_: [it._op(it._RETURN, it._ALLOW)]",
    )


def exposed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A box whose keepers can be looked into."""
    patched(monkeypatch, "from heddle.holder.box import kernel\nkernel.close_up = lambda: None")


def bare_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    """A box with all of /proc as the kernel shows it."""
    patched(monkeypatch, "from heddle.holder.box import rooms\nrooms.MACHINE_WIDE = rooms.TELLING = ()")


def unhidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """A box that shows all of /etc."""
    monkeypatch.setattr(policy, "hidden", tuple)


def number(x86: int, arm: int) -> int:
    """A system call on this machine."""
    return arm if ARM else x86


CALL = """
if attempt(call, {number}{args}) is not None:
    print("got through", flush=True)
"""

ATTACKS = (
    Attack(
        row="13",
        passes=frozenset({1}),
        name="more processes than anybody needs",
        python=True,
        script="""
read, write = os.pipe()
born = []
for _ in range(1400):
    pid = attempt(os.fork)
    if pid == 0:
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    if pid is None:
        break
    born.append(pid)
print("got through" if len(born) == 1400 else "stopped", len(born), flush=True)
os.close(write)
for pid in born:
    os.waitpid(pid, 0)
""",
        through=succeeded,
    ),
    Attack(
        row="23",
        name="type into a terminal",
        python=True,
        script="""
import errno, fcntl, pty, termios
pair = attempt(pty.openpty)
if pair is None:
    sys.exit()
keyboard, screen = pair
if os.fork() == 0:
    os.setsid()
    fcntl.ioctl(screen, termios.TIOCSCTTY, 0)
    for what, code in (("TIOCSTI", termios.TIOCSTI), ("TIOCLINUX", 0x541C)):
        try:
            fcntl.ioctl(screen, code, b"x")
            print("got through", what, flush=True)
        except OSError as error:
            if error.errno != errno.EPERM:
                print("got through to the kernel", what, error, flush=True)
    os._exit(0)
os.wait()
""",
        through=succeeded,
    ),
    Attack(
        row="24",
        name="namespaces of its own",
        python=True,
        script=f"""
for flag in (0x10000000, 0x00020000, 0x40000000, 0x10000000 | 0x00020000):
    if os.fork() == 0:
        if attempt(call, {number(272, 97)}, flag) is not None:
            print("got through", hex(flag), flush=True)
        os._exit(0)
    os.wait()
if os.fork() == 0:
    pid = attempt(call, {number(56, 220)}, 0x10000000 | 17, 0, 0, 0, 0)
    if pid == 0:
        print("got through by clone", flush=True)
    os._exit(0)
os.wait()
""",
        through=succeeded,
    ),
    Attack(
        row="24b",
        name="mounts of its own",
        python=True,
        script=f"""
os.makedirs("made/here", exist_ok=True)
if attempt(call, {number(272, 97)}, 0x10000000 | 0x00020000) is not None:
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {{os.getuid()}} 1"), ("gid_map", f"0 {{os.getgid()}} 1")):
        attempt(open(f"/proc/self/{{name}}", "w").write, text)
if attempt(call, {number(165, 40)}, b"none", b"made/here", b"tmpfs", 0, b"") is not None:
    print("got through", flush=True)
""",
        through=succeeded,
        control="a box without the filter",
        without=unfiltered,
    ),
    Attack(
        row="25",
        name="the kernel's keyring",
        python=True,
        script=CALL.format(number=number(248, 217), args=", b'user', b'heddle-attack', b'x', 1, -2"),
        through=succeeded,
    ),
    Attack(
        row="26",
        name="io_uring",
        python=True,
        script=CALL.format(number=number(425, 425), args=", 4, ctypes.create_string_buffer(120)"),
        through=succeeded,
    ),
    Attack(
        row="27",
        name="ptrace of a process of its own",
        python=True,
        script=f"""
import signal
child = os.fork()
if child == 0:
    signal.pause()
if attempt(call, {number(101, 117)}, 16, child, 0, 0) is not None:
    print("got through", flush=True)
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
""",
        through=succeeded,
    ),
    Attack(
        row="29",
        name="walk out through proc",
        python=True,
        script="""
import glob
def look(path):
    with open(path, "rb") as file:
        return file.read(100)
for name in ("root", "cwd", "fd/*"):
    for place in glob.glob(f"/proc/[0-9]*/{name}"):
        for way in ("", "/../..", "/../../..", "/../../../../.."):
            found = attempt(look, f"{place}{way}{os.environ['PERSON']}/.netrc")
            if found:
                print(found.decode(), flush=True)
                sys.exit()
""",
        through=told,
    ),
    Attack(
        row="29b",
        name="the memory and descriptors of its keepers",
        python=True,
        script="""
for pid in (1, os.getppid(), *(int(name) for name in os.listdir("/proc") if name.isdigit())):
    try:
        words = open(f"/proc/{pid}/cmdline", "rb").read()
    except OSError:
        continue
    if pid in (os.getpid(), os.getppid()) or b"heddle" not in words:
        continue
    for what in (f"/proc/{pid}/mem", f"/proc/{pid}/fd/0", f"/proc/{pid}/fd/3", f"/proc/{pid}/root/"):
        if attempt(os.open, what, os.O_RDONLY) is not None:
            print("got through", what, words, flush=True)
""",
        through=succeeded,
        control="a box whose keepers can be looked into",
        without=exposed,
    ),
    Attack(
        row="30",
        name="the kernel's settings",
        python=True,
        script="""
names = "kernel/core_pattern kernel/modprobe kernel/randomize_va_space kernel/hotplug vm/overcommit_memory"
names += " fs/protected_symlinks fs/suid_dumpable kernel/dmesg_restrict kernel/panic fs/binfmt_misc/register"
for name in names.split():
    if attempt(os.open, f"/proc/sys/{name}", os.O_WRONLY) is not None:
        print("got through", name, flush=True)
for name in ("/proc/sysrq-trigger", "/proc/kcore", "/proc/kmsg", "/sys/kernel/mm", "/sys/power/state"):
    if attempt(os.open, name, os.O_WRONLY if "sys" in name else os.O_RDONLY) is not None:
        print("got through", name, flush=True)
""",
        through=succeeded,
        control="a box with all of /proc as the kernel shows it",
        without=bare_proc,
        root=True,
    ),
    Attack(
        row="30b",
        name="files of the administrator's",
        python=True,
        script="""
import stat
for folder, _, names in os.walk("/etc"):
    for path in (os.path.join(folder, name) for name in names):
        about = os.lstat(path)
        if stat.S_ISREG(about.st_mode) and not about.st_mode & 0o044:
            if attempt(open, path, "rb") is not None:
                print("got through", path, flush=True)
""",
        through=succeeded,
        control="a box that shows all of /etc",
        without=unhidden,
        root=True,
    ),
    Attack(
        row="30c",
        passes=frozenset({1}),
        name="folders of the system's",
        python=True,
        script="""
for name in ("/", "/usr", "/usr/bin", "/etc", "/opt", "/dev", "/lib", "/sys", "/boot", "/root"):
    if os.access(name, os.W_OK):
        print("got through", name, flush=True)
""",
        through=succeeded,
        root=True,
    ),
    Attack(
        row="31",
        name="setuid programs",
        python=True,
        script="""
import stat
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
for name in sorted(os.listdir("/usr/bin")):
    path = f"/usr/bin/{name}"
    about = os.stat(path) if os.path.exists(path) else None
    if about is None or not about.st_mode & stat.S_ISUID:
        continue
    if not os.statvfs(path).f_flag & os.ST_NOSUID and int(status["NoNewPrivs"]) == 0:
        print("got through", path, flush=True)
""",
        through=succeeded,
    ),
    Attack(
        row="31b",
        name="sockets of strange families",
        python=True,
        script="""
import errno, socket
unknown = (errno.EAFNOSUPPORT, errno.ESOCKTNOSUPPORT, errno.EPROTONOSUPPORT)
for family in (n for n in range(3, 46) if n not in (10, 16)):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET, socket.SOCK_RAW):
        try:
            socket.socket(family, kind).close()
            print("got through", family, flush=True)
        except OSError as error:
            if error.errno not in unknown:
                print("got through to the kernel", family, error, flush=True)
if attempt(socket.socket, socket.AF_INET, socket.SOCK_RAW, 1) is not None:
    print("got through raw", flush=True)
""",
        through=succeeded,
    ),
)
