"""Files that hold task lists: read whole within a bound, and replaced at once or not at all."""

import errno
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from heddle.core.errors import HeddleError, OutsideError, UserError

SIZE_LIMIT = 32 * 1024 * 1024
"""Bytes of the largest file that is read."""


def load_bytes(path: str) -> bytes:
    """The content of a regular file. Raises UserError, or OutsideError when the disk fails."""
    try:
        # without waiting: opening a pipe must not hang until somebody writes to it
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    try:
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode):
            message = f"{_shown(path)} is {_kind(found.st_mode)}, not a file"
            raise UserError(message, slug="not-a-file", hint=_NAME_A_FILE)
        if found.st_size > SIZE_LIMIT:
            raise _too_large(path)
        return _read(number, path)
    except OSError as error:
        raise _unreadable(path, error) from error
    finally:
        os.close(number)


def _read(number: int, path: str) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while piece := os.read(number, 1 << 20):
        pieces.append(piece)
        size += len(piece)
        if size > SIZE_LIMIT:  # it grows, or it is one of those whose size is told as 0
            raise _too_large(path)
    return b"".join(pieces)


def load_text(path: str) -> str:
    """The content as text, without a byte order mark. Raises UserError also for what is not UTF-8, with the line."""
    return decoded(load_bytes(path), path)


def decoded(data: bytes, path: str) -> str:
    """See load_text."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{_shown(path)}, line {line}: not UTF-8", slug="not-utf-8", hint="save it as UTF-8 and try again"
        ) from None


def found_in(folder: str, pattern: str) -> list[Path]:
    """What lies in a folder by a glob, sorted; nothing that leads out of it. Raises UserError when it is unreadable."""
    try:
        real = os.path.realpath(folder)
        found = sorted(Path(folder).glob(pattern))
        return [path for path in found if is_inside(os.path.realpath(path), real)]
    except (OSError, ValueError) as error:
        raise _unreadable(folder, error) from error


def is_inside(path: str, folder: str) -> bool:
    """Whether a path is the folder or lies in it, by their names alone."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def name_of(where: str, root: str) -> str:
    """What a file is called in sources: its path in the repository, or the whole path of one outside of it.

    By the names that the person gave first: a link in the repository is called what it is called there.
    """
    path = os.path.normpath(where)
    for one, top in ((path, os.path.normpath(root)), (os.path.realpath(where), os.path.realpath(root))):
        if root and one != top and is_inside(one, top):
            return Path(os.path.relpath(one, top)).as_posix()
    return Path(path).as_posix()


def replace(where: str, data: bytes, root: str) -> bool:
    """Make a file hold these bytes; False when it does. See Trackers.write."""
    path = Path(where)
    try:
        if path.is_symlink():
            raise UserError(f"{_shown(where)} is a link", slug="list-is-a-link", hint="name the file that it leads to")
        parent = os.path.realpath(path.parent)
        if is_inside(os.path.normpath(where), os.path.normpath(root)) and not is_inside(parent, os.path.realpath(root)):
            raise UserError(f"{_shown(where)} leads out of the repository", slug="list-outside", hint=_NAME_A_FILE)
        if os.path.lexists(where):
            if load_bytes(where) == data:
                return False
            mode: int | None = stat.S_IMODE(path.stat().st_mode)
        else:
            mode = None
        _swap(Path(parent) / path.name, data, mode)
        return True
    except (OSError, ValueError) as error:
        raise _unwritable(where, error) from error


def _swap(path: Path, data: bytes, mode: int | None) -> None:
    fresh = path.parent / f".{path.name[:100]}.{secrets.token_hex(6)}"
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), "wb") as stream:
            if mode is not None:
                os.fchmod(stream.fileno(), mode)
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(fresh, path)
    finally:
        with suppress(OSError):
            os.unlink(fresh)


_NAME_A_FILE = "name a file that holds a task list"
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def _kind(mode: int) -> str:
    return next((word for matches, word in _KINDS if matches(mode)), "something special")


def _shown(path: str) -> str:
    return f"'{ascii(path)[1:-1]}'" if not path.isprintable() else f"'{path}'"


def _too_large(path: str) -> UserError:
    bound = SIZE_LIMIT // 1024 // 1024
    message = f"{_shown(path)} is larger than {bound} MiB"
    return UserError(message, slug="list-too-large", hint="split it, and bring in the parts")


_PERSONS = (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError, ValueError)
_NUMBERS = (errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO)


def _why(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else "no path can be like this"


def _unreadable(path: str, error: OSError | ValueError) -> HeddleError:
    message = f"{_shown(path)} cannot be read: {_why(error)}"
    if isinstance(error, _PERSONS) or error.errno in _NUMBERS:
        return UserError(message, slug="list-unreadable", hint=_NAME_A_FILE)
    return OutsideError(message, slug="list-unreadable", hint="see whether the disk is in order, then try again")


def _unwritable(path: str, error: OSError | ValueError) -> HeddleError:
    message = f"{_shown(path)} cannot be written: {_why(error)}"
    if isinstance(error, _PERSONS) or error.errno in _NUMBERS:
        return UserError(message, slug="list-unwritable", hint="name a file in a folder that you may write")
    return OutsideError(message, slug="list-unwritable", hint="see whether the disk has room, then try again")
