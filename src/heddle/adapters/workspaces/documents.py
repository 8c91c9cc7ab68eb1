"""Documents between Heddle and an agent: plain files directly in a folder in which the agent may do anything."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from heddle.adapters.workspaces import faults
from heddle.core.errors import UserError

_DRAFT = ".heddle-draft"


def load_document(folder: Path, name: str, limit: int) -> bytes | None:
    """A plain file directly in a folder; None when there is none. Links and other things are never followed.

    Raises UserError(slug="bad-document-name").
    """
    require_name(name)
    try:
        with _opened(folder) as at:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        return None
    with os.fdopen(fd, "rb") as file:
        return file.read(limit)


def place_document(folder: Path, name: str, data: bytes) -> None:
    """Write a plain file directly into a folder, whole or not at all; what has its name, a link too, gives way.

    So does what has the name of the draft: nothing is opened here that somebody else made, be it a link, or a pipe
    that nobody reads and that would have us wait.

    Raises UserError(slug="bad-document-name"), and OSError also when the folder is a link.
    """
    require_name(name)
    with _opened(folder) as at:
        with suppress(FileNotFoundError):
            os.unlink(_DRAFT, dir_fd=at)
        fd = os.open(_DRAFT, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=at)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
        faults.step("document-drafted")
        os.replace(_DRAFT, name, src_dir_fd=at, dst_dir_fd=at)


def document_names(folder: Path) -> tuple[str, ...]:
    """Names of the plain files directly in a folder."""
    if folder.is_symlink() or not folder.is_dir():
        return ()
    return tuple(sorted(path.name for path in folder.iterdir() if stat.S_ISREG(path.lstat().st_mode)))


def require_name(name: str) -> None:
    """Raises UserError(slug="bad-document-name") for what is no plain file name."""
    if "/" in name or "\0" in name or name in ("", ".", "..", _DRAFT):
        raise UserError(f"'{name!a}' is not a document's name", slug="bad-document-name", hint="name a plain file")


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield at
    finally:
        os.close(at)
