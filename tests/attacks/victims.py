"""Who is attacked: what listens, a process and a terminal that stand for the person's own, each made for the test."""

import os
import pty
import select
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

SECRET = "-".join(("TOP", "SECRET", "4711"))
"""What no session may ever see. Nothing that an attack brings along holds it as one piece."""

PAUSE = "import signal; signal.pause()"


class Listener:
    """Takes connections or datagrams, and remembers what came. It answers with the secret."""

    def __init__(self, family: int, kind: int, address: object) -> None:
        self.bound = socket.socket(family, kind)
        self.bound.bind(address)  # type: ignore[arg-type]
        if kind == socket.SOCK_STREAM:
            self.bound.listen(16)
        self.came: list[bytes] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def port(self) -> str:
        return str(self.bound.getsockname()[1])

    def _serve(self) -> None:
        take = self._take_datagram if self.bound.type == socket.SOCK_DGRAM else self._take_connection
        with suppress(OSError):
            while take():
                pass

    def _take_datagram(self) -> bool:
        data, sender = self.bound.recvfrom(4096)
        if data:
            self.came.append(data)
            self.bound.sendto(SECRET.encode(), sender)
        return bool(data)

    def _take_connection(self) -> bool:
        client, _ = self.bound.accept()
        with client, suppress(OSError):
            self.came.append(b"a connection")
            client.sendall(SECRET.encode())
        return True

    def close(self) -> None:
        with suppress(OSError):
            self.bound.shutdown(socket.SHUT_RDWR)
        if self.bound.type == socket.SOCK_DGRAM:
            with suppress(OSError), socket.socket(self.bound.family, socket.SOCK_DGRAM) as last:
                last.sendto(b"", self.bound.getsockname())
        self._thread.join(5)
        self.bound.close()


class Victims:
    """A process with the secret in its environment, and listeners at every kind of address."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment

    def __enter__(self) -> "Victims":
        stream, datagram = socket.SOCK_STREAM, socket.SOCK_DGRAM
        outer = outer_address()
        self.socket, self.agent = str(self.folder / "tmp" / "socket"), str(self.folder / "person" / ".agent")
        self.listeners = {
            "loopback": Listener(socket.AF_INET, stream, ("127.0.0.1", 0)),
            "outer": Listener(socket.AF_INET, stream, (outer, 0)),
            "udp": Listener(socket.AF_INET, datagram, (outer, 0)),
            "unix": Listener(socket.AF_UNIX, stream, self.socket),
            "agent": Listener(socket.AF_UNIX, stream, self.agent),
            "abstract": Listener(socket.AF_UNIX, stream, f"\0{self.folder.name}"),
        }
        self.addresses = {
            "ADDRESS": outer,
            "ABSTRACT": self.folder.name,
            "SOCKET": self.socket,
            "AGENT": self.agent,
            **{f"{name.upper()}_PORT": self.listeners[name].port for name in ("loopback", "outer", "udp")},
        }
        argv = [sys.executable, "-I", "-S", "-c", PAUSE]
        self.person = subprocess.Popen(argv, env=self.environment, start_new_session=True)
        return self

    def forget(self) -> None:
        """What came, came to an earlier attack."""
        for listener in self.listeners.values():
            listener.came.clear()

    def __exit__(self, *_: object) -> None:
        with ExitStack() as stack:
            for listener in self.listeners.values():
                stack.callback(listener.close)
            self.person.kill()
            self.person.wait()


class Terminal:
    """A terminal at which the person sits. `seen` is what appeared on it."""

    def __enter__(self) -> "Terminal":
        self._screen, self._tty = pty.openpty()
        self.name = os.ttyname(self._tty)
        return self

    def seen(self) -> bytes:
        """What appeared since it was asked last."""
        found = b""
        while select.select([self._screen], [], [], 0)[0]:
            found += os.read(self._screen, 4096)
        return found

    def __exit__(self, *_: object) -> None:
        os.close(self._tty)
        os.close(self._screen)


def outer_address() -> str:
    """An address of this machine that is not the loopback's usual one. Nothing is sent to find it out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        with suppress(OSError):
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
    return "127.0.0.2"


def lives(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def named(word: str) -> list[int]:
    """Processes of this machine with that word in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if word.encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return [pid for pid in found if lives(pid)]


def end_named(word: str) -> None:
    """End what an attack left, each by its number."""
    for pid in named(word):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
