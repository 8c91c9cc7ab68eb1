"""The one place that starts git.

Every command runs in a scrubbed and pinned environment, in its own session, bounded in number, output and
time. The person's configuration stays in force (identity, signing, line endings, filters); what could run a
program of the repository's choosing on the host (hooks, fsmonitor), or reach the network, is pinned off.
"""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

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

TIMEOUT_S = 300.0
LIMIT = 256 * 1024 * 1024
TAIL = 4_000
_GRACE_S = 5.0


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


@dataclass(slots=True)
class Dialogue:
    """A running command that is spoken to line by line."""

    _process: asyncio.subprocess.Process
    _args: tuple[str, ...]
    _err: "asyncio.Task[bytes]" = field(repr=False)

    async def ask(self, data: bytes) -> bytes:
        """Write, and return the line it answers. Raises OutsideError when it ended instead."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(ConnectionError):
            self._process.stdin.write(data)
            await self._process.stdin.drain()
        async with asyncio.timeout(TIMEOUT_S):
            line = await self._process.stdout.readline()
        if line:
            return line
        status = await self._process.wait()
        raise failure(self._args, Output(status, b"", await self._err))


class Git:
    """Starts git commands. `environment` is the daemon's; `at_once` bounds how many run side by side."""

    def __init__(self, environment: Mapping[str, str] | None = None, *, at_once: int = 8) -> None:
        inherited = os.environ if environment is None else environment
        self._env = {name: value for name, value in inherited.items() if _is_kept(name)} | dict(FIXED)
        self._slots = asyncio.Semaphore(at_once)

    def variable(self, name: str) -> str:
        """A variable of the environment that commands run in; "" when it is not set."""
        return self._env.get(name, "")

    async def run(
        self,
        *args: str,
        place: Place | None = None,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        config: Mapping[str, str] | None = None,
        stdin: bytes | IO[bytes] = b"",
        stdout: IO[bytes] | None = None,
        ok: Sequence[int] = (0,),
        limit: int = LIMIT,
        cut: bool = False,
        timeout_s: float = TIMEOUT_S,
    ) -> Output:
        """Run `git ARGS` and return what it said.

        Raises OutsideError for a status outside `ok`, a signal, the time limit, or more than `limit` bytes of
        output (with `cut` that is an answer instead); SetupError(slug="git-missing").
        """
        async with self._slots:
            process = await self._start(args, place, cwd, env or {}, config or {}, stdin, stdout)
            try:
                async with asyncio.timeout(timeout_s):
                    output = await _converse(process, stdin if isinstance(stdin, bytes) else b"", limit)
            except TimeoutError:
                raise OutsideError(
                    f"git {args[0]} did not end within {timeout_s:g} s",
                    slug="git-timeout",
                    hint="see whether the disk or a network mount hangs, then try again",
                    program="git",
                    args=list(args),
                ) from None
            finally:
                await _end(process)
        if output.cut:
            if cut:
                return output
            raise OutsideError(
                f"git {args[0]} wrote more than {limit} bytes",
                slug="output-limit",
                program="git",
                args=list(args),
            )
        if output.status not in ok:
            raise failure(args, output)
        return output

    @asynccontextmanager
    async def dialogue(self, *args: str, place: Place) -> AsyncIterator[Dialogue]:
        """A command to be spoken to; leaving the block closes its input and waits for its end."""
        async with self._slots:
            process = await self._start(args, place, None, {}, {}, b"-", None)
            assert process.stdin is not None and process.stderr is not None
            err = asyncio.ensure_future(_tail(process.stderr))
            try:
                yield Dialogue(process, args, err)
                process.stdin.close()
                async with asyncio.timeout(_GRACE_S):
                    await process.wait()
            finally:
                await _end(process)
                err.cancel()

    async def _start(
        self,
        args: tuple[str, ...],
        place: Place | None,
        cwd: Path | None,
        env: Mapping[str, str],
        config: Mapping[str, str],
        stdin: bytes | IO[bytes],
        stdout: IO[bytes] | None,
    ) -> asyncio.subprocess.Process:
        where = place.work_tree if place is not None and cwd is None else cwd
        told = self._env | _config({**PINS, **config}) | (place.environment if place is not None else {}) | dict(env)
        source = asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL
        try:
            return await asyncio.create_subprocess_exec(
                "git",
                *(os.fsencode(arg) for arg in args),
                stdin=source if isinstance(stdin, bytes) else stdin,
                stdout=asyncio.subprocess.PIPE if stdout is None else stdout,
                stderr=asyncio.subprocess.PIPE,
                cwd=where,
                env=told,
                start_new_session=True,
            )
        except OSError as error:
            raise _not_started(args, where, error) from error


def _is_kept(name: str) -> bool:
    return name in KEPT or not name.startswith("GIT_")


def _config(values: Mapping[str, str]) -> dict[str, str]:
    """Configuration by environment: unlike `-c` it takes any key, also one with an equals sign in it."""
    told = {"GIT_CONFIG_COUNT": str(len(values))}
    for number, (key, value) in enumerate(values.items()):
        told[f"GIT_CONFIG_KEY_{number}"] = key
        told[f"GIT_CONFIG_VALUE_{number}"] = value
    return told


async def _converse(process: asyncio.subprocess.Process, data: bytes, limit: int) -> Output:
    assert process.stderr is not None
    fed = asyncio.ensure_future(_feed(process, data))
    err = asyncio.ensure_future(_tail(process.stderr))
    try:
        out, cut = await _read(process.stdout, limit)
        if cut:
            await _end(process)
        await fed
        return Output(await process.wait(), out, await err, cut)
    finally:
        fed.cancel()
        err.cancel()


async def _feed(process: asyncio.subprocess.Process, data: bytes) -> None:
    if process.stdin is None:
        return
    with suppress(ConnectionError):
        process.stdin.write(data)
        await process.stdin.drain()
    process.stdin.close()


async def _read(stream: asyncio.StreamReader | None, limit: int) -> tuple[bytes, bool]:
    if stream is None:
        return b"", False
    pieces: list[bytes] = []
    size = 0
    while piece := await stream.read(1 << 16):
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            return b"".join(pieces)[:limit], True
    return b"".join(pieces), False


async def _tail(stream: asyncio.StreamReader) -> bytes:
    kept = b""
    while piece := await stream.read(1 << 14):
        kept = (kept + piece)[-TAIL:]
    return kept


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a command that still runs: politely first, since git removes its lock files on SIGTERM."""
    for number, grace_s in ((signal.SIGTERM, _GRACE_S), (signal.SIGKILL, _GRACE_S)):
        if process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await process.wait()


# ------------------------------------------------------------------------------------------------ errors

_NO_ROOM = re.compile(r"no space left on device|disk quota exceeded|out of diskspace", re.IGNORECASE)
_BUSY = re.compile(r"unable to create '[^']*\.lock'|\.lock': file exists|could not lock|another git process", re.I)
_ABSENT = re.compile(r"promisor remote|transport '[^']*' not allowed", re.IGNORECASE)


def failure(args: Sequence[str], output: Output) -> HeddleError:
    """The error for a command that ended badly, by what it said last."""
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


_HINT = "what git said is in the details; mend that and try again"


def _not_started(args: Sequence[str], cwd: Path | None, error: OSError) -> HeddleError:
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
