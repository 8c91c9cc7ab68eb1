"""What the standard library does not offer of Linux: namespaces, mounts, capabilities, the seccomp filter."""

import ctypes
import fcntl
import os
import re
import socket
import struct
from collections.abc import Sequence

NEW_ALL = 0x02000000 | 0x00020000 | 0x08000000 | 0x04000000 | 0x10000000 | 0x20000000 | 0x40000000
"""cgroup, mount, ipc, uts, user, pid and network namespaces."""

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REC, MS_PRIVATE, MS_BIND = 1, 2, 4, 8, 0x4000, 0x40000, 0x1000
ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV = 1, 2, 4

_DETACH = 2
_AT_FDCWD, _AT_RECURSIVE, _AT_EMPTY_PATH = -100, 0x8000, 0x1000
_PDEATHSIG, _DUMPABLE, _CAPBSET_DROP, _SECUREBITS, _NO_NEW_PRIVS = 1, 4, 24, 28, 38
_SET_FILTER, _LISTENER = 1, 1 << 3 | 1 << 5
"""A new listener, and calls that wait for its answer give way to nothing but a deadly signal."""

_NOROOT_FOR_EVER = 0x2F
"""Keep no capabilities by uid 0, nor over a change of uid, nor ambient ones; none of it can be undone."""

_ARM = os.uname().machine == "aarch64"
_PIVOT_ROOT, _CAPSET, _SECCOMP_CALL = (41, 91, 277) if _ARM else (155, 126, 317)
_MOUNT_SETATTR = 442
_CAP_VERSION_3 = 0x20080522
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1

_libc = ctypes.CDLL(None, use_errno=True)


def release() -> tuple[int, ...]:
    """The kernel's version, as far as it is numbers: (6, 14) and the like."""
    return tuple(int(part) for part in re.findall(r"\d+", os.uname().release)[:2])


def unshare(flags: int) -> None:
    """New namespaces for the calling process. Raises OSError."""
    _require(_libc.unshare(flags), "namespaces")


def map_own_ids(uid: int, gid: int) -> None:
    """In a fresh user namespace: be who we were, and nobody else. Raises OSError."""
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def mount(kind: str, source: str, target: str, flags: int = 0, options: str = "") -> None:
    """mount(2). Raises OSError that names the target."""
    told = (source.encode(), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), options.encode())
    _require(_libc.mount(*told), f"mount of {kind or source}")


def bind(source: int, target: int) -> None:
    """Have what `source` shows also at `target`, with everything mounted below it; both are descriptors."""
    mount("", f"/proc/self/fd/{source}", f"/proc/self/fd/{target}", MS_BIND | MS_REC)


def restrict(path: str, attributes: int, *, below: bool = True) -> None:
    """Take rights from a mount, and from those below it. Raises OSError."""
    attr = struct.pack("=QQQQ", attributes, 0, 0, 0)
    flags = _AT_RECURSIVE if below else 0
    told = (ctypes.c_long(_MOUNT_SETATTR), _AT_FDCWD, os.fsencode(path), flags, attr, ctypes.c_size_t(len(attr)))
    _require(_libc.syscall(*told), f"rights of '{path}'")


def move_root(root: str) -> None:
    """Make `root`, a mount point, the root; the old one is out of reach afterwards. Raises OSError."""
    os.chdir(root)
    _require(_libc.syscall(ctypes.c_long(_PIVOT_ROOT), b".", b"."), "change of root")
    _require(_libc.umount2(b".", _DETACH), "leaving the old root")
    os.chdir("/")


def raise_loopback() -> None:
    """Switch the network namespace's own loopback on. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        ask = struct.pack("16sh22x", b"lo", 0)
        flags = struct.unpack("16sh22x", fcntl.ioctl(probe, _SIOCGIFFLAGS, ask))[1]
        fcntl.ioctl(probe, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | _IFF_UP))


def drop_capabilities() -> None:
    """No capability any more, for this process and whatever it starts, uid 0 included. Raises OSError."""
    _prctl(_SECUREBITS, _NOROOT_FOR_EVER, "secure bits")
    capability = 0
    while _libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0) == 0:
        capability += 1
    hold_no_capabilities()


def hold_no_capabilities() -> None:
    """No capability now; where no new privileges can be had, none later either. Raises OSError."""
    header, none = struct.pack("=Ii", _CAP_VERSION_3, 0), bytes(24)
    _require(_libc.syscall(ctypes.c_long(_CAPSET), header, none), "dropping capabilities")


def forgo_privileges() -> None:
    """No program gives more rights than we have, for this process and whatever it starts. Raises OSError."""
    _prctl(_NO_NEW_PRIVS, 1, "no new privileges")


def close_up() -> None:
    """Neither memory nor descriptors of this process can be reached from others of the same user."""
    _prctl(_DUMPABLE, 0, "dumpable")


def install_filter(program: Sequence[bytes], *, listener: bool = False) -> int:
    """No new privileges, and a seccomp filter, for this process and whatever it starts. Raises OSError.

    With a `listener` the answer is a descriptor on which the filter's questions are heard (seccomp_unotify(2)).
    """
    forgo_privileges()
    code = b"".join(program)
    buffer = ctypes.create_string_buffer(code, len(code))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    told = ctypes.byref(Program(len(program), ctypes.addressof(buffer)))
    flags = ctypes.c_ulong(_LISTENER if listener else 0)
    result: int = _libc.syscall(ctypes.c_long(_SECCOMP_CALL), ctypes.c_uint(_SET_FILTER), flags, told)
    _require(min(result, 0), "seccomp filter")
    return result


def end_with_parent(number: int = 9) -> None:
    """Be killed, or get another signal, when the thread that forked us ends."""
    _prctl(_PDEATHSIG, number, "parent death signal")


def _prctl(option: int, value: int, what: str) -> None:
    _require(_libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0), what)


def _require(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
