"""Opening a repository: what is there, whether it can be worked with, and if not what to do about it."""

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

from heddle.adapters.git.commands import Output, failure
from heddle.adapters.git.objects import Store
from heddle.adapters.git.process import Git
from heddle.adapters.git.repository import GitRepository
from heddle.core.errors import HeddleError, SetupError, UserError

OLDEST = (2, 38)
"""The first git whose merge-tree does real merges in objects alone."""

_VERSION = re.compile(r"git version (\d+)\.(\d+)")


async def open_repository(path: Path, environment: Mapping[str, str] | None = None) -> GitRepository:
    """The repository that `path` (a checkout, a linked worktree, or a directory in one) belongs to.

    `environment` is the daemon's by default. Raises SetupError (slug git-missing, git-version,
    unsafe-repository, repository-read-only) and UserError (slug no-such-directory, not-a-repository, bare-repository,
    inside-git-dir). What may change while the daemon lives (a detached HEAD, no commit yet) is no matter
    here: see Repository.current_branch.
    """
    git = Git(environment)
    await require_version(git)
    here = path.resolve()
    if not here.is_dir():
        raise UserError(f"'{path}' is no directory", slug="no-such-directory", hint="name a directory of a repository")
    await _require_checkout(git, here)
    top = Path(await _asked(git, here, "--show-toplevel"))
    common = Path(await _asked(git, here, "--path-format=absolute", "--git-common-dir")).resolve()
    git_dir = Path(await _asked(git, here, "--absolute-git-dir")).resolve()
    main = top if git_dir == common else None
    root = main or (common.parent if common.name == ".git" else top)
    store = _store(git, common, main)
    store.sweep()
    return GitRepository(store, key=_key(common, root), root=str(root), here=top, git_dir=git_dir)


def _store(git: Git, common: Path, main: Path | None) -> Store:
    try:
        return Store(git, common, main)
    except OSError as error:
        raise SetupError(
            f"the repository '{common}' cannot be written: {error.strerror}",
            slug="repository-read-only",
            hint="Heddle keeps there what sessions make: make it writable, or work in a clone that is",
        ) from error


async def require_version(git: Git) -> str:
    """What git says of its version. Raises SetupError (slug git-missing, git-version)."""
    said = (await git.run("version")).text
    found = _VERSION.search(said)
    if found is None or (int(found[1]), int(found[2])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise SetupError(
            f"git is too old: found '{said}', needed {oldest} or newer",
            slug="git-version",
            hint=f"install git {oldest} or newer and see that it comes first in PATH",
            found=said,
            needed=oldest,
        )
    return said


async def _require_checkout(git: Git, here: Path) -> None:
    answer = await git.run("rev-parse", "--is-inside-work-tree", "--is-bare-repository", cwd=here, ok=(0, 128))
    if answer.status:
        raise _no_repository(here, answer)
    inside, bare = answer.text.split()
    if inside == "true":
        return
    if bare == "true":
        raise UserError(
            f"'{here}' is a bare repository: it has no files to work on",
            slug="bare-repository",
            hint="clone it, or add a worktree to it, and name that directory",
        )
    raise UserError(
        f"'{here}' is inside a git directory",
        slug="inside-git-dir",
        hint="name the checkout, not its .git directory",
    )


def _no_repository(here: Path, answer: Output) -> HeddleError:
    said = answer.err.decode("utf-8", "replace")
    if "not a git repository" in said:
        return UserError(
            f"'{here}' is not in a git repository",
            slug="not-a-repository",
            hint="name a directory of a repository, or make one with 'git init' and a first commit",
        )
    if "dubious ownership" in said:
        return SetupError(
            f"git refuses '{here}': it belongs to another user",
            slug="unsafe-repository",
            hint="own the directory, or add it to safe.directory in git's configuration",
            tail=said,
        )
    return failure(("rev-parse",), answer)


async def _asked(git: Git, here: Path, *question: str) -> str:
    return (await git.run("rev-parse", *question, cwd=here)).text


def _key(common: Path, root: Path) -> str:
    """A name for files and refs: the folder's name for people, a digest of the real path for certainty."""
    digest = hashlib.sha256(os.fsencode(os.path.realpath(common))).hexdigest()[:10]
    slug = re.sub(r"[^a-z0-9]+", "-", root.name.lower()).strip("-")[:24].strip("-")
    return f"{slug or 'repository'}-{digest}"
