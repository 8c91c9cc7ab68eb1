"""What a git command is told and what it said: the same on the host and inside a box. Imports little, for the reader
inside starts anew for every look.

Every command runs in a scrubbed and pinned environment. The person's configuration stays in force (identity, signing,
line endings, filters); what could run a program of the repository's choosing on the host (hooks, fsmonitor), or reach
the network, is pinned off.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from heddle.core.errors import HeddleError, OutsideError, SetupError

PINS: Mapping[str, str] = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "protocol.allow": "never",
    "log.showSignature": "false",
    "i18n.commitEncoding": "UTF-8",
    "i18n.logOutputEncoding": "UTF-8",
    "core.quotePath": "false",
    "advice.graftFileDeprecated": "false",
}
"""Configuration that outranks the person's for every command of ours."""

FIXED: Mapping[str, str] = {
    "LC_ALL": "C",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_EDITOR": "false",
    "GIT_SEQUENCE_EDITOR": "false",
    "GIT_PAGER": "cat",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
}
"""Environment of every command: no lock for a mere read (C6), no question, no editor, no pager, no pathspec
magic."""

KEPT = frozenset({"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM"})
"""The only git variables taken from the daemon's environment; one started inside a hook carries many more."""

LIMIT = 256 * 1024 * 1024
"""Bytes of output that no answer has."""

TAIL = 4_000
"""What is kept of the errors."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command works: the git directory, the work tree (also its working directory), and if not their
    own, the index. `objects` is where new objects go, `alternate` where all others are."""

    git_dir: Path
    work_tree: Path
    index: Path | None = None
    objects: Path | None = None
    alternate: Path | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The place as git's own variables."""
        told = {"GIT_DIR": str(self.git_dir), "GIT_WORK_TREE": str(self.work_tree)}
        if self.index is not None:
            told["GIT_INDEX_FILE"] = str(self.index)
        if self.objects is not None and self.alternate is not None:
            quoted = str(self.alternate).replace("\\", "\\\\").replace('"', '\\"')
            told["GIT_OBJECT_DIRECTORY"] = str(self.objects)
            told["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = f'"{quoted}"'
        return told


@dataclass(frozen=True, slots=True)
class Output:
    """What a command said. `cut`: standard output went on past the limit, and the command was ended."""

    status: int
    out: bytes
    err: bytes
    cut: bool = False

    @property
    def text(self) -> str:
        """Standard output without its last newline; bytes that are not UTF-8 survive as surrogates."""
        return decoded(self.out).removesuffix("\n")

    @property
    def fields(self) -> list[str]:
        """Standard output as NUL-terminated fields."""
        return decoded(self.out).split("\0")[:-1]


def decoded(data: bytes) -> str:
    """Text of git's, file names included, in a form that goes back to the same bytes."""
    return data.decode("utf-8", "surrogateescape")


def is_kept(name: str) -> bool:
    """Whether a variable of our own environment is passed on to git."""
    return name in KEPT or not name.startswith("GIT_")


def config_variables(values: Mapping[str, str]) -> dict[str, str]:
    """Configuration by environment: unlike `-c` it takes any key, also one with an equals sign in it."""
    told = {"GIT_CONFIG_COUNT": str(len(values))}
    for number, (key, value) in enumerate(values.items()):
        told[f"GIT_CONFIG_KEY_{number}"] = key
        told[f"GIT_CONFIG_VALUE_{number}"] = value
    return told


# ------------------------------------------------------------------------------------------------ errors

_NO_ROOM = re.compile(r"no space left on device|disk quota exceeded|out of diskspace", re.IGNORECASE)
_READ_ONLY = re.compile(r"read-only file system", re.IGNORECASE)
_UNMADE = re.compile(r"unable to create", re.IGNORECASE)
_BUSY = re.compile(r"unable to create '[^']*\.lock'|\.lock': file exists|could not lock|another git process", re.I)
_ABSENT = re.compile(r"promisor remote|transport '[^']*' not allowed", re.IGNORECASE)


def failure(args: Sequence[str], output: Output, place: Place | None = None) -> HeddleError:
    """The error for a command that ended badly, by what it said last, and by what `place` is where that says little."""
    tail = output.err.decode("utf-8", "replace").strip()
    facts: dict[str, object] = {"program": "git", "args": list(args), "tail": tail}
    facts |= {"signal": -output.status} if output.status < 0 else {"exit": output.status}
    if _NO_ROOM.search(tail):
        return OutsideError(
            f"no room on the disk for git {args[0]}",
            slug="disk-full",
            hint="free some space; work goes on by itself then",
            **facts,
        )
    if _READ_ONLY.search(tail) or (_UNMADE.search(tail) and place is not None and _is_read_only(place.git_dir)):
        # before what speaks of locks: git names the one that it could not make
        return OutsideError(
            f"git {args[0]} found the repository on a read-only file system",
            slug="read-only",
            hint="make it writable again; work goes on by itself then",
            **facts,
        )
    if _BUSY.search(tail):
        return OutsideError(
            f"git {args[0]} found the repository locked by another git command",
            slug="git-busy",
            hint="wait for that command to end; a lock file left by a crash has to be removed by hand",
            **facts,
        )
    if _ABSENT.search(tail):
        return OutsideError(
            f"git {args[0]} needs objects that this partial clone does not hold",
            slug="objects-missing",
            hint="fetch the missing objects, or work in a full clone",
            **facts,
        )
    ended = f"was ended by signal {-output.status}" if output.status < 0 else f"failed with status {output.status}"
    said = (tail.splitlines() or [""])[-1]
    return OutsideError(f"git {args[0]} {ended}: {said!a}", slug="git-failed", hint=_HINT, **facts)


def _is_read_only(path: Path) -> bool:
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return False


_HINT = "what git said is in the details; mend that and try again"


def not_started(args: Sequence[str], cwd: Path | None, error: OSError) -> HeddleError:
    """The error for a command that could not even be started."""
    if isinstance(error, FileNotFoundError) and (cwd is None or cwd.is_dir()):
        return SetupError("git is not installed", slug="git-missing", hint="install git 2.38 or newer", program="git")
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return OutsideError(
            f"the directory '{cwd}' is gone",
            slug="directory-missing",
            program="git",
            args=list(args),
            tail=str(error),
        )
    return OutsideError(
        f"git {args[0]} could not be started: {error.strerror}",
        slug="start-failed",
        hint="see whether the machine has processes, memory and disk to spare",
        program="git",
        args=list(args),
        tail=str(error),
    )
