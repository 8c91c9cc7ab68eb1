"""Landlock: giving up, for a process and all that it starts, every file and TCP port but those named (landlock(7)).

Rules only ever add: what lies below a folder that may be written may be written too. They are bound to what is there
now, not to its name. Not everything is governed: who may not open a file may still learn that it is there and how large
it is, and change the mode and the times of one of their own.
"""

import ctypes
import os
import stat
import struct
from collections.abc import Iterable

LEAST = 3
"""The version (ABI) below which files that may only be read could be emptied. Linux 6.2."""

PORTS = 4
"""The version that knows of TCP ports. Linux 6.7."""

SIGNALS = 6
"""The version that keeps signals from processes outside. Linux 6.12."""

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_ASK_VERSION, _BENEATH, _PORT = 1, 1, 2
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE = (1 << bit for bit in range(6))
_MAKE_DIR, _MAKE_REG, _MAKE_FIFO, _MAKE_SYM = 1 << 7, 1 << 8, 1 << 10, 1 << 12
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_BIND, _CONNECT = 1, 2
_ABSTRACT_SOCKETS, _SIGNALS = 1, 2

_SINCE = ((1, _REFER - 1), (2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEV))
_OF_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_WRITE = _READ | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _MAKE_FIFO | _MAKE_SYM
RIGHTS = {"read": _READ, "write": _WRITE | _REFER | _TRUNCATE, "device": _READ_FILE | _WRITE_FILE | _IOCTL_DEV}
"""What a kind of rule gives. Nobody makes devices or sockets."""

_libc = ctypes.CDLL(None, use_errno=True)


def abi() -> int:
    """The version that this kernel speaks. Raises OSError where Landlock is not built in, not on, or kept from us."""
    return _call("landlock", _CREATE, None, ctypes.c_size_t(0), _ASK_VERSION)


def restrict(rules: Iterable[tuple[str, str]], binds: Iterable[int] = (), connects: Iterable[int] = ()) -> None:
    """Keep the calling process to these rules (kind and path) and ports, for ever. It must have forgone privileges.

    Everything that the kernel can govern is governed. What may be written must be there, and is no link; what may only
    be read is left out where it is not. Raises OSError.
    """
    version = abi()
    attributes = struct.pack("=QQQ", _governed(version), _BIND | _CONNECT, _ABSTRACT_SOCKETS | _SIGNALS)
    size = 24 if version >= SIGNALS else 16 if version >= PORTS else 8
    ruleset = _call("landlock", _CREATE, attributes[:size], ctypes.c_size_t(size), 0)
    try:
        for kind, path in rules:
            try:
                _allow(ruleset, RIGHTS[kind] & _governed(version), path, os.O_NOFOLLOW if kind == "write" else 0)
            except FileNotFoundError:
                if kind == "write":
                    raise
        if version >= PORTS:
            for right, ports in ((_BIND, binds), (_CONNECT, connects)):
                for port in ports:
                    _call(f"port {port}", _ADD, ruleset, _PORT, struct.pack("=QQ", right, port), 0)
        _call("landlock", _RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)


def _governed(version: int) -> int:
    """Every right over files that the version knows."""
    return sum(rights for since, rights in _SINCE if version >= since)


def _allow(ruleset: int, rights: int, path: str, flags: int) -> None:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC | flags)
    try:
        mode = os.fstat(place).st_mode
        if stat.S_ISLNK(mode):
            raise NotADirectoryError(20, "a link is in the way", path)
        allowed = rights if stat.S_ISDIR(mode) else rights & _OF_A_FILE
        _call(f"'{path}'", _ADD, ruleset, _BENEATH, struct.pack("=Qi", allowed, place), 0)
    finally:
        os.close(place)


def _call(what: str, number: int, *args: object) -> int:
    result: int = _libc.syscall(ctypes.c_long(number), *args)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result
