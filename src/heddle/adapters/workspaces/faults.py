"""What goes wrong around a workspace, in the product's words, and the seam at which tests make it go wrong."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from heddle.core.errors import OutsideError, Refused, UserError

_NO_ROOM = ("disk-full", "free some space; work goes on by itself then")
_DISK = {
    errno.ENOSPC: _NO_ROOM,
    errno.EDQUOT: _NO_ROOM,
    errno.EROFS: ("read-only", "make the disk writable again; work goes on by itself then"),
}
"""What the disk may lack, as slug and hint: see errors.MACHINE."""


def step(name: str) -> None:
    """Named seam after each effect that a crash or a full disk may follow: fault tests stop it here."""


@contextmanager
def outside(id: str) -> Iterator[None]:
    """Tell a failure of the disk as OutsideError (slug disk-full, read-only or workspace-failed), never as a bare
    OSError."""
    try:
        yield
    except OSError as error:
        slug, hint = _DISK.get(error.errno or 0, ("workspace-failed", "mend that and try again"))
        full = slug == "disk-full"
        where = f" ('{error.filename}')" if error.filename else ""
        raise OutsideError(
            f"no room on the disk for workspace '{id}'"
            if full
            else f"workspace '{id}': {error.strerror or error}{where}",
            slug=slug,
            hint=hint,
            tail=str(error),
        ) from error


def lost(id: str, why: str) -> OutsideError:
    """The error for a workspace that is not there any more."""
    return OutsideError(
        f"workspace '{id}' is lost: {why}",
        slug="workspace-lost",
        hint="the attempt fails and a new one gets a new workspace",
    )


def undermined(id: str) -> OutsideError:
    """The error for a workspace whose sessions work over base files that somebody changed from outside."""
    return OutsideError(
        f"workspace '{id}' cannot be read while a session works in it: its base files were changed from outside",
        slug="base-changed",
        hint="end the session; the base is laid out anew then, and nothing that was written is lost",
    )


def cut_off(id: str) -> OutsideError:
    """The error for a look into a workspace whose box was ended meanwhile."""
    return OutsideError(
        f"workspace '{id}' was not read to the end: what reads it was killed",
        slug="box-ended",
        hint="try again: its box is made anew, and nothing that was written is lost",
    )


def in_use(id: str, why: str) -> Refused:
    """The error for a workspace that somebody works in."""
    return Refused(f"workspace '{id}' is in use: {why}", slug="workspace-in-use", hint="end it first, then try again")


def restless(id: str) -> Refused:
    """The error for a workspace that changes whenever its work was just kept."""
    return in_use(id, "it keeps changing")


def sealed(id: str) -> Refused:
    """The error for a process that comes too late."""
    return Refused(f"workspace '{id}' is sealed", slug="workspace-sealed", hint="a new attempt gets a new one")


def require_leased(id: str, port: int, leased: range) -> None:
    """Raises Refused(slug="port-not-leased"): what listens elsewhere on a shared loopback may be anybody's."""
    if port not in leased:
        has = f"its ports are {leased[0]} to {leased[-1]}" if leased else "nobody has been in it yet"
        raise Refused(
            f"port {port} is none of workspace '{id}', which shares this machine's loopback: {has}",
            slug="port-not-leased",
            hint="have its server listen on one of its HEDDLE_PORTS, and name that with --port",
        )


def no_layers(id: str) -> Refused:
    """The error for a layer that cannot be: only a workspace that is a layer itself lies over others."""
    return Refused(f"workspace '{id}' shares no layers", slug="no-layers", hint="install into the workspace itself")


def another(id: str) -> Refused:
    """The error for an order that names an existing workspace and means another one (W4)."""
    return Refused(
        f"workspace '{id}' exists and was made from another commit",
        slug="workspace-taken",
        hint="a new attempt gets a new one",
    )


def taken(path: object) -> UserError:
    """The error for a path where something is already."""
    return UserError(f"something is at '{path}' already", slug="path-taken", hint="name a path that is free")
