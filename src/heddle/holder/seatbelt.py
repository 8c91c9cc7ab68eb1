"""Seatbelt (macOS, sandbox-exec(1)): the profile that keeps a process, and all that it starts, to what is named in it.

Everything is denied that no rule allows; where two rules speak of the same thing, the later one holds. Paths are compared
with those that the kernel knows, so they must be without links. It starts programs with rights of their own (setuid) in
the same sandbox, and nothing takes a process out of it.
"""

import os
import unicodedata
from collections.abc import Iterable

SANDBOX_EXEC = "/usr/bin/sandbox-exec"

SERVICES = (
    "com.apple.system.opendirectoryd.libinfo",
    "com.apple.system.opendirectoryd.membership",
    "com.apple.trustd.agent",
)
"""All that is asked of the system's services: who a user is, which groups they are in, whether a certificate is to be
trusted. Not the keychain, the clipboard, preferences, other programs or events of files."""

SEMAPHORES = ("/mp-", "/loky-")
"""How the semaphores of Python's multiprocessing begin: they have no place in a folder."""

STREAMS = ("stdin", "stdout", "stderr")
_PROCESSES = """\
(version 1)
(deny default)

(allow process-fork)
(allow process-info* (target same-sandbox))
(allow signal (target same-sandbox))
(allow sysctl-read)
(deny sysctl-read (sysctl-name-prefix "kern.procargs"))
"""
"""The last line: the command lines and environments of other processes."""

_TERMINALS = """\
; a terminal that was made in here, and what can be told of one that was handed in; the person's are neither
(allow pseudo-tty)
(allow file-read* file-write* file-ioctl (literal "/dev/ptmx"))
(allow file-read* file-write*
  (require-all (regex #"^/dev/ttys[0-9]+$") (extension "com.apple.sandbox.pty")))
(allow file-ioctl (literal "/dev/tty") (regex #"^/dev/ttys[0-9]+$"))
"""


def enclosed(text: str, file: str, argv: Iterable[str]) -> list[str]:
    """What runs a program by a profile, which is left in a file for it. Raises OSError."""
    draft = f"{file}.{os.getpid()}"
    with open(draft, "w", encoding="utf-8") as place:
        place.write(text)
    os.replace(draft, file)
    return [SANDBOX_EXEC, "-f", file, "--", *argv]


def profile(rules: Iterable[tuple[str, str]], binds: Iterable[int] = (), connects: Iterable[int] = ()) -> str:
    """A profile of rules (kind and path) and ports of the loopback.

    Kinds: `read` and `write` with all that lies below; `device`; `link`, which may be followed; `hidden`, of what may be
    read; `pinned`, of what may be written: it may be read, and stays where it is. Raises ValueError for a path that cannot
    be named.
    """
    of = dict[str, list[str]]()
    for kind, path in rules:
        of.setdefault(kind, []).append(path)
    read, write = of.get("read", []), of.get("write", [])
    parts = (
        _PROCESSES,
        _allow("process-exec file-map-executable file-read* file-test-existence", "subpath", (*read, *write)),
        _deny("process-exec file-map-executable file-read* file-test-existence", "subpath", of.get("hidden", [])),
        _allow("file-write*", "subpath", write),
        _deny("file-write*", "subpath", of.get("pinned", [])),
        _deny("file-write-unlink", "literal", (*write, *_between(of.get("pinned", []), write))),
        _allow("file-read*", "literal", ("/",)),
        _allow(
            "file-read-metadata file-test-existence", "literal", _above(path for named in of.values() for path in named)
        ),
        _allow("file-read* file-write-data file-ioctl", "literal", of.get("device", [])),
        _allow("file-read* file-write-data", "subpath", ("/dev/fd",)),
        _allow("file-read-metadata", "literal", (*of.get("link", []), *(f"/dev/{name}" for name in STREAMS))),
        _TERMINALS,
        _allow("mach-lookup", "global-name", SERVICES),
        _allow("ipc-posix-sem", "ipc-posix-name-prefix", SEMAPHORES),
        _network(write, tuple(binds), tuple(connects)),
    )
    return "\n".join(part for part in parts if part)


def quoted(text: str) -> str:
    """A text between quotes. Raises ValueError for what has control characters, or is no text."""
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in text):
        raise ValueError(f"{text!r} has characters that no profile can name")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _network(write: Iterable[str], binds: tuple[int, ...], connects: tuple[int, ...]) -> str:
    """Sockets that lie where the session may write, and ports of the loopback; nothing else can be reached or heard."""
    places = tuple(write)
    lines = ["(allow system-socket (socket-domain AF_UNIX))\n"] if places else []
    for path in places:
        lines += [f"(allow network-bind network-inbound (local unix-socket (subpath {quoted(path)})))\n"]
        lines += [f"(allow network-outbound (remote unix-socket (subpath {quoted(path)})))\n"]
    for port in binds:
        lines += [f'(allow network-bind network-inbound (local ip "localhost:{int(port)}"))\n']
    for port in dict.fromkeys((*connects, *binds)):
        lines += [f'(allow network-outbound (remote ip "localhost:{int(port)}"))\n']
    return "".join(lines)


def _allow(operations: str, filter: str, names: Iterable[str]) -> str:
    return _rule("allow", operations, filter, names)


def _deny(operations: str, filter: str, names: Iterable[str]) -> str:
    return _rule("deny", operations, filter, names)


def _rule(verb: str, operations: str, filter: str, names: Iterable[str]) -> str:
    """One rule; none at all without a name, since a rule without a filter would hold for everything."""
    lines = "".join(f"\n  ({filter} {quoted(name)})" for name in dict.fromkeys(names))
    return f"({verb} {operations}{lines})\n" if lines else ""


def _above(paths: Iterable[str]) -> list[str]:
    """The folders on the way: programs ask what each of them is, and see nothing of what else lies there."""
    found = dict[str, None]()
    for path in paths:
        while (path := os.path.dirname(path)) != "/":
            found[path] = None
    return sorted(found)


def _between(pinned: Iterable[str], write: Iterable[str]) -> list[str]:
    """The folders between what is pinned and what it lies in: moved elsewhere, they would take it along."""
    roots = tuple(write)
    return [path for path in _above(pinned) if any(path.startswith(f"{root}/") for root in roots)]
