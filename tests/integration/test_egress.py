"""The way out of a box: who is let through, who is not, and that bytes arrive whole whatever the ends do."""

import base64
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from heddle.holder import egress
from heddle.holder.egress import Egress, is_ordinary, is_public

DEADLINE_S = 20.0
PUBLIC = "198.41.0.4"
LOOPBACK = "127.0.0.1"
LONG = b"x" * 300_000


def echo(connection: socket.socket) -> None:
    """Give back what comes, as it comes."""
    while data := connection.recv(65_536):
        connection.sendall(data)


def answer(connection: socket.socket) -> None:
    """Listen to the end, and only then answer."""
    said = b""
    while data := connection.recv(65_536):
        said += data
    connection.sendall(b"heard " + str(len(said)).encode())


class Server:
    """A service of this machine, a thread per connection."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self.listener = socket.create_server((LOOPBACK, 0), backlog=256)
        self.port = int(self.listener.getsockname()[1])
        self.peers = 0
        self._serve = serve
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.peers += 1
                threading.Thread(target=self._attend, args=(connection,), daemon=True).start()

    def _attend(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            self._serve(connection)


Serve = Callable[[Callable[[socket.socket], None]], Server]


@pytest.fixture
def servers() -> Iterator[Serve]:
    made: list[Server] = []

    def make(serve: Callable[[socket.socket], None]) -> Server:
        made.append(Server(serve))
        return made[-1]

    yield make
    for server in made:
        server.listener.close()


@pytest.fixture
def near(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of what flows: the one address of this machine counts as one of the internet."""
    monkeypatch.setattr(egress, "is_public", lambda address: address == LOOPBACK)


def proxy(*allow: str, resolve: Callable[[str, int], list[str]] = lambda host, port: [LOOPBACK]) -> tuple[Egress, int]:
    """A proxy that listens, and its port."""
    made = Egress(allow, {}, resolve)
    listener = socket.create_server((LOOPBACK, 0), backlog=256)
    made.serve_proxy(listener)
    return made, int(listener.getsockname()[1])


def dial(port: int) -> socket.socket:
    return socket.create_connection((LOOPBACK, port), DEADLINE_S)


def everything(connection: socket.socket) -> bytes:
    """All that comes to the end; a connection that was reset has ended too."""
    said = b""
    with suppress(ConnectionError):
        while data := connection.recv(65_536):
            said += data
    return said


def asked(port: int, request: bytes) -> bytes:
    """The whole answer to a request."""
    with dial(port) as client:
        client.sendall(request)
        return everything(client)


def connect(host: str, port: int | str) -> bytes:
    return f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()


def tunnel(at: int, host: str, port: int) -> socket.socket:
    """A connection through the proxy, past its greeting."""
    client = dial(at)
    client.sendall(connect(host, port))
    greeting = b""
    while not greeting.endswith(b"\r\n\r\n"):
        piece = client.recv(1)
        assert piece, greeting
        greeting += piece
    assert greeting.startswith(b"HTTP/1.1 200 "), greeting
    return client


@pytest.mark.usefixtures("near")
def test_a_listed_name_is_reached_and_bytes_sent_with_the_request_arrive(servers: Serve) -> None:
    target = servers(answer)
    _, at = proxy(f"api.example:{target.port}")
    with dial(at) as client:
        client.sendall(connect("API.example.", target.port) + b"early")
        client.shutdown(socket.SHUT_WR)
        assert everything(client).endswith(b"\r\n\r\nheard 5")


@pytest.mark.usefixtures("near")
def test_the_address_that_was_checked_is_the_one_that_is_reached(servers: Serve) -> None:
    """A name server that gives another answer the second time is never asked a second time."""
    target = servers(echo)
    answers = [[LOOPBACK], ["127.0.0.2"], ["127.0.0.3"]]
    _, at = proxy(f"api.example:{target.port}", resolve=lambda host, port: answers.pop(0))
    tunnel(at, "api.example", target.port).close()
    assert len(answers) == 2


def test_an_address_that_nobody_answers_at_gives_way_to_the_next(
    servers: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = servers(answer)
    monkeypatch.setattr(egress, "is_public", lambda address: address.startswith("127."))
    _, at = proxy(f"api.example:{target.port}", resolve=lambda host, port: ["127.0.0.2", LOOPBACK])
    with tunnel(at, "api.example", target.port) as client:
        client.shutdown(socket.SHUT_WR)
        assert everything(client) == b"heard 0"


NOT_LISTED = [
    *("example.org", "evil.example", "xapi.example", "api.example.evil.org", "localhost", "metadata.google.internal"),
    *("127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.0.0.1.", "169.254.169.254", "0"),
    *("wild.example", "xwild.example", "a..wild.example", ".wild.example", "-", "a.wild.example.0x7f"),
]


@pytest.mark.parametrize("host", NOT_LISTED)
def test_what_is_not_listed_is_refused_unresolved(host: str) -> None:
    def never(name: str, port: int) -> list[str]:
        raise AssertionError(name)

    made, at = proxy("api.example:443", "*.wild.example:443", "127.0.0.1:443", "2130706433:443", resolve=never)
    said = asked(at, connect(host, 443))
    assert said.startswith(b"HTTP/1.1 403 "), said
    assert len(said) < 1000
    assert list(made.refused) == [f"{host}:443 is not on this session's list"]


@pytest.mark.parametrize("port", [80, 8443, 0, 65535, 99999])
def test_another_port_of_a_listed_name_is_refused(port: int) -> None:
    _, at = proxy("api.example:443")
    assert asked(at, connect("api.example", port)).startswith(b"HTTP/1.1 403 ")


SENSELESS = {
    "plain request": b"GET / HTTP/1.1\r\nHost: api.example\r\n\r\n",
    "absolute form": b"GET http://api.example:443/ HTTP/1.1\r\nHost: api.example\r\n\r\n",
    "absolute address": b"GET http://127.0.0.1:443/ HTTP/1.1\r\n\r\n",
    "v6 address": connect("[::1]", 443),
    "mapped address": connect("[::ffff:127.0.0.1]", 443),
    "no port": b"CONNECT api.example HTTP/1.1\r\n\r\n",
    "words for a port": connect("api.example", "https"),
    "user part": connect("api.example@127.0.0.1", 443),
    "a NUL": connect("api.example\0.evil.org", 443),
    "bare line feeds": b"CONNECT api.example:443 HTTP/1.1\nX: y\r\n\r\n",
    "old version": b"CONNECT api.example:443 HTTP/0.9\r\n\r\n",
    "another case": b"connect api.example:443 HTTP/1.1\r\n\r\n",
    "two targets": b"CONNECT api.example:443 api.example:443 HTTP/1.1\r\n\r\n",
    "TLS at once": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "random bytes": bytes(range(256)) * 4 + b"\r\n\r\n",
    "nothing": b"\r\n\r\n",
}


@pytest.mark.parametrize("name", SENSELESS)
def test_what_is_no_such_request_is_refused_and_the_next_one_is_served(name: str) -> None:
    made, at = proxy("api.example:443", "127.0.0.1:443")
    assert asked(at, SENSELESS[name]).startswith(b"HTTP/1.1 400 "), name
    assert asked(at, connect("other.example", 443)).startswith(b"HTTP/1.1 403 ")
    assert len(made.refused) == 2


def test_a_request_without_end_is_cut_off() -> None:
    _, at = proxy("api.example:443")
    said = asked(at, b"CONNECT api.example:443 HTTP/1.1\r\n" + b"X: " + b"y" * egress.HEAD_LIMIT)
    assert said == b"" or said.startswith(b"HTTP/1.1 400 "), said
    assert asked(at, connect("other.example", 443)).startswith(b"HTTP/1.1 403 ")


def test_a_request_that_drips_is_cut_off_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time is that of the whole request: bytes that go on coming win no more of it."""
    monkeypatch.setattr(egress, "REQUEST_S", 0.3)
    _, at = proxy("api.example:443")
    with dial(at) as client:
        client.settimeout(0.05)
        for _ in range(100):
            try:
                client.sendall(b"C")
                assert client.recv(1) == b""
            except TimeoutError:
                continue
            except ConnectionError:
                pass
            return
    pytest.fail("it was let drip on")


LOGIN = base64.b64encode(b"heddle:5ecret").decode()
STRANGERS = {
    "nothing": "",
    "another": f"Proxy-Authorization: Basic {base64.b64encode(b'heddle:other').decode()}\r\n",
    "half of it": f"Proxy-Authorization: Basic {LOGIN[:-4]}\r\n",
    "another scheme": f"Proxy-Authorization: Bearer {LOGIN}\r\n",
    "for a server": f"Authorization: Basic {LOGIN}\r\n",
    "bare": "Proxy-Authorization: Basic 5ecret\r\n",
}


@pytest.mark.parametrize("name", STRANGERS)
def test_who_does_not_name_the_secret_learns_nothing(name: str) -> None:
    made = Egress(["api.example:443"], {}, secret="5ecret")
    with socket.create_server((LOOPBACK, 0)) as listener:
        made.serve_proxy(listener)
        port = int(listener.getsockname()[1])
        for host in ("api.example", "other.example"):
            said = asked(port, f"CONNECT {host}:443 HTTP/1.1\r\n{STRANGERS[name]}\r\n".encode())
            assert said.startswith(b"HTTP/1.1 407 "), said
            assert b"\r\nProxy-Authenticate: Basic " in said
        assert asked(port, SENSELESS["plain request"]).startswith(b"HTTP/1.1 407 ")
        for header in (f"Proxy-Authorization: Basic {LOGIN}", f"X: y\r\nproxy-authorization:basic  {LOGIN}"):
            said = asked(port, f"CONNECT other.example:443 HTTP/1.1\r\n{header}\r\n\r\n".encode())
            assert said.startswith(b"HTTP/1.1 403 "), said


PRIVATE = [
    *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
    *("100.100.100.200", "192.0.0.192", "168.63.129.16", "224.0.0.1", "240.0.0.1", "255.255.255.255", "198.18.0.1"),
    *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "ff0e::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
    *("64:ff9b:1::7f00:1", "2001:db8::1", "4000::1", "not an address", ""),
]


@pytest.mark.parametrize("address", PRIVATE)
def test_a_listed_name_that_leads_to_a_special_address_is_refused(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when it has a good one beside it. Nothing is connected to."""
    monkeypatch.setattr(egress, "_connected", lambda targets: None)
    made, at = proxy("api.example:443", resolve=lambda host, port: [PUBLIC, address])
    assert asked(at, connect("api.example", 443)).startswith(b"HTTP/1.1 403 ")
    assert list(made.refused) == ["api.example leads into a private network"]


@pytest.mark.parametrize("address", [PUBLIC, "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_addresses_of_the_internet_are_such(address: str) -> None:
    assert is_public(address)


OWN = ["10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fc00::1", "::ffff:10.0.0.1", PUBLIC, "2606:4700::1111"]
"""Where a company's own registry may be."""


@pytest.mark.parametrize(
    "address", [address for address in PRIVATE if address not in (*OWN, "198.18.0.1", "2001:db8::1")]
)
def test_a_name_that_the_person_gave_leads_to_this_machine_or_its_secrets_no_more_than_others(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(egress, "_connected", lambda targets: None)
    made = Egress(["api.example:443"], {}, lambda host, port: [PUBLIC, address], near=["api.example:443"])
    with socket.create_server((LOOPBACK, 0)) as listener:
        made.serve_proxy(listener)
        assert asked(int(listener.getsockname()[1]), connect("api.example", 443)).startswith(b"HTTP/1.1 403 ")
    assert list(made.refused) == ["api.example leads to this machine or a special address"]


@pytest.mark.parametrize("address", OWN)
def test_a_name_that_the_person_gave_may_lie_in_a_private_network_and_no_other(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[object] = []
    monkeypatch.setattr(egress, "_connected", tried.append)
    allow = ["api.example:443", "other.example:443", "api.example:80"]
    made = Egress(allow, {}, lambda host, port: [address], near=["API.example:443"])
    with socket.create_server((LOOPBACK, 0)) as listener:
        made.serve_proxy(listener)
        at = int(listener.getsockname()[1])
        assert asked(at, connect("api.EXAMPLE.", 443)).startswith(b"HTTP/1.1 502 ")
        assert tried == [[(address, 443)]]
        for host, port in (("other.example", 443), ("api.example", 80)):
            known = b"HTTP/1.1 502 " if is_public(address) else b"HTTP/1.1 403 "
            assert asked(at, connect(host, port)).startswith(known)
    assert is_ordinary(address)


@pytest.mark.parametrize(
    "host", ["gone.example", "a..wild.example", f"{'l' * 64}.wild.example", f"{'a.' * 120}wild.example"]
)
def test_a_name_that_cannot_be_resolved_gets_an_answer(host: str) -> None:
    """By the system's own resolver, which has its own mind about what a name is."""
    made = Egress(["gone.example:443", "*.wild.example:443"], {}, lambda name, port: egress.resolve(name, port))
    with socket.create_server((LOOPBACK, 0)) as listener:
        made.serve_proxy(listener)
        said = asked(int(listener.getsockname()[1]), connect(host, 443))
    assert said.startswith((b"HTTP/1.1 502 ", b"HTTP/1.1 403 ")), said


def test_a_wildcard_means_names_below_and_not_the_name_itself() -> None:
    made = Egress(["*.example.org:443"], {})
    assert made.allows("a.example.org", 443)
    assert made.allows("a.b.EXAMPLE.org.", 443)
    assert not made.allows("example.org", 443)
    assert not made.allows("evilexample.org", 443)
    assert not made.allows("a.example.org", 80)


@pytest.mark.usefixtures("near")
def test_a_new_list_counts_from_now_on_and_ends_nothing(servers: Serve) -> None:
    target = servers(echo)
    made, at = proxy(f"one.example:{target.port}")
    with tunnel(at, "one.example", target.port) as client:
        made.update([f"two.example:{target.port}"])
        assert asked(at, connect("one.example", target.port)).startswith(b"HTTP/1.1 403 ")
        tunnel(at, "two.example", target.port).close()
        client.sendall(b"still here")
        assert client.recv(100) == b"still here"


@pytest.mark.usefixtures("near")
def test_a_side_that_has_said_all_still_hears_the_other(servers: Serve) -> None:
    target = servers(answer)
    _, at = proxy(f"api.example:{target.port}")
    with tunnel(at, "api.example", target.port) as client:
        client.sendall(LONG)
        client.shutdown(socket.SHUT_WR)
        assert everything(client) == b"heard 300000"


@pytest.mark.usefixtures("near")
def test_a_hundred_connections_at_once_keep_their_bytes_apart(servers: Serve) -> None:
    target = servers(echo)
    _, at = proxy(f"api.example:{target.port}")

    def talk(number: int) -> bool:
        sent = f"{number:06}".encode() * 10_000
        with tunnel(at, "api.example", target.port) as client:
            threading.Thread(
                target=lambda: (client.sendall(sent), client.shutdown(socket.SHUT_WR)), daemon=True
            ).start()
            return everything(client) == sent

    with ThreadPoolExecutor(100) as pool:
        assert all(pool.map(talk, range(100)))
    assert target.peers == 100


@pytest.mark.usefixtures("near")
def test_a_way_that_is_stuck_does_not_stop_the_other(servers: Serve) -> None:
    """The service reads only once all of its answer is taken: who carried one way at a time would wait for ever."""

    def stubborn(connection: socket.socket) -> None:
        connection.sendall(LONG * 40)
        answer(connection)

    target = servers(stubborn)
    _, at = proxy(f"api.example:{target.port}")
    with tunnel(at, "api.example", target.port) as client:
        sender = threading.Thread(target=lambda: (client.sendall(LONG * 40), client.shutdown(socket.SHUT_WR)))
        sender.daemon = True
        sender.start()
        said = everything(client)
        assert said.endswith(b"heard 12000000")
        assert len(said) == 12_000_000 + len(b"heard 12000000")


@pytest.mark.usefixtures("near")
def test_connections_are_bounded_and_one_that_ends_makes_room(servers: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(egress, "CONNECTIONS", 3)
    target = servers(echo)
    _, at = proxy(f"api.example:{target.port}")
    open_ones = [tunnel(at, "api.example", target.port) for _ in range(3)]
    with dial(at) as client:
        assert everything(client) == b"", "one too many is closed at once"
    for client in open_ones:
        client.close()
    for _ in range(2000):
        if asked(at, connect("other.example", 443)).startswith(b"HTTP/1.1 403 "):
            return
    pytest.fail("no room was made")


@pytest.mark.usefixtures("near")
def test_a_connection_on_which_nothing_moves_ends(servers: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(egress, "IDLE_S", 0.2)
    target = servers(echo)
    _, at = proxy(f"api.example:{target.port}")
    with tunnel(at, "api.example", target.port) as client:
        assert everything(client) == b""


def test_a_forwarder_leads_to_the_service_that_the_person_named(servers: Serve) -> None:
    named, other = servers(answer), servers(answer)
    made = Egress([], {8080: (LOOPBACK, named.port)})
    with socket.create_server((LOOPBACK, 0)) as listener:
        made.serve_forward(8080, listener)
        with dial(int(listener.getsockname()[1])) as client:
            client.sendall(connect("127.0.0.1", other.port))
            client.shutdown(socket.SHUT_WR)
            assert everything(client).startswith(b"heard "), "it carries bytes and reads none of them"
    assert (named.peers, other.peers) == (1, 0)
    with pytest.raises(KeyError):
        made.serve_forward(other.port, listener)


SHORT_OF = """
import resource, socket, sys, threading
from heddle.holder.egress import Egress
made = Egress([], {})
listener = socket.create_server(("127.0.0.1", 0))
made.serve_proxy(listener)
def ask():
    with socket.create_connection(listener.getsockname(), 10) as client:
        try:
            client.sendall(b"\\r\\n\\r\\n")
            return client.recv(12)
        except OSError:
            return b""
assert ask() == b"HTTP/1.1 400"
kind = getattr(resource, sys.argv[1])
soft, hard = resource.getrlimit(kind)
waiting = [socket.create_connection(listener.getsockname(), 10) for _ in range(8)]
more = [socket.socket() for _ in range(8)]
with open("/proc/self/statm") as told:
    used = int(told.read().split()[0]) * 4096
low = {"RLIMIT_NOFILE": listener.fileno() + 1, "RLIMIT_AS": used + 1_000_000}[sys.argv[1]]
resource.setrlimit(kind, (low, hard))
for one in more:
    try:
        one.connect(listener.getsockname())
        one.settimeout(0.2)
        one.recv(1)
    except OSError:
        pass
resource.setrlimit(kind, (soft, hard))
for one in (*waiting, *more):
    one.close()
for _ in range(100):
    if ask() == b"HTTP/1.1 400":
        print("serves")
        break
"""


@pytest.mark.parametrize("lack", ["RLIMIT_NOFILE", "RLIMIT_AS"])
def test_a_holder_that_ran_short_of_something_serves_again_afterwards(lack: str) -> None:
    """No descriptor for a connection, or no memory for its thread."""
    source = str(Path(egress.__file__).parents[2])
    argv = [sys.executable, "-c", f"import sys; sys.path.insert(0, {source!r})\n{SHORT_OF}", lack]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "serves\n", done.stderr
