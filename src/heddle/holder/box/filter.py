"""The seccomp filter of a session: what none of its processes may ask of the kernel.

Classic BPF over `struct seccomp_data` (seccomp(2)): a deny list, because agents bring any program they like. Denied are
the ways to build namespaces and mounts of one's own, to reach into other processes, and parts of the kernel that
ordinary programs do not need. `clone3` hides its flags in memory, where a filter cannot look: it is said not to exist,
and every libc then uses `clone`.

A `strict` filter is an allow list: what tools, compilers and agents use. All else is said not to exist, so that a libc
takes the older way round; what the deny list names is refused as ever. Nothing is killed for a call.

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

_ALLOWED = """
read:0:63 write:1:64 open:2: close:3:57 stat:4: fstat:5:80 lstat:6: poll:7: lseek:8:62 mmap:9:222 mprotect:10:226
munmap:11:215 brk:12:214 rt_sigaction:13:134 rt_sigprocmask:14:135 rt_sigreturn:15:139 ioctl:16:29 pread64:17:67
pwrite64:18:68 readv:19:65 writev:20:66 access:21: pipe:22: select:23: sched_yield:24:124 mremap:25:216 msync:26:227
mincore:27:232 madvise:28:233 dup:32:23 dup2:33: pause:34: nanosleep:35:101 getitimer:36:102 alarm:37:
setitimer:38:103 getpid:39:172 sendfile:40:71 socket:41:198 connect:42:203 accept:43:202 sendto:44:206
recvfrom:45:207 sendmsg:46:211 recvmsg:47:212 shutdown:48:210 bind:49:200 listen:50:201 getsockname:51:204
getpeername:52:205 socketpair:53:199 setsockopt:54:208 getsockopt:55:209 clone:56:220 fork:57: vfork:58:
execve:59:221 exit:60:93 wait4:61:260 kill:62:129 uname:63:160 fcntl:72:25 flock:73:32 fsync:74:82 fdatasync:75:83
truncate:76:45 ftruncate:77:46 getdents:78: getcwd:79:17 chdir:80:49 fchdir:81:50 rename:82: mkdir:83: rmdir:84:
creat:85: link:86: unlink:87: symlink:88: readlink:89: chmod:90: fchmod:91:52 chown:92: fchown:93:55 lchown:94:
umask:95:166 gettimeofday:96:169 getrlimit:97:163 getrusage:98:165 sysinfo:99:179 times:100:153 getuid:102:174
getgid:104:176 setuid:105:146 setgid:106:144 geteuid:107:175 getegid:108:177 setpgid:109:154 getppid:110:173
getpgrp:111: setsid:112:157 setreuid:113:145 setregid:114:143 getgroups:115:158 setgroups:116:159 setresuid:117:147
getresuid:118:148 setresgid:119:149 getresgid:120:150 getpgid:121:155 setfsuid:122:151 setfsgid:123:152
getsid:124:156 capget:125:90 capset:126:91 rt_sigpending:127:136 rt_sigtimedwait:128:137 rt_sigqueueinfo:129:138
rt_sigsuspend:130:133 sigaltstack:131:132 utime:132: mknod:133: statfs:137:43 fstatfs:138:44 getpriority:140:141
setpriority:141:140 sched_setparam:142:118 sched_getparam:143:121 sched_setscheduler:144:119
sched_getscheduler:145:120 sched_get_priority_max:146:125 sched_get_priority_min:147:126
sched_rr_get_interval:148:127 mlock:149:228 munlock:150:229 mlockall:151:230 munlockall:152:231 prctl:157:167
arch_prctl:158: setrlimit:160:164 sync:162:81 gettid:186:178 readahead:187:213 setxattr:188:5 lsetxattr:189:6
fsetxattr:190:7 getxattr:191:8 lgetxattr:192:9 fgetxattr:193:10 listxattr:194:11 llistxattr:195:12 flistxattr:196:13
removexattr:197:14 lremovexattr:198:15 fremovexattr:199:16 tkill:200:130 time:201: futex:202:98
sched_setaffinity:203:122 sched_getaffinity:204:123 epoll_create:213: getdents64:217:61 set_tid_address:218:96
restart_syscall:219:128 fadvise64:221:223 timer_create:222:107 timer_settime:223:110 timer_gettime:224:108
timer_getoverrun:225:109 timer_delete:226:111 clock_gettime:228:113 clock_getres:229:114 clock_nanosleep:230:115
exit_group:231:94 epoll_wait:232: epoll_ctl:233:21 tgkill:234:131 utimes:235: waitid:247:95 inotify_init:253:
inotify_add_watch:254:27 inotify_rm_watch:255:28 openat:257:56 mkdirat:258:34 mknodat:259:33 fchownat:260:54
futimesat:261: newfstatat:262:79 unlinkat:263:35 renameat:264:38 linkat:265:37 symlinkat:266:36 readlinkat:267:78
fchmodat:268:53 faccessat:269:48 pselect6:270:72 ppoll:271:73 set_robust_list:273:99 get_robust_list:274:100
splice:275:76 tee:276:77 sync_file_range:277:84 utimensat:280:88 epoll_pwait:281:22 signalfd:282:
timerfd_create:283:85 eventfd:284: fallocate:285:47 timerfd_settime:286:86 timerfd_gettime:287:87 accept4:288:242
signalfd4:289:74 eventfd2:290:19 epoll_create1:291:20 dup3:292:24 pipe2:293:59 inotify_init1:294:26 preadv:295:69
pwritev:296:70 rt_tgsigqueueinfo:297:240 recvmmsg:299:243 prlimit64:302:261 syncfs:306:267 sendmmsg:307:269
getcpu:309:168 sched_setattr:314:274 sched_getattr:315:275 renameat2:316:276 seccomp:317:277 getrandom:318:278
memfd_create:319:279 execveat:322:281 membarrier:324:283 mlock2:325:284 copy_file_range:326:285 preadv2:327:286
pwritev2:328:287 statx:332:291 rseq:334:293 pidfd_send_signal:424:424 pidfd_open:434:434 close_range:436:436
openat2:437:437 faccessat2:439:439 epoll_pwait2:441:441 landlock_create_ruleset:444:444 landlock_add_rule:445:445
landlock_restrict_self:446:446 fchmodat2:452:452
"""
"""What a strict filter lets through: name, number on x86_64, number on aarch64 (none: it is not there). Not on it are
shared memory and queues of System V and POSIX, memory policies and keys, asynchronous I/O, handles of files, clocks to be
set, personalities, the kernel's log, and whatever kernels learn after this list."""

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


def program(network: Network = Network.OWN, *, strict: bool = False) -> list[bytes]:
    """The filter's instructions for this machine. With STREAMS it must be installed with a listener."""
    code = [_op(_LOAD, _ARCHITECTURE), _op(_EQUAL, _ARCH, 1, 0), _op(_RETURN, _KILL), _op(_LOAD, _NUMBER)]
    if _X86:
        code += [_op(_AT_LEAST, _X32_BIT, 0, 1), _op(_RETURN, _KILL)]
    denied = _DENIED if network is Network.OWN else _DENIED | _SHARED
    refused = {x86 if _X86 else arm for x86, arm in denied.values()}
    if not strict:
        for number in sorted(refused):
            code += [_op(_EQUAL, number, 0, 1), _refuse(_EPERM)]
    code += [_op(_EQUAL, _CLONE3, 0, 1), _refuse(_ENOSYS)]
    forbidden = [_op(_EQUAL, _TIOCSTI, 1, 0), _op(_EQUAL, _TIOCLINUX, 0, 1), _refuse(_EPERM)]
    code += _when(_IOCTL, [_op(_LOAD, _SECOND), *forbidden])
    code += _when(_CLONE, [_op(_LOAD, _FIRST), _op(_BITS, _NEW_ANYTHING, 0, 1), _refuse(_EPERM)])
    code += _own_network() if network is Network.OWN else _shared_network(network is Network.STREAMS)
    return [*code, *(_listed(refused) if strict else [_op(_RETURN, _ALLOW)])]


def allowed() -> dict[str, int]:
    """The calls that a strict filter lets through on this machine, by name."""
    calls = (word.split(":") for word in _ALLOWED.split())
    numbers = {name: x86 if _X86 else arm for name, x86, arm in calls}
    return {name: int(number) for name, number in numbers.items() if number}


def _listed(refused: set[int]) -> list[bytes]:
    """The verdict on every number that can be asked: a search by halves over the ranges with the same one."""
    verdicts = {number: _op(_RETURN, _ALLOW) for number in allowed().values()}
    verdicts |= dict.fromkeys(refused, _refuse(_EPERM))
    unknown, ranges = _refuse(_ENOSYS), list[tuple[int, bytes]]()
    for number in range(max(verdicts) + 2):
        verdict = verdicts.get(number, unknown)
        if not ranges or ranges[-1][1] != verdict:
            ranges.append((number, verdict))
    return _search(ranges)


def _search(ranges: list[tuple[int, bytes]]) -> list[bytes]:
    """Which of these ranges (first number and verdict, in order) the number lies in. A jump goes no further than 255."""
    if len(ranges) == 1:
        return [ranges[0][1]]
    middle = len(ranges) // 2
    lower, upper = _search(ranges[:middle]), _search(ranges[middle:])
    return [_op(_AT_LEAST, ranges[middle][0], len(lower), 0), *lower, *upper]


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
