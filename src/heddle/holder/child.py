"""Starting the held process: here, here and confined, in a box, or as a box."""

import os
import secrets
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from heddle.holder.box.entry import Entry
from heddle.holder.box.groups import Group, make_group
from heddle.holder.box.init import become_init, join
from heddle.holder.box.network import PROXY, TOOLS_AT, addresses, open_network
from heddle.holder.confined import enclose, enclosed, listener_of
from heddle.holder.egress import TOOLS, Egress, proxied
from heddle.holder.folder import MARKER, SESSION
from heddle.holder.freezer import Freezer
from heddle.holder.program import restore_signals, start_program
from heddle.holder.reaper import die_with_parent, end_all, reap, send
from heddle.holder.sockets import serve_sockets
from heddle.holder.terminal import controlled_by, open_terminal

LOOPBACK = "127.0.0.1"
Prepare = Callable[[], None]
"""What a fork does before it becomes the program."""

NOWHERE = ("", 0)
"""Where the tools of a session are that has none."""

NO_STREAMS = (-1, -1, -1)
"""What we have of a process whose streams are a visitor's."""


def _nothing() -> None:
    return


class Child(Protocol):
    """The process and our ends of its streams; `stdin` is -1 when it has none, `failure` says why it did not start.

    `wake` becomes readable when there is something to collect, besides a SIGCHLD; -1 when only that tells.
    """

    stdin: int
    stdout: int
    stderr: int
    failure: str
    wake: int

    @property
    def pid(self) -> int:
        """Its number on this machine, or 0 when it has none that counts here."""
        ...

    def collect(self) -> int | None:
        """Its wait status once it has ended. Never waits."""
        ...

    def signal(self, number: signal.Signals) -> None:
        """To its group."""
        ...

    def freeze(self) -> bool:
        """Have nothing of it run any more, whatever it started included; False when that cannot be had."""
        ...

    def thaw(self) -> None:
        """Let what was frozen go on."""
        ...

    def end(self) -> int | None:
        """Kill everything that is left of it and what it started; its wait status when that came to light here."""
        ...


class LocalChild:
    """A process that is our own child."""

    wake = -1

    def __init__(self, pid: int, streams: tuple[int, int, int], failure: str) -> None:
        self.pid, self.failure = pid, failure
        self.freezer = Freezer()
        self.stdin, self.stdout, self.stderr = streams
        for fd in streams:
            if fd >= 0:
                os.set_blocking(fd, False)

    def collect(self) -> int | None:
        """See Child."""
        return reap().get(self.pid)

    def signal(self, number: signal.Signals) -> None:
        """See Child."""
        if self.pid:
            send(self.pid, number, group=True)

    def freeze(self) -> bool:
        """See Child."""
        return self.freezer.freeze()

    def thaw(self) -> None:
        """See Child."""
        self.freezer.thaw()

    def end(self) -> int | None:
        """See Child."""
        return end_all(self.pid).get(self.pid)


class ConfinedChild(LocalChild):
    """A process that is our own child, and asks us for its sockets."""

    def __init__(self, pid: int, streams: tuple[int, int, int], failure: str, requests: int) -> None:
        super().__init__(pid, streams, failure)
        self.wake = requests

    def collect(self) -> int | None:
        """See Child."""
        if self.wake >= 0:
            serve_sockets(self.wake)
        return super().collect()


class BoxChild(LocalChild):
    """The init of a box, with the control group that the box has where one could be made."""

    def __init__(self, pid: int, streams: tuple[int, int, int], failure: str, group: Group | None) -> None:
        super().__init__(pid, streams, failure)
        self.group = group

    def end(self) -> int | None:
        """See Child."""
        if self.group is not None:
            self.group.kill()
        status = super().end()
        if self.group is not None:
            self.group.remove()
        return status


class BoxedChild:
    """A process in a box; nothing of it is below us, its minder in there does what we ask."""

    pid = 0

    def __init__(self, entry: Entry, streams: tuple[int, int, int]) -> None:
        self.entry, self.failure, self.wake = entry, entry.failure, entry.fileno()
        self.stdin, self.stdout, self.stderr = streams
        for fd in streams:
            if fd >= 0:
                os.set_blocking(fd, False)

    def collect(self) -> int | None:
        """See Child."""
        reap()
        return self.entry.collect()

    def signal(self, number: signal.Signals) -> None:
        """See Child."""
        self.entry.signal(number)

    def freeze(self) -> bool:
        """See Child."""
        return self.entry.freeze()

    def thaw(self) -> None:
        """See Child."""
        self.entry.thaw()

    def end(self) -> int | None:
        """See Child."""
        return self.entry.end()


def run_visited(spec: dict[str, Any], told: dict[str, Any], streams: list[int]) -> tuple[Child, int]:
    """Start what the spec says for a visitor: on the three streams they lend, or on a terminal of its own.

    The terminal is made as `told` says, and its outer end comes with the process; else that is -1. Raises OSError.
    """
    on_terminal = spec["stdin"] == "terminal"
    if "enter" in spec:
        entry = _enter(spec, streams, {"terminal": told} if on_terminal else {})
        return BoxedChild(entry, NO_STREAMS), entry.terminal
    outer, take = -1, _nothing
    if on_terminal:
        outer, inner = open_terminal(told)
        streams, take = [inner] * 3, controlled_by(inner)
    try:
        if "confine" in spec:
            return _run_confined(spec, streams, NO_STREAMS, take), outer
        pid, failure = _run_local(spec, streams, take)
        return LocalChild(pid, NO_STREAMS, failure), outer
    finally:
        if on_terminal:
            os.close(inner)


def run_child(spec: dict[str, Any]) -> Child:
    """Start what the spec says; returns once it runs or could not be started. Raises OSError."""
    if "make" in spec:
        return _run_box(spec)
    stdin_read, stdin_write = os.pipe() if spec["stdin"] == "pipe" else (os.open(os.devnull, os.O_RDONLY), -1)
    stdout_read, stdout_write = os.pipe()
    stderr_read, stderr_write = os.pipe()
    theirs, ours = (stdin_read, stdout_write, stderr_write), (stdin_write, stdout_read, stderr_read)
    try:
        if "enter" in spec:
            return BoxedChild(_enter(spec, theirs, {}), ours)
        if "confine" in spec:
            return _run_confined(spec, theirs, ours)
        pid, failure = _run_local(spec, theirs)
        return LocalChild(pid, ours, failure)
    finally:
        for fd in theirs:
            os.close(fd)


def _enter(spec: dict[str, Any], streams: Sequence[int], more: dict[str, Any]) -> Entry:
    """The network first, so that the process finds it; nothing is forked here any more once its threads run."""
    entry = Entry(spec["enter"])
    try:
        egress = open_network(spec["enter"], spec["hosts"], spec["near"], spec["forwards"], spec.get("tools", ""))
    except OSError as error:
        entry.failure, entry.ended = f"network: {error}", 127 << 8
    else:
        order = _order(spec, proxied(*PROXY) if egress and spec["hosts"] else {}, TOOLS_AT)
        entry.start({**order, **more}, streams)
    return entry


def _run_local(spec: dict[str, Any], streams: Sequence[int], prepare: Prepare = _nothing) -> tuple[int, str]:
    parent = os.getpid()

    def ready() -> None:
        die_with_parent(parent)
        prepare()

    tools = _tools_listener(spec)
    started = start_program(_order(spec, {}, tools.getsockname() if tools else NOWHERE), streams, ready)
    _serve_tools(spec, tools, Egress((), {}))
    return started


def _tools_listener(spec: dict[str, Any]) -> socket.socket | None:
    """Where the loopback is shared the tools have a port of their own; whoever asks there must know the session's token."""
    return socket.create_server((LOOPBACK, 0), backlog=64) if spec.get("tools") else None


def _serve_tools(spec: dict[str, Any], listener: socket.socket | None, egress: Egress) -> None:
    """From now on: nothing is forked here any more, and threads may run."""
    if listener is not None:
        egress.serve_tools(listener, spec["tools"])


def _run_confined(
    spec: dict[str, Any], theirs: Sequence[int], ours: tuple[int, int, int], take: Prepare = _nothing
) -> Child:
    """The proxy listens first, so that the process is told where; it serves once nothing is forked here any more."""
    plan, hosts, secret = spec["confine"], spec["hosts"], secrets.token_hex(16)
    connects, more = [port for _, port in addresses(spec["forwards"])], dict[str, str]()
    if hosts:
        proxy = socket.create_server((LOOPBACK, 0), backlog=256)
        connects.append(proxy.getsockname()[1])
        more = proxied(LOOPBACK, connects[-1], secret)
    tools = _tools_listener(spec)
    connects += [tools.getsockname()[1]] if tools else []
    parent = os.getpid()
    here, there = socket.socketpair()

    def prepare() -> None:
        die_with_parent(parent)
        take()
        enclose(plan, connects, there)

    order = _order(spec, more, tools.getsockname() if tools else NOWHERE)
    order["argv"] = enclosed(plan, order["argv"], connects)
    pid, failure = start_program(order, theirs, prepare)
    there.close()
    with here:
        requests = listener_of(here)
    egress = Egress(hosts, {}, near=spec["near"], secret=secret)
    if hosts:
        egress.serve_proxy(proxy)
    _serve_tools(spec, tools, egress)
    return ConfinedChild(pid, ours, failure, requests)


def _addressed(word: str, address: str) -> str:
    """A URL of the tools, or a setting KEY="URL", with their address. What only speaks of it is somebody's words."""
    setting, _, url = word.rpartition("=")
    return word.replace(TOOLS, address) if url.strip('"') == f"http://{TOOLS}/mcp" and '"' not in setting else word


def _order(spec: dict[str, Any], more: Mapping[str, str], tools: tuple[str, int]) -> dict[str, Any]:
    """What is to be run, with what tells it from all others in its environment, and where its tools are."""
    env = {**spec["env"], SESSION: spec["key"], MARKER: spec["marker"], **more}
    argv, cwd = list(spec["argv"]), spec["cwd"]
    if spec.get("tools"):
        address = f"{tools[0]}:{tools[1]}"
        argv = [_addressed(word, address) for word in argv]
        env = {name: _addressed(value, address) for name, value in env.items()}
    return {"argv": argv, "cwd": cwd, "env": env}


def _run_box(spec: dict[str, Any]) -> Child:
    """Make a box: its init is the child. Where no control group can be had, it goes without one."""
    group = _group(spec["make"].get("group"))
    stdout_read, stdout_write = os.pipe()
    stderr_read, stderr_write = os.pipe()
    told_read, told_write = os.pipe()
    life_read, life_write = os.pipe()  # our end stays open for as long as we live
    listener = listen(spec["make"]["socket"])
    pid = os.fork()
    if pid == 0:
        null = os.open(os.devnull, os.O_RDONLY)
        for target, fd in enumerate((null, stdout_write, stderr_write)):
            os.dup2(fd, target)
        keep_only((listener.fileno(), life_read, told_write))
        os.setsid()
        restore_signals()
        join(group, told_write)
        become_init(spec["make"], listener, life_read, told_write)
    listener.close()
    for fd in (stdout_write, stderr_write, told_write, life_read):
        os.close(fd)
    with os.fdopen(told_read, "rb") as told:
        first = told.readline(8192)
        if first.startswith(b"pid "):
            os.waitpid(pid, 0)
            os.write(life_write, b"!")
            pid, first = int(first.removeprefix(b"pid ")), b""
        said = (first + told.read(8192)).decode(errors="replace")
    return BoxChild(pid, (-1, stdout_read, stderr_read), said, group)


def _group(limits: dict[str, int] | None) -> Group | None:
    """A control group of that size, when one is wanted and can be made."""
    if limits is None:
        return None
    try:
        return make_group(limits["memory"], limits["processes"])
    except OSError:  # told by 'heddle doctor', and on every board
        return None


def listen(path: str) -> socket.socket:
    """A listening unix socket that only we may use."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if os.path.lexists(path):
        os.unlink(path)
    mask = os.umask(0o177)
    try:
        listener.bind(path)
    finally:
        os.umask(mask)
    listener.listen(64)
    return listener


def keep_only(kept: tuple[int, ...]) -> None:
    """Close every descriptor but the three streams and these: a fork that never execs must do that itself."""
    low = 3
    for fd in sorted(kept):
        os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, os.sysconf("SC_OPEN_MAX"))
