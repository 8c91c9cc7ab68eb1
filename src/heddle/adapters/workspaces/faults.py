"""What goes wrong around a workspace, in the product's words, and the seam at which tests make it go wrong."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from heddle.core.errors import OutsideError, Refused, UserError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def step(name: str) -> None:
    """Named seam after each effect that a crash or a full disk may follow: fault tests stop it here."""


@contextmanager
def outside(id: str) -> Iterator[None]:
    """Tell a failure of the disk as OutsideError (slug disk-full or workspace-failed), never as a bare OSError."""
    try:
        yield
    except OSError as error:
        full = error.errno in NO_ROOM
        raise OutsideError(
            f"no room on the disk for workspace '{id}'" if full else f"workspace '{id}': {error.strerror or error}",
            slug="disk-full" if full else "workspace-failed",
            hint="free some space; work goes on by itself then" if full else "mend that and try again",
            tail=str(error),
        ) from error


def lost(id: str, why: str) -> OutsideError:
    """The error for a workspace that is not there any more."""
    return OutsideError(
        f"workspace '{id}' is lost: {why}",
        slug="workspace-lost",
        hint="the attempt fails and a new one gets a new workspace",
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
