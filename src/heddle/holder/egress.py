"""The one way out of a sandbox: an allow-list proxy, and forwarders to services of this machine that the person named.

It runs in the holder, on listeners that were made in the box's network, or on the machine's loopback: there everybody
could ask, so the session's secret is asked for. The proxy takes CONNECT requests alone (RFC 9110, 9.3.6). A name on the
list is resolved once, here, and only the checked address is connected to, so that no second answer of a name server
leads elsewhere.
"""

import base64
import errno
import hmac
import ipaddress
import re
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

CONNECTIONS = 256
"""At most so many at once; further ones are closed at once."""

IDLE_S = 900.0
"""How long nothing may move on a connection."""

REQUEST_S = 30.0
"""How long a request may take, all of it: one that drips wins no time."""

CONNECT_S = 20.0
LINGER_S = 5.0
"""How long somebody is heard who was turned away."""

PAUSE_S = 0.05
"""Before accepting again when there was no descriptor or no memory for a connection."""

HEAD_LIMIT = 16_384
CHUNK = 65_536

_HEAD = re.compile(rb"CONNECT ([A-Za-z0-9.-]{1,253}):([0-9]{1,5}) HTTP/1\.[01]\r\n")
_SECRET = re.compile(rb"\r\nproxy-authorization:[ \t]*basic[ \t]+([A-Za-z0-9+/=]+)[ \t]*\r\n", re.IGNORECASE)
_NAME = re.compile(r"([a-z0-9-]{1,63}\.)*[a-z][a-z0-9-]{0,62}")
"""The last label of an address is a number in any notation (2130706433, 0x7f.1); that of a name is none."""

_UNICAST = ipaddress.ip_network("2000::/3")
"""All of version 6 that belongs to the internet at large."""

_UNIQUE_LOCAL = ipaddress.ip_network("fc00::/7")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_INSIDE_CLOUDS = tuple(
    map(ipaddress.ip_network, ("192.0.0.0/24", "168.63.129.16/32", "100.100.100.200/32", "fd00:ec2::254/128"))
)
"""Public or private by their numbers, and where some clouds tell a machine its secrets."""

AWAY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
"""Said to a session that asks for its tools while nobody serves them."""

TOOLS = "heddle-tools.invalid"
"""Stands in URLs of a command line and its environment for the host and the port of the session's tools, which are known
only once somebody listens there."""

USER = "heddle"
LOCAL = "localhost,127.0.0.0/8,127.0.0.1,127.77.77.77,::1"
"""What is never asked of the proxy."""

Resolve = Callable[[str, int], list[str]]


def resolve(host: str, port: int) -> list[str]:
    """Addresses of a name, in the system's order. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def proxied(host: str, port: int, secret: str = "") -> dict[str, str]:
    """The variables by which programs find the proxy; nothing but these tells them."""
    url = f"http://{f'{USER}:{secret}@' if secret else ''}{host}:{port}"
    upper = {"HTTPS_PROXY": url, "HTTP_PROXY": url, "ALL_PROXY": url, "NO_PROXY": LOCAL}
    return upper | {name.lower(): value for name, value in upper.items()}


class Egress:
    """Serves the listeners of one session. `allow`: "name:port" or "*.name:port"; `forwards`: port inside to target.

    `near`: those of `allow` that the person named, which may lie in a private network. With a `secret` the proxy serves
    those alone who name it.
    """

    def __init__(
        self,
        allow: Iterable[str],
        forwards: Mapping[int, tuple[str, int]],
        resolve: Resolve = resolve,
        *,
        near: Iterable[str] = (),
        secret: str = "",
    ) -> None:
        self._wanted = base64.b64encode(f"{USER}:{secret}".encode()) if secret else b""
        self._allow = frozenset(name.lower() for name in allow)
        self._near = frozenset(name.lower() for name in near)
        self._forwards = dict(forwards)
        self._resolve = resolve
        self._slots = threading.BoundedSemaphore(CONNECTIONS)
        self.refused: deque[str] = deque(maxlen=50)

    def update(self, allow: Iterable[str]) -> None:
        """From now on these may be reached; what is connected stays so."""
        self._allow = frozenset(name.lower() for name in allow)

    def serve_proxy(self, listener: socket.socket) -> None:
        """Serve CONNECT requests."""
        self._serve(listener, self._proxy)

    def serve_forward(self, port: int, listener: socket.socket) -> None:
        """Connect everybody to the target of `port`."""
        target = self._forwards[port]
        self._serve(listener, lambda client: self._join(client, [target], b""))

    def serve_tools(self, listener: socket.socket, path: str) -> None:
        """Connect everybody to the unix socket on which Heddle serves the session its tools."""
        self._serve(listener, lambda client: self._hand_on(client, path))

    def allows(self, host: str, port: int) -> bool:
        """Whether the list has this name. An address is never on it."""
        name = host.lower().rstrip(".")
        if not _NAME.fullmatch(name):
            return False
        labels = name.split(".")
        wider = (f"*.{'.'.join(labels[at:])}:{port}" for at in range(1, len(labels)))
        return f"{name}:{port}" in self._allow or any(pattern in self._allow for pattern in wider)

    def _serve(self, listener: socket.socket, answer: Callable[[socket.socket], None]) -> None:
        listener.setblocking(True)
        threading.Thread(target=self._accept, args=(listener, answer), daemon=True).start()

    def _accept(self, listener: socket.socket, answer: Callable[[socket.socket], None]) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError as error:
                if error.errno in (errno.EBADF, errno.EINVAL):  # it was closed
                    return
                time.sleep(PAUSE_S)
                continue
            if not self._slots.acquire(blocking=False):
                client.close()
                continue
            try:
                threading.Thread(target=self._attend, args=(client, answer), daemon=True).start()
            except RuntimeError:  # no memory for one more
                client.close()
                self._slots.release()
                time.sleep(PAUSE_S)

    def _attend(self, client: socket.socket, answer: Callable[[socket.socket], None]) -> None:
        try:
            with client, suppress(OSError):
                answer(client)
        finally:
            self._slots.release()

    def _proxy(self, client: socket.socket) -> None:
        head = _head(client)
        client.settimeout(REQUEST_S)
        if not self._knows(head):
            ask = 'Proxy-Authenticate: Basic realm="heddle"\r\n'
            return self._refuse(client, "407 Proxy Authentication Required", "the session's secret is missing", ask)
        asked = _HEAD.match(head)
        if asked is None:
            return self._refuse(client, "400 Bad Request", "only CONNECT name:port is served")
        host, port = asked[1].decode(), int(asked[2])
        if not self.allows(host, port):
            return self._refuse(client, "403 Forbidden", f"{host}:{port} is not on this session's list")
        try:
            addresses = self._resolve(host, port)
        except (OSError, UnicodeError):
            return self._refuse(client, "502 Bad Gateway", f"{host} has no address")
        fit = is_ordinary if f"{host.lower().rstrip('.')}:{port}" in self._near else is_public
        if not addresses or not all(map(fit, addresses)):
            where = "into a private network" if fit is is_public else "to this machine or a special address"
            return self._refuse(client, "403 Forbidden", f"{host} leads {where}")
        rest = head.partition(b"\r\n\r\n")[2]
        self._join(client, [(address, port) for address in addresses], rest, b"HTTP/1.1 200 Connected\r\n\r\n")

    def _hand_on(self, client: socket.socket, path: str) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
            try:
                server.connect(path)
            except OSError:  # the daemon starts anew
                return _turn_away(client)
            pump(client, server)

    def _knows(self, head: bytes) -> bool:
        """Whether a request comes from the session."""
        named = _SECRET.search(head)
        return not self._wanted or (named is not None and hmac.compare_digest(named[1], self._wanted))

    def _refuse(self, client: socket.socket, status: str, why: str, more: str = "") -> None:
        self.refused.append(why)
        body = f"{why}\n"
        text = f"HTTP/1.1 {status}\r\n{more}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        client.sendall(text.encode())

    def _join(self, client: socket.socket, targets: list[tuple[str, int]], rest: bytes, greeting: bytes = b"") -> None:
        """Connect to the first of exactly these that answers, and carry bytes both ways until both have said all."""
        server = _connected(targets)
        if server is None:
            if greeting:
                self._refuse(client, "502 Bad Gateway", f"nobody answers at {', '.join(host for host, _ in targets)}")
            return
        with server:
            client.sendall(greeting)
            server.sendall(rest)
            pump(client, server)


def _turn_away(client: socket.socket) -> None:
    """Say that nobody is there, and hear the client out: closed on while it speaks, it would not read what was said."""
    client.settimeout(LINGER_S)
    client.sendall(AWAY)
    client.shutdown(socket.SHUT_WR)
    due = time.monotonic() + LINGER_S
    while time.monotonic() < due and client.recv(CHUNK):
        pass


class _Way:
    """One direction of a connection: what was read and is not yet written, and whether more may come."""

    def __init__(self, source: socket.socket, target: socket.socket) -> None:
        self.source, self.target = source, target
        self.data = b""
        self.open = True

    def waits_for(self) -> tuple[int, int]:
        """The descriptor, and what it must be ready for."""
        return (self.target.fileno(), select.POLLOUT) if self.data else (self.source.fileno(), select.POLLIN)

    def move(self) -> None:
        """Read or write once. Raises OSError."""
        with suppress(BlockingIOError):
            if self.data:
                self.data = self.data[self.target.send(self.data) :]
                return
            self.data = self.source.recv(CHUNK)
            if not self.data:
                self.open = False
                self.target.shutdown(socket.SHUT_WR)


def pump(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways; an end of one side is handed on, and all ends when nothing moves for long.

    Neither way waits for the other: a side that takes nothing for a while can still be heard. Raises OSError.
    """
    ways = [_Way(one, other), _Way(other, one)]
    for end in (one, other):
        end.setblocking(False)
    while ways:
        wanted: dict[int, int] = {}
        for fd, event in (way.waits_for() for way in ways):
            wanted[fd] = wanted.get(fd, 0) | event
        poll = select.poll()
        for fd, events in wanted.items():
            poll.register(fd, events)
        ready = {fd for fd, _ in poll.poll(IDLE_S * 1000)}
        if not ready:
            return
        for way in ways:
            if way.waits_for()[0] in ready:
                way.move()
        ways = [way for way in ways if way.open]


def is_public(address: str) -> bool:
    """Whether an address belongs to the internet at large: no loopback, private, link-local or special one."""
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if inner := _inner(known):
        return is_public(str(inner))
    if isinstance(known, ipaddress.IPv6Address):
        return known.is_global and known in _UNICAST
    return known.is_global and not _is_special(known)


def is_ordinary(address: str) -> bool:
    """Whether an address may be a server's, of the internet or of a private network; this machine's own are not."""
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if inner := _inner(known):
        return is_ordinary(str(inner))
    if isinstance(known, ipaddress.IPv6Address):
        return (known in _UNICAST or known in _UNIQUE_LOCAL) and not _is_special(known)
    return not (known.is_loopback or known.is_link_local or known.is_unspecified or _is_special(known))


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _inner(address: _Address) -> ipaddress.IPv4Address | None:
    """The address of version 4 that one of version 6 stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _is_special(address: _Address) -> bool:
    reserved = address.is_reserved and address not in _UNICAST
    return address.is_multicast or reserved or any(address in network for network in _INSIDE_CLOUDS)


def _connected(targets: list[tuple[str, int]]) -> socket.socket | None:
    for target in targets:
        with suppress(OSError):
            return socket.create_connection(target, CONNECT_S)
    return None


def _head(client: socket.socket) -> bytes:
    """A request up to its empty line, with what came right behind it; b"" when it is too long or breaks off.

    Raises TimeoutError.
    """
    due = time.monotonic() + REQUEST_S
    data = bytearray()
    while b"\r\n\r\n" not in data:
        client.settimeout(max(due - time.monotonic(), 0.001))
        piece = client.recv(4096)
        data += piece
        if not piece or len(data) > HEAD_LIMIT:
            return b""
    return bytes(data)
