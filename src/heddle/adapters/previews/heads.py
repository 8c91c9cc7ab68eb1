"""Heads of HTTP messages: what is not beyond doubt is refused, so that nobody reads one otherwise than it is read here."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

HEAD_LIMIT = 65_536

SAFE = frozenset({b"GET", b"HEAD", b"OPTIONS"})
"""Methods with which a foreign page changes nothing."""

_REQUEST = re.compile(rb"([A-Z][A-Z-]{0,31}) ([\x21-\x7e]+) HTTP/1\.[01]")
_ANSWER = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t\x20-\x7e\x80-\xff]*)")
_DIGITS = re.compile(rb"[0-9]{1,18}")

HOP = (b"connection", b"keep-alive", b"proxy-connection", b"upgrade")
"""What is between two that talk to each other, and no concern of the next."""


class Unfit(Exception):
    """A message that goes no further: the status that tells so, and why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


@dataclass(frozen=True, slots=True)
class Head:
    """First line and fields as they came: names in lower case, and each whole line."""

    first: bytes
    fields: tuple[tuple[bytes, bytes], ...]

    def values(self, name: bytes) -> list[bytes]:
        """What all fields of that name say."""
        return [line.partition(b":")[2].strip(b" \t") for known, line in self.fields if known == name]

    def tokens(self, name: bytes) -> set[bytes]:
        """The items of a list, in lower case."""
        return {item.strip(b" \t").lower() for value in self.values(name) for item in value.split(b",")}

    def without(self, names: Iterable[bytes]) -> "Head":
        """All but the fields of these names."""
        return replace(self, fields=tuple(field for field in self.fields if field[0] not in names))

    def encoded(self, *more: bytes) -> bytes:
        """As it is sent, with further lines."""
        return b"\r\n".join((self.first, *(line for _, line in self.fields), *more, b"", b""))


@dataclass(frozen=True, slots=True)
class Request:
    """A request's head. `length` of its body; None: in chunks. `upgrades`: to a WebSocket."""

    head: Head
    method: bytes
    host: str
    length: int | None
    upgrades: bool

    def is_of(self, origin: str) -> bool:
        """Whether no page of another origin has a part in it, where that would matter."""
        if self.method in SAFE and not self.head.values(b"upgrade"):
            return True
        return all(value == origin.encode() for value in self.head.values(b"origin"))

    def onward(self) -> bytes:
        """As it goes on: one request for each connection."""
        if self.upgrades:
            return self.head.encoded()
        return self.head.without(HOP).encoded(b"Connection: close")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer's head."""

    head: Head
    status: int

    def onward(self) -> bytes:
        """As it goes on: no cookie is for more than the name that was asked."""
        fields = tuple((name, _own(line) if name == b"set-cookie" else line) for name, line in self.head.fields)
        head = replace(self.head, fields=fields)
        if self.status < 200:
            return head.encoded()
        return head.without(HOP).encoded(b"Connection: close")


def request(data: bytes) -> Request:
    """A request by its head. Raises Unfit."""
    head = _head(data)
    line = _REQUEST.fullmatch(head.first)
    if line is None:
        raise Unfit(400, "this is no request")
    hosts = head.values(b"host")
    if len(hosts) != 1 or not (line[2].startswith(b"/") or line[2] == b"*"):
        raise Unfit(421, "a request names its host once, in its Host field, and nowhere else")
    length = _length(head)
    upgrades = head.tokens(b"upgrade") == {b"websocket"} and b"upgrade" in head.tokens(b"connection")
    if upgrades and (length != 0 or line[1] != b"GET"):
        raise Unfit(400, "a WebSocket begins with a GET without a body")
    return Request(head, line[1], hosts[0].decode("latin-1").lower(), length, upgrades)


def answer(data: bytes) -> Answer:
    """An answer by its head. Raises Unfit."""
    try:
        head = _head(data)
    except Unfit as unfit:
        raise Unfit(502, "the server in the session gave an answer that makes no sense") from unfit
    line = _ANSWER.fullmatch(head.first)
    if line is None:
        raise Unfit(502, "what answers in the session does not speak HTTP/1")
    return Answer(head, int(line[1]))


def _head(data: bytes) -> Head:
    first, *lines = data.removesuffix(b"\r\n\r\n").split(b"\r\n")
    fields = []
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise Unfit(400, "a field of the head makes no sense")
        fields.append((field[1].lower(), line))
    return Head(first, tuple(fields))


def _length(head: Head) -> int | None:
    lengths, codings = head.values(b"content-length"), head.values(b"transfer-encoding")
    if not codings and not lengths:
        return 0
    if not codings and len(lengths) == 1 and _DIGITS.fullmatch(lengths[0]):
        return int(lengths[0])
    if not lengths and [coding.lower() for coding in codings] == [b"chunked"]:
        return None
    raise Unfit(400, "it is not clear how long the request is")


def _own(line: bytes) -> bytes:
    """A Set-Cookie field without the attribute that would hand the cookie to other names."""
    cookie, *attributes = line.split(b";")
    kept = (one for one in attributes if one.partition(b"=")[0].strip(b" \t").lower() != b"domain")
    return b";".join((cookie, *kept))
