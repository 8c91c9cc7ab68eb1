"""Ways out of a sandbox that shares the machine, each a few lines that raise OSError when they are refused.

They are run twice: by a session, which gets through with none, and by the person, who gets through with all, so that no
refusal has another reason than the sandbox. `A` holds what they aim at; `call` is a call of the C library.
"""

import ctypes
import json
import multiprocessing.shared_memory
import os
import pty
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

REACHES = {
    "read a secret": "open(A['secret']).read()",
    "read it by a link": "os.symlink(A['secret'], 'link'); open('link').read()",
    "read it through another process's root": "open(f\"/proc/{A['pid']}/root{A['secret']}\").read()",
    "link it in": "os.link(A['secret'], 'hard')",
    "list a folder": "os.listdir(A['home'])",
    "list the root": "os.listdir('/')",
    "write a file": "open(A['work'], 'a').write('x')",
    "empty a file": "os.truncate(A['work'], 0)",
    "empty a file that may be read": "os.close(os.open(A['given'], os.O_RDONLY | os.O_TRUNC))",
    "write a file that may be read": "open(A['given'], 'a').write('x')",
    "make a file": "open(A['home'] + '/made', 'w')",
    "make a file where only reading is allowed": "open(A['shown'] + '/made', 'w')",
    "make a folder": "os.mkdir(A['home'] + '/folder')",
    "make a link": "os.symlink('/etc', A['home'] + '/etc')",
    "move a file out": "open('out', 'w'); os.rename('out', A['home'] + '/out')",
    "move a file in": "os.rename(A['moved'], 'in')",
    "remove a file": "os.unlink(A['removed'])",
    "make a file in /tmp": "os.unlink(tempfile.mkstemp(dir='/tmp')[1])",
    "read another session's tree": "open(A['other']).read()",
    "read Heddle's records": "open(A['spec']).read()",
    "read a process's environment": "open(f\"/proc/{A['pid']}/environ\").read()",
    "read a process's memory": "open(f\"/proc/{A['pid']}/mem\", 'rb')",
    "see a process's maps": "open(f\"/proc/{A['pid']}/maps\").read()",
    "take a process's open file": "open(f\"/proc/{A['pid']}/fd/0\").read()",
    "learn a process's folder": "os.readlink(f\"/proc/{A['pid']}/cwd\")",
    "signal a process": "os.kill(A['pid'], signal.SIGCONT)",
    "signal a process by descriptor": "signal.pidfd_send_signal(os.pidfd_open(A['pid']), signal.SIGCONT)",
    "limit a process": "resource.prlimit(A['pid'], resource.RLIMIT_CPU, (10**6, 10**6))",
    "trace a process": "call('ptrace', 0x4206, A['pid'], 0, 0); os.kill(A['pid'], signal.SIGCONT)",
    "reach a unix socket": "socket.socket(socket.AF_UNIX).connect(A['stream'])",
    "reach an abstract unix socket": "socket.socket(socket.AF_UNIX).connect(A['abstract'])",
    "send to a unix socket": "socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b'x', A['datagram'])",
    "connect": "socket.create_connection(('127.0.0.1', A['tcp']), 5)",
    "connect by version 6": "socket.create_connection(('::ffff:127.0.0.1', A['tcp']), 5)",
    "connect while sending": "socket.socket().sendto(b'x', 0x20000000, ('127.0.0.1', A['tcp']))",
    "connect by several paths": "socket.socket(proto=262).connect(('127.0.0.1', A['tcp']))",
    "send a datagram": "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', A['udp']))",
    "listen on any port": "socket.create_server(('127.0.0.1', 0))",
    "reach another address at a port of one's own": "socket.create_connection((A['address'], A['own']), 1)",
    "share memory by number": "call('shmget', A['shm'], 0, 0)",
    "share memory by name": "open('/dev/shm/' + A['memory'], 'rb').read(1)",
    "make a message queue": "call('mq_open', A['queue'].encode(), 0o100, 0o600, None); call('mq_unlink', A['queue'].encode())",
    "write to a terminal of the person's": "os.write(os.open(A['terminal'], os.O_WRONLY | os.O_NOCTTY), b'x')",
}

RUN = """
import ctypes, json, os, resource, signal, socket, subprocess, sys, tempfile
A, ways = json.loads(sys.stdin.readline())
def call(name, *args):
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*args) < 0:
        raise OSError(ctypes.get_errno(), name)
def tried(way):
    try:
        exec(way, {**globals()})
    except OSError as error:
        return f"{type(error).__name__}: {error}"
    return "through"
json.dump({name: tried(way) for name, way in ways.items()}, sys.stdout)
"""
"""Tries all that it is told on its input, in the folder where it is."""


@contextmanager
def targets(folder: Path) -> Iterator[dict[str, object]]:
    """What a person has on the machine: a process with a secret, sockets, memory, a terminal, a network address."""
    with ExitStack() as stack:
        secret = folder / "secret-of-process"
        secret.write_text("hunter2\n")
        with secret.open() as given:
            victim = subprocess.Popen(("sleep", "600"), stdin=given, env={"SECRET": "hunter2"})
        stack.callback(victim.wait)
        stack.callback(victim.kill)
        stream, datagram, abstract = str(folder / "s"), str(folder / "d"), f"\0heddle-{os.getpid()}"
        for kind, path in (
            (socket.SOCK_STREAM, stream),
            (socket.SOCK_DGRAM, datagram),
            (socket.SOCK_STREAM, abstract),
        ):
            listening = stack.enter_context(socket.socket(socket.AF_UNIX, kind))
            listening.bind(path)
            if kind == socket.SOCK_STREAM:
                listening.listen()
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        udp = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        everywhere = stack.enter_context(socket.create_server(("", 0)))
        memory = multiprocessing.shared_memory.SharedMemory(create=True, size=16)
        stack.callback(memory.unlink)
        stack.callback(memory.close)
        number = 0x48000000 | os.getpid()
        stack.callback(_forget_memory, _shared_memory(number))
        leader, follower = pty.openpty()
        stack.callback(os.close, leader)
        stack.callback(os.close, follower)
        yield {
            "pid": victim.pid,
            "stream": stream,
            "datagram": datagram,
            "abstract": abstract,
            "tcp": tcp.getsockname()[1],
            "udp": udp.getsockname()[1],
            "own": everywhere.getsockname()[1],
            "address": own_address() or "192.0.2.1",
            "memory": memory.name.lstrip("/"),
            "shm": number,
            "queue": f"/heddle-{os.getpid()}",
            "terminal": os.ttyname(follower),
        }


def unproven() -> set[str]:
    """Ways that this machine closes to everybody."""
    found = set()
    if not Path("/proc/sys/net/mptcp").exists():
        found.add("connect by several paths")
    yama = Path("/proc/sys/kernel/yama/ptrace_scope")
    if yama.exists() and yama.read_text().strip() != "0":
        found |= {"trace a process", "read a process's memory"}
    if not own_address():
        found.add("reach another address at a port of one's own")
    return found


def own_address() -> str:
    """An address of this machine beyond the loopback, or "" when it has none. Nothing is sent."""
    with socket.socket(type=socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])
    return ""


def _shared_memory(number: int) -> int:
    return int(ctypes.CDLL(None).shmget(number, 4096, 0o1600))


def _forget_memory(id: int) -> None:
    ctypes.CDLL(None).shmctl(id, 0, None)


def by_the_person(told: bytes, cwd: Path) -> dict[str, str]:
    """What comes of it without a sandbox."""
    argv = (sys.executable, "-I", "-S", "-c", RUN)
    done = subprocess.run(argv, input=told, cwd=cwd, capture_output=True, check=True)
    results: dict[str, str] = json.loads(done.stdout)
    return results
