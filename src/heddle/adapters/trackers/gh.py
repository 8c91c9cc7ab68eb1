"""The one place that starts `gh`."""

import asyncio
import os
import re
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from heddle.adapters.trackers.files import SIZE_LIMIT, decoded
from heddle.adapters.trackers.telling import ITEM_LIMIT, plain
from heddle.core.errors import HeddleError, OutsideError, SetupError, UserError

TIMEOUT_S = 300.0
"""Ten thousand issues are a hundred requests of one to two seconds."""

REPOSITORY = re.compile(r"(?:[A-Za-z0-9][\w.-]{0,99}/)?[A-Za-z0-9][\w-]{0,99}/[A-Za-z0-9_.][\w.-]{0,99}", re.ASCII)
"""OWNER/NAME, with the host before it where it is not github.com."""

_FIELDS = "number,title,body,state,labels,url"
_LINKS = "issueType,parent,subIssues,blockedBy"
_TAIL = 4_000
_GRACE_S = 5.0
_TOLD = {"GH_PROMPT_DISABLED": "1", "GH_NO_UPDATE_NOTIFIER": "1", "NO_COLOR": "1", "GH_PAGER": "cat"}
_DROPPED = frozenset({"GH_FORCE_TTY", "CLICOLOR_FORCE", "GH_DEBUG", "DEBUG"})


@dataclass(frozen=True, slots=True)
class _Ran:
    status: int
    out: bytes
    err: str


class Gh:
    """Asks `gh`, as the person who is logged in there. `environment` is the daemon's."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        kept = {name: value for name, value in environment.items() if name not in _DROPPED}
        self._environment = kept | _TOLD

    async def fetch_issues(self, repository: str, root: str) -> str:
        """The issues of a repository as JSON; "" is the one that `gh` finds in `root`. Raises as Trackers.listed."""
        if repository and not REPOSITORY.fullmatch(repository):
            message = f"'{ascii(repository)[1:-1][:100]}' names no repository of GitHub"
            raise UserError(message, slug="no-such-repository", hint="name it as OWNER/NAME")
        chosen = [f"--repo={repository}"] if repository else []
        ask = ["issue", "list", "--state=all", f"--limit={ITEM_LIMIT + 1}", *chosen]
        ran = await self._run([*ask, f"--json={_FIELDS},{_LINKS}"], root)
        if ran.status and "unknown json field" in ran.err.casefold():  # before it knew of links
            ran = await self._run([*ask, f"--json={_FIELDS}"], root)
        if ran.status:
            raise _failure(ran, repository)
        return decoded(ran.out, "gh issue list")

    async def run(self, args: list[str], root: str, repository: str) -> str:
        """What `gh` says to that about a repository of GitHub's. Raises as Trackers.listed."""
        ran = await self._run(args, root)
        if ran.status:
            raise _failure(ran, repository)
        return decoded(ran.out, "gh")

    async def _run(self, args: list[str], root: str) -> _Ran:
        pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        try:
            process = await asyncio.create_subprocess_exec(
                "gh",
                *args,
                stdin=null,
                stdout=pipe,
                stderr=pipe,
                cwd=root or None,
                env=self._environment,
                start_new_session=True,
            )
        except OSError as error:
            raise _not_started(error, root) from error
        assert process.stdout is not None and process.stderr is not None
        err = asyncio.ensure_future(_tail(process.stderr))
        try:
            async with asyncio.timeout(TIMEOUT_S):
                out = await _all(process.stdout)
                return _Ran(await process.wait(), out, plain((await err).decode("utf-8", "replace")).strip())
        except TimeoutError:
            raise OutsideError(
                f"gh did not end within {TIMEOUT_S:g} s",
                slug="gh-timeout",
                hint="see whether the network is there, then try again",
                program="gh",
                args=args,
            ) from None
        finally:
            err.cancel()
            await _end(process)


async def _all(stream: asyncio.StreamReader) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while piece := await stream.read(1 << 16):
        pieces.append(piece)
        size += len(piece)
        if size > SIZE_LIMIT:
            raise OutsideError(
                f"gh told more than {SIZE_LIMIT // 1024 // 1024} MiB of issues",
                slug="list-too-large",
                hint="export a part of them with 'gh issue list', and bring in that file",
                program="gh",
            )
    return b"".join(pieces)


async def _tail(stream: asyncio.StreamReader) -> bytes:
    kept = b""
    while piece := await stream.read(1 << 14):
        kept = (kept + piece)[-_TAIL:]
    return kept


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(TimeoutError):
        async with asyncio.timeout(_GRACE_S):
            await process.wait()


def _not_started(error: OSError, root: str) -> HeddleError:
    if isinstance(error, FileNotFoundError | NotADirectoryError) and root and not os.path.isdir(root):
        return OutsideError(
            f"the folder '{root}' is gone", slug="directory-missing", hint="bring the repository back", program="gh"
        )
    why = "is not installed" if isinstance(error, FileNotFoundError) else f"cannot be started: {error.strerror}"
    return SetupError(
        f"gh {why}", slug="gh-missing", hint="install it from https://cli.github.com, then: gh auth login"
    )


def _failure(ran: _Ran, repository: str) -> HeddleError:
    """The error for a run that ended badly. `gh` has a status of its own for a missing login, and words for the rest."""
    said = ran.err.casefold()
    last = (ran.err.splitlines() or [""])[-1][:200]
    facts: dict[str, object] = {"program": "gh", "tail": ran.err}
    facts |= {"signal": -ran.status} if ran.status < 0 else {"exit": ran.status}
    if "rate limit" in said:
        hint = "wait until it is over (gh api rate_limit tells when), then try again"
        return OutsideError("GitHub's rate limit is reached", slug="gh-rate-limit", hint=hint, **facts)
    if ran.status == 4 or "gh auth login" in said or "http 401" in said:
        return SetupError("gh is not logged in to GitHub", slug="gh-login", hint="log in: gh auth login", **facts)
    if "could not resolve to a repository" in said or "http 404" in said:
        message = f"there is no repository '{repository}', or it is not yours to see"
        return UserError(message, slug="no-such-repository", hint="see what 'gh repo view' tells of it", **facts)
    if "no git remotes" in said or "not a git repository" in said or "none of the git remotes" in said:
        message = f"gh finds no repository of GitHub here: {last}"
        return UserError(message, slug="no-such-repository", hint="name it as OWNER/NAME", **facts)
    ended = f"was ended by signal {-ran.status}" if ran.status < 0 else f"failed with status {ran.status}"
    return OutsideError(f"gh {ended}: {last}", slug="gh-failed", hint="mend what it said, then try again", **facts)
