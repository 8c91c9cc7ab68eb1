"""The seccomp filter of a session: what none of its processes may ask of the kernel.

Classic BPF over `struct seccomp_data` (seccomp(2)): a deny list, because agents bring any program they like. Denied are
the ways to build namespaces and mounts of one's own, to reach into other processes, and parts of the kernel that
ordinary programs do not need. `clone3` hides its flags in memory, where a filter cannot look: it is said not to exist,
and every libc then uses `clone`.

Where a session has no namespaces of its own, the filter also closes what they would have kept apart: see `Network`.
"""

import os
import struct
from enum import Enum

_X86 = os.uname().machine == "x86_64"
_ARCH = 0xC000003E if _X86 else 0xC00000B7
_LOAD, _AND, _EQUAL, _AT_LEAST, _BITS, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST, _SECOND, _THIRD, _FOURTH = 0, 4, 16, 24, 32, 40
_KILL, _ALLOW, _ASK, _ERROR = 0x80000000, 0x7FFF0000, 0x7FC00000, 0x00050000
_EPERM, _EACCES, _ENOSYS, _EOPNOTSUPP, _EAFNOSUPPORT = 1, 13, 38, 95, 97

_DENIED = {  # x86_64, aarch64
    "acct": (163, 89),
    "add_key": (248, 217),
    "bpf": (321, 280),
    "delete_module": (176, 106),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "setns": (308, 268),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
}
_SHARED = {  # x86_64, aarch64
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "msgctl": (71, 187),
    "msgget": (68, 186),
    "msgrcv": (70, 188),
    "msgsnd": (69, 189),
    "semctl": (66, 191),
    "semget": (64, 190),
    "semop": (65, 193),
    "semtimedop": (220, 192),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "shmget": (29, 194),
}
"""What programs of one user share without a file, unless each has an ipc namespace."""

_IOCTL, _CLONE, _CLONE3, _SOCKET = (16, 56, 435, 41) if _X86 else (29, 220, 435, 198)
_SOCKETPAIR, _PRLIMIT = (53, 302) if _X86 else (199, 261)
_SENDING = ((44, _FOURTH), (46, _THIRD), (307, _FOURTH)) if _X86 else ((206, _FOURTH), (211, _THIRD), (269, _FOURTH))
"""sendto, sendmsg and sendmmsg, with where their flags are."""

_X32_BIT = 0x40000000
_NEW_ANYTHING = 0x7E020000
"""Every CLONE_NEW* flag that clone(2) takes."""

_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_UNIX, _INET, _INET6, _NETLINK = 1, 2, 10, 16
_STREAM, _SEQPACKET, _TYPE, _TCP = 1, 5, 0xF, 6
_FASTOPEN = 0x20000000


class Network(Enum):
    """What sockets a session may make.

    OWN: it has a network namespace. Others share the machine's, and get no socket but those of netlink (NONE) or, of
    inet, TCP streams that its holder makes (STREAMS): see heddle.holder.sockets.
    """

    OWN = "own"
    NONE = "none"
    STREAMS = "streams"


def program(network: Network = Network.OWN) -> list[bytes]:
    """The filter's instructions for this machine. With STREAMS it must be installed with a listener."""
    code = [_op(_LOAD, _ARCHITECTURE), _op(_EQUAL, _ARCH, 1, 0), _op(_RETURN, _KILL), _op(_LOAD, _NUMBER)]
    if _X86:
        code += [_op(_AT_LEAST, _X32_BIT, 0, 1), _op(_RETURN, _KILL)]
    denied = _DENIED if network is Network.OWN else _DENIED | _SHARED
    for x86, arm in denied.values():
        code += [_op(_EQUAL, x86 if _X86 else arm, 0, 1), _refuse(_EPERM)]
    code += [_op(_EQUAL, _CLONE3, 0, 1), _refuse(_ENOSYS)]
    forbidden = [_op(_EQUAL, _TIOCSTI, 1, 0), _op(_EQUAL, _TIOCLINUX, 0, 1), _refuse(_EPERM)]
    code += _when(_IOCTL, [_op(_LOAD, _SECOND), *forbidden])
    code += _when(_CLONE, [_op(_LOAD, _FIRST), _op(_BITS, _NEW_ANYTHING, 0, 1), _refuse(_EPERM)])
    code += _own_network() if network is Network.OWN else _shared_network(network is Network.STREAMS)
    return [*code, _op(_RETURN, _ALLOW)]


def _own_network() -> list[bytes]:
    """Other families (vsock, alg, ...) know no network namespace, or load modules into the kernel."""
    families = (_UNIX, _INET, _INET6, _NETLINK)
    known = [_op(_EQUAL, family, len(families) - at, 0) for at, family in enumerate(families)]
    return _when(_SOCKET, [_op(_LOAD, _FIRST), *known, _refuse(_EAFNOSUPPORT)])


def _shared_network(streams: bool) -> list[bytes]:
    """No way around the holder's sockets and Landlock's port rules.

    A datagram of a socket pair can be sent to any unix socket that has a path; TCP Fast Open connects without being
    asked whether it may; a limit of 0 on the CPU time of a process is a signal to it.
    """
    inet = [_refuse(_EACCES)]
    if streams:
        kind = [_op(_LOAD, _SECOND), _op(_AND, _TYPE), _op(_EQUAL, _STREAM, 1, 0), _refuse(_EACCES)]
        protocol = [_op(_LOAD, _THIRD), _op(_EQUAL, 0, 1, 0), _op(_EQUAL, _TCP, 0, 1), _op(_RETURN, _ASK)]
        inet = [*kind, *protocol, _refuse(_EACCES)]
    family = [_op(_LOAD, _FIRST), _op(_EQUAL, _INET, 3, 0), _op(_EQUAL, _INET6, 2, 0)]
    family += [_op(_EQUAL, _NETLINK, 1 + len(inet), 0), _refuse(_EAFNOSUPPORT)]
    code = _when(_SOCKET, [*family, *inet])
    kinds = [_op(_EQUAL, _STREAM, 2, 0), _op(_EQUAL, _SEQPACKET, 1, 0), _refuse(_EACCES)]
    code += _when(_SOCKETPAIR, [_op(_LOAD, _SECOND), _op(_AND, _TYPE), *kinds])
    for number, flags in _SENDING:
        code += _when(number, [_op(_LOAD, flags), _op(_BITS, _FASTOPEN, 0, 1), _refuse(_EOPNOTSUPP)])
    return code + _when(_PRLIMIT, [_op(_LOAD, _FIRST), _op(_EQUAL, 0, 1, 0), _refuse(_EPERM)])


def _when(number: int, block: list[bytes]) -> list[bytes]:
    """The block for one call alone; its end goes on with the rest."""
    return [_op(_EQUAL, number, 0, len(block) + 1), *block, _op(_LOAD, _NUMBER)]


def _refuse(error: int) -> bytes:
    return _op(_RETURN, _ERROR | error)


def _op(code: int, value: int, when_true: int = 0, when_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, when_true, when_false, value)
