"""Where Heddle keeps its things, told from the environment alone. Standard library only, and little of it."""

import os
import stat

from heddle.core.errors import SetupError

SOCKET_LIMIT = 104
"""Bytes of a unix socket's path that every supported system takes."""


def home() -> str:
    """The state folder: $HEDDLE_HOME, else below $XDG_STATE_HOME or ~/.local/state."""
    told = os.environ.get("HEDDLE_HOME")
    return os.path.abspath(told) if told else default_home()


def default_home() -> str:
    """The state folder when nobody names one."""
    state = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(state, "heddle")


def runtime() -> str:
    """The folder for sockets; one per state folder, short because the system limits socket paths."""
    told = os.environ.get("HEDDLE_RUNTIME_DIR")
    if told:
        return os.path.abspath(told)
    shared = os.environ.get("XDG_RUNTIME_DIR")
    folder = os.path.join(shared, "heddle") if shared else f"/tmp/heddle-{os.getuid()}"  # noqa: S108
    if home() == default_home():
        return folder
    from hashlib import sha256

    return f"{folder}-{sha256(os.path.realpath(home()).encode()).hexdigest()[:8]}"


def daemon_socket() -> str:
    """The daemon's socket. Raises SetupError (socket-path-too-long, unsafe-runtime)."""
    return socket_path(runtime(), "daemon.sock")


def socket_path(folder: str, name: str) -> str:
    """A socket's path in a folder that is ours alone. Raises SetupError (socket-path-too-long, unsafe-runtime)."""
    path = os.path.join(folder, name)
    if len(os.fsencode(path)) > SOCKET_LIMIT:
        raise SetupError(
            f"socket path '{path}' has {len(os.fsencode(path))} bytes; the system takes {SOCKET_LIMIT}",
            slug="socket-path-too-long",
            hint="set HEDDLE_RUNTIME_DIR to a shorter folder, for instance one directly below /run or /tmp",
        )
    require_private(folder)
    return path


def require_private(folder: str) -> None:
    """Make a folder that is ours alone, or check that it is. Raises SetupError(slug="unsafe-runtime")."""
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        facts = os.lstat(folder)
    except OSError as error:
        raise SetupError(f"no folder '{folder}': {error.strerror}", slug="unsafe-runtime", hint=_ELSEWHERE) from error
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & 0o077:
        raise SetupError(f"runtime folder '{folder}' is not ours alone", slug="unsafe-runtime", hint=_ELSEWHERE)


_ELSEWHERE = "set HEDDLE_RUNTIME_DIR to a folder of mode 0700"
