"""Programs that try to go on while they are frozen. Each writes to the file `beats` in its folder for as long as it runs."""

from pathlib import Path

HEAD = """
import ctypes, os, signal, sys, threading, time
signal.alarm(90)
file = os.open("beats", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def beat():
    os.write(file, b".")
"""

TREE = """
for depth in range(6):
    os.fork()
    if os.getpid() != os.getpgrp():
        os.setsid()
    signal.alarm(90)
while True:
    try:
        if os.fork() == 0:
            os.setsid()
            beat()
            os._exit(0)
        os.wait()
    except OSError:
        pass
"""
"""64 processes, each in a session of its own, that fork all the time."""

BOMB = """
depth = 0
while True:
    if depth < 8:
        depth += 1
        if os.fork() == 0:
            signal.alarm(90)
            os.setsid()
    beat()
    time.sleep(0.05)
"""
"""256 processes at the end, each in a session of its own, half of them born while nobody looks."""

COMET = """
if os.fork():
    signal.pause()
deadline = time.monotonic() + 90
while time.monotonic() < deadline:
    signal.alarm(0)
    if os.fork():
        os._exit(0)
    os.setsid()
    beat()
"""
"""A chain of processes that each fork once, leave, and lie in a session of their own."""

WAKERS = """
pids = [os.getpid()]
for number in range(3):
    pid = os.fork()
    if pid == 0:
        signal.alarm(90)
        break
    pids.append(pid)
while True:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGCONT)
        except OSError:
            pass
    beat()
"""
"""Processes that wake each other."""

THREADS = """
for number in range(8):
    threading.Thread(target=lambda: [beat() for _ in iter(int, 1)]).start()
ctypes.CDLL(None).syscall(93 if os.uname().machine == "aarch64" else 60, 0)
"""
"""Threads that work on after the first one has left."""

VFORK = """
beat()
os.mkfifo("never")
os.posix_spawn("/bin/true", ["true"], {}, file_actions=[(os.POSIX_SPAWN_OPEN, 1, "never", os.O_WRONLY, 0)])
"""
"""One that waits in the kernel, for a child that has not yet become a program."""

EVADERS = {"tree": TREE, "comet": COMET, "wakers": WAKERS, "threads": THREADS, "vfork": VFORK}


def evader(kind: str) -> str:
    """The program of a kind."""
    return HEAD + {**EVADERS, "bomb": BOMB}[kind]


def has_begun(folder: Path, kind: str) -> bool:
    """Whether it is in the midst of what it does."""
    beats = folder / "beats"
    return beats.exists() and beats.stat().st_size >= (1 if kind == "vfork" else 100)
