"""What a sandbox shows of the machine: the system read-only, the person's tools read-only, nothing else of theirs."""

import configparser
import os
import pwd
import stat
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import heddle
from heddle.ports import Mount, View

PASSED = frozenset(("PATH", "USER", "LOGNAME", "LANG", "LANGUAGE", "TERM", "TZ"))
"""What a session's process gets of the daemon's environment, LC_* beside."""

LIMITS = {"FSIZE": 1 << 30, "CORE": 0, "NOFILE": 16_384}
"""Resource limits: bytes of one file, bytes of a core file, open files of a process."""

PROCESSES = 1024
"""What a box may hold: in a user namespace of its own, its processes alone are counted."""

TASKS = 8192
"""How many more processes and threads a session's user may have than at its start, where they cannot be counted apart."""

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
"""Of /dev, where there is none of the session's own."""

RESERVED_PIDS = 300
"""Numbers that the kernel hands out but once."""

SYSTEM = ("/usr", "/etc", "/opt")
LINKED = ("/bin", "/sbin", "/lib", "/lib32", "/lib64")
HIDDEN = (
    *("/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/sudoers", "/etc/sudoers.d"),
    *("/etc/ssh", "/etc/ssl/private", "/etc/krb5.keytab", "/etc/NetworkManager", "/etc/wireguard", "/etc/openvpn"),
    *("/etc/docker", "/etc/kubernetes", "/etc/resolv.conf"),
)
"""Parts of the system that are nobody's business inside, also where the daemon's user may read them."""

SECRET = (
    *(".ssh", ".aws", ".gnupg", ".azure", ".kube", ".docker", ".config", ".password-store", ".mozilla", ".netrc"),
    *(
        ".pgpass",
        ".npmrc",
        ".pypirc",
        ".git-credentials",
        ".gitconfig",
        ".local/share/keyrings",
        ".local/share/opencode",
        ".terraform.d",
    ),
    *(".claude", ".codex", ".gemini", ".local/state", ".cache", ".bash_history", ".zsh_history"),
)
"""Below HOME: never shown, even where a tool's path leads through it."""

COMPANIONS = {".cargo/bin": (".rustup",), ".pyenv/shims": (".pyenv",), ".asdf/shims": (".asdf",), "go/bin": ("go",)}
"""Tools below HOME that need more than their own folder."""

LINKS_LIMIT = 400
"""At most so many entries of one PATH folder are followed to what they link to."""

MB = 1024 * 1024
TMP = "/tmp"  # noqa: S108 - the box's own, which nobody else can reach


@dataclass(frozen=True, slots=True)
class Shown:
    """What every box shows besides, read-only: `files` alone, `programs` with what they need to run; all absolute."""

    files: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()


NOTHING = Shown()


def places(view: View, environment: Mapping[str, str], shown: Shown = NOTHING) -> list[dict[str, Any]]:
    """The places of a box in the order in which they are made: see heddle.holder.box.rooms."""
    home = home_of(environment)
    found = [_read(path) for path in SYSTEM]
    for path in LINKED:
        linked = os.path.islink(path)
        found.append({"kind": "link", "at": path, "source": os.readlink(path)} if linked else _read(path))
    found += [_hide(path) for path in hidden() if os.path.exists(path) and not os.path.islink(path)]
    found += [
        {"kind": "proc", "at": "/proc", "pids": PROCESSES + RESERVED_PIDS},
        {"kind": "dev", "at": "/dev", "size": 64 * MB},
    ]
    found += [_empty(TMP, 512 * MB, 0o1777), _empty("/run", 16 * MB, 0o755), _empty("/var", 16 * MB, 0o755)]
    found += [{"kind": "link", "at": f"/var{TMP}", "source": TMP}]
    found += [{"kind": "write", "at": home, "source": view.home}]
    trees = [mount.at for mount in view.mounts if mount.kind in ("overlay", "write")]
    own = own_places()
    found += [_read(path) for path in tools(environment, shown) if not any(lies_in(path, tree) for tree in trees)]
    found += [_mount(mount) for mount in view.mounts]
    found += [_read(path) for path in shown.files]
    found += [_read(path) for path in own if any(lies_in(path, tree) for tree in trees)]
    return found


def environment_inside(environment: Mapping[str, str], home: str, tmp: str) -> dict[str, str]:
    """What every process of a session has in its environment; `home` and `tmp` are its own."""
    kept = {name: value for name, value in environment.items() if name in PASSED or name.startswith("LC_")}
    return {"PATH": os.defpath, **kept, "HOME": home, "SHELL": "/bin/sh", "TMPDIR": tmp}


def rules(view: View, environment: Mapping[str, str], shown: Shown = NOTHING) -> list[tuple[str, str]]:
    """The same for Landlock, kind and path: see heddle.holder.landlock.

    Rules only add. So a folder with something hidden below it is named entry by entry, and its own list of names is not
    shown; what comes into it later is not either. And nothing is named that lies where the session may write: it could
    have put a link there. The terminals in /dev/pts are the person's too, and so is what programs share in /dev/shm.
    """
    written = sorted({view.home, *(mount.source for mount in view.mounts if mount.kind == "write")})
    outermost = [path for path in written if not any(lies_in(path, other) for other in written if other != path)]
    read = [path for place in (*SYSTEM, *LINKED) for path in _around(place)]
    read += ["/proc", *tools(environment, shown), *shown.files]
    read += [mount.source for mount in view.mounts if mount.kind == "read"]
    found = [("read", path) for path in read if not any(lies_in(path, other) for other in outermost)]
    found += [("device", f"/dev/{name}") for name in DEVICES]
    return [*found, *(("write", path) for path in outermost)]


def _around(place: str) -> Iterable[str]:
    """What of a place of the system is nobody's secret; links in it lead to what is shown, or nowhere."""
    if place in HIDDEN or os.path.islink(place):
        return
    if not any(lies_in(path, place) for path in HIDDEN):
        yield place
        return
    for name in sorted(os.listdir(place)) if os.path.isdir(place) else ():
        yield from _around(os.path.join(place, name))


def home_of(environment: Mapping[str, str]) -> str:
    """Where HOME is, inside as outside."""
    home = environment.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir
    return home if home.startswith("/") and home != "/" else "/home/heddle"


def tools(environment: Mapping[str, str], shown: Shown = NOTHING) -> tuple[str, ...]:
    """Files and folders outside of the system that PATH, agents and Heddle itself need to work; outermost ones only."""
    home = home_of(environment)
    wanted = [*own_places()]
    for folder in environment.get("PATH", "").split(os.pathsep):
        if folder.startswith("/") and os.path.isdir(folder):
            wanted += _of_folder(os.path.normpath(folder), home)
    for program in shown.programs:
        wanted += [program, *_of_target(os.path.realpath(program), home)]
    secrets = [os.path.join(home, name) for name in SECRET]
    shown_ones = (path for path in dict.fromkeys(wanted) if not _is_out_of_bounds(path, home, secrets))
    known = sorted(shown_ones, key=lambda path: (len(path), path))
    outermost: list[str] = []
    for path in known:
        if not any(lies_in(path, other) for other in (*outermost, *SYSTEM, *LINKED)):
            outermost.append(path)
    return tuple(outermost)


def own_places() -> tuple[str, ...]:
    """Where Heddle's interpreter and its package lie."""
    package = str(Path(heddle.__file__).resolve().parent.parent)
    return tuple(
        dict.fromkeys((sys.prefix, sys.base_prefix, os.path.dirname(os.path.realpath(sys.executable)), package))
    )


def hidden() -> tuple[str, ...]:
    """HIDDEN, and for the administrator what nobody else may read below /etc: inside it would be theirs to read."""
    if os.getuid() != 0:
        return HIDDEN
    found = list(HIDDEN)
    for folder, names, files in os.walk("/etc"):
        closed = [name for name in (*names, *files) if _is_closed(os.path.join(folder, name))]
        names[:] = [name for name in names if name not in closed]
        found += [os.path.join(folder, name) for name in closed]
    return tuple(dict.fromkeys(path for path in found if not any(path.startswith(f"{other}/") for other in found)))


def _is_closed(path: str) -> bool:
    """Whether it is a file or a folder that others may not read."""
    try:
        mode = os.lstat(path).st_mode
    except OSError:  # it went meanwhile
        return False
    return (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) and not mode & stat.S_IROTH


def _of_folder(folder: str, home: str) -> Iterable[str]:
    """A folder of PATH with what its entries need."""
    yield folder
    yield from _environment_of(folder)
    for below, more in COMPANIONS.items():
        if folder == os.path.join(home, below):
            yield from (os.path.join(home, name) for name in more)
    if any(lies_in(folder, known) for known in (*SYSTEM, *LINKED)):
        return
    for name in sorted(os.listdir(folder))[:LINKS_LIMIT]:
        path = os.path.join(folder, name)
        if os.path.islink(path):
            yield from _of_target(os.path.realpath(path), home)


def _of_target(target: str, home: str) -> Iterable[str]:
    """What a link in PATH leads to: a package of node's whole, else the folder, or the file alone right below HOME."""
    if not os.path.exists(target):
        return
    before, found, _ = target.partition("/node_modules/")
    folder = os.path.dirname(target)
    if found:
        yield f"{before}/node_modules"
    elif folder == home:
        yield target
    else:
        yield folder
        yield from _environment_of(folder)


def _environment_of(folder: str) -> Iterable[str]:
    """A virtual environment's own folder, and that of the Python it was made from."""
    told = Path(folder).parent / "pyvenv.cfg"
    if not told.is_file():
        return
    yield str(told.parent)
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(f"[it]\n{told.read_text()}")
    except (OSError, ValueError, configparser.Error):
        return
    home = parser.get("it", "home", fallback="")
    if home.startswith("/"):
        yield os.path.dirname(os.path.realpath(home))


def _is_out_of_bounds(path: str, home: str, secrets: Iterable[str]) -> bool:
    """Whether showing it would show more than a tool: all of HOME, the root, or one of the secrets."""
    wide = path == "/" or lies_in(home, path)
    return wide or any(lies_in(path, secret) or lies_in(secret, path) for secret in secrets)


def lies_in(path: str, folder: str) -> bool:
    """Whether a path is the folder or something below it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _mount(mount: Mount) -> dict[str, Any]:
    return {
        "kind": mount.kind,
        "at": mount.at,
        "source": mount.source,
        "lower": list(mount.lower),
        "upper": mount.upper,
        "work": mount.work,
        "size": mount.size,
        "optional": mount.optional,
    }


def _read(path: str) -> dict[str, Any]:
    return {"kind": "read", "at": path, "source": path, "optional": True}


def _empty(at: str, size: int, mode: int) -> dict[str, Any]:
    return {"kind": "empty", "at": at, "size": size, "mode": mode}


def _hide(path: str) -> dict[str, Any]:
    if os.path.isdir(path):
        return {"kind": "empty", "at": path, "size": 4096, "mode": 0o755, "sealed": True}
    return {"kind": "read", "at": path, "source": os.devnull, "optional": True}
