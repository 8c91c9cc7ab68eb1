"""The seccomp filter of a box: what no process inside may ask of the kernel.

Classic BPF over `struct seccomp_data` (seccomp(2)): a deny list, because agents bring any program they like. Denied are
the ways to build namespaces and mounts of one's own, to reach into other processes, and parts of the kernel that
ordinary programs do not need. `clone3` hides its flags in memory, where a filter cannot look: it is said not to exist,
and every libc then uses `clone`.
"""

import os
import struct

_X86 = os.uname().machine == "x86_64"
_ARCH = 0xC000003E if _X86 else 0xC00000B7
_LOAD, _EQUAL, _AT_LEAST, _BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST, _SECOND = 0, 4, 16, 24
_KILL, _ALLOW, _ERROR = 0x80000000, 0x7FFF0000, 0x00050000
_EPERM, _ENOSYS, _EAFNOSUPPORT = 1, 38, 97

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
_IOCTL, _CLONE, _CLONE3, _SOCKET = (16, 56, 435, 41) if _X86 else (29, 220, 435, 198)
_X32_BIT = 0x40000000
_NEW_ANYTHING = 0x7E020000
"""Every CLONE_NEW* flag that clone(2) takes."""

_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_FAMILIES = (1, 2, 10, 16)
"""Sockets of the families unix, inet, inet6 and netlink: others (vsock, alg, ...) know no network namespace, or load
modules into the kernel."""


def program() -> list[bytes]:
    """The filter's instructions for this machine."""
    code = [_op(_LOAD, _ARCHITECTURE), _op(_EQUAL, _ARCH, 1, 0), _op(_RETURN, _KILL), _op(_LOAD, _NUMBER)]
    if _X86:
        code += [_op(_AT_LEAST, _X32_BIT, 0, 1), _op(_RETURN, _KILL)]
    for x86, arm in _DENIED.values():
        code += [_op(_EQUAL, x86 if _X86 else arm, 0, 1), _op(_RETURN, _ERROR | _EPERM)]
    code += [_op(_EQUAL, _CLONE3, 0, 1), _op(_RETURN, _ERROR | _ENOSYS)]
    code += [_op(_EQUAL, _IOCTL, 0, 5), _op(_LOAD, _SECOND), _op(_EQUAL, _TIOCSTI, 1, 0), _op(_EQUAL, _TIOCLINUX, 0, 1)]
    code += [_op(_RETURN, _ERROR | _EPERM), _op(_LOAD, _NUMBER)]
    known = [_op(_EQUAL, family, len(_FAMILIES) - at, 0) for at, family in enumerate(_FAMILIES)]
    code += [_op(_EQUAL, _SOCKET, 0, len(known) + 3), _op(_LOAD, _FIRST), *known]
    code += [_op(_RETURN, _ERROR | _EAFNOSUPPORT), _op(_LOAD, _NUMBER)]
    code += [_op(_EQUAL, _CLONE, 0, 3), _op(_LOAD, _FIRST), _op(_BITS, _NEW_ANYTHING, 0, 1)]
    return [*code, _op(_RETURN, _ERROR | _EPERM), _op(_RETURN, _ALLOW)]


def _op(code: int, value: int, when_true: int = 0, when_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, when_true, when_false, value)
