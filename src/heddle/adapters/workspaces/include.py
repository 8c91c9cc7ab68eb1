"""`.worktreeinclude`: the ignored files that a repository wants in every workspace.

The list is read from the base commit, never from a workspace. A file is copied when git really ignores it and
nothing tracked is in its way; what is copied never leads, and is never led, out of the tree.
"""

import asyncio
import os
import shutil
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path, PurePosixPath

from heddle.adapters.workspaces import faults
from heddle.core.redaction import values_of
from heddle.ports import Repository

LIST = ".worktreeinclude"
SETTINGS_BYTES = 64 * 1024
"""A file that is larger holds no settings."""

Beneath = Callable[[str], Path | None]
"""Where what lies under a layer has something of that name."""


def nothing(name: str) -> None:
    """What lies beneath a tree that is no layer."""


async def include(repository: Repository, base: str, tree: Path, drafts: Path, beneath: Beneath = nothing) -> None:
    """Copy what the list of `base` names from the main checkout into `tree`; done before, it changes nothing.

    `drafts` is a folder outside the tree on the same disk: a file appears in the tree complete or not at all. Where
    `tree` is a layer, what is seen `beneath` it has precedence too.
    """
    patterns = await repository.read_file(base, LIST)
    if patterns:
        names = await repository.ignored(patterns)
        await asyncio.to_thread(_copy, Path(repository.root), tree, beneath, names, drafts / "include")


async def secrets(repository: Repository, base: str) -> tuple[str, ...]:
    """The secrets in the files that the list of `base` names, as they are in the main checkout now."""
    patterns = await repository.read_file(base, LIST)
    names = await repository.ignored(patterns) if patterns else ()
    return await asyncio.to_thread(_values, Path(repository.root), names) if names else ()


def _values(checkout: Path, names: Iterable[str]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for name in names:
        path = checkout / name
        with suppress(OSError, UnicodeDecodeError):  # gone since it was listed, or no text
            if _is_own(checkout, path, checkout, path) and path.stat().st_size <= SETTINGS_BYTES:
                found |= dict.fromkeys(values_of(path.read_text("utf-8")))
    return tuple(found)


def _copy(checkout: Path, tree: Path, beneath: Beneath, names: Iterable[str], draft: Path) -> None:
    for name in names:
        source, target = checkout / name, tree / name
        free = _is_free(name, lambda path: tree / path) and _is_free(name, beneath)
        if not free or not _is_own(checkout, source, tree, target):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        with suppress(FileNotFoundError):  # gone since it was listed
            shutil.copy2(source, draft, follow_symlinks=False)
            os.replace(draft, target)
        faults.step("included-one")


def _is_free(name: str, entry: Beneath) -> bool:
    """Whether nothing is at the place, and nothing on the way to it but directories."""
    way = [str(parent) for parent in PurePosixPath(name).parents[:-1]]
    found = [path for path in map(entry, way) if path is not None and os.path.lexists(path)]
    target = entry(name)
    there = target is not None and os.path.lexists(target)
    return not there and all(path.is_dir() and not path.is_symlink() for path in found)


def _is_own(checkout: Path, source: Path, tree: Path, target: Path) -> bool:
    """Whether it is a plain file of the checkout, or a link that stays inside the checkout and inside the tree."""
    home = checkout.resolve()
    if not source.parent.resolve().is_relative_to(home):
        return False
    if source.is_symlink():
        leads_to = os.path.normpath(target.parent / os.readlink(source))
        return source.resolve().is_relative_to(home) and Path(leads_to).is_relative_to(tree)
    with suppress(OSError):
        return stat.S_ISREG(source.lstat().st_mode)
    return False
