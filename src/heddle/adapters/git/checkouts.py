"""The person's checkouts: where a branch is checked out, what is unsaved there, and moving one forward (W11).

Reading takes no lock and touches no index (C6). Moving is a two-tree update by git itself, which leaves alone
all that the landing does not change and refuses as soon as something unsaved is in its way. Never a stash, a
reset, a merge or a change of branch.
"""

import os
import re
from collections.abc import Container, Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from heddle.adapters.git.commands import Place
from heddle.adapters.git.objects import Store
from heddle.core.errors import OutsideError
from heddle.ports import Change


@dataclass(frozen=True, slots=True)
class Checkout:
    """A worktree of the repository, the main one included. `branch` is a full ref name or ""."""

    path: Path
    git_dir: Path
    branch: str
    rebasing: str = ""  # the branch a rebase in progress will write when it ends

    @property
    def exists(self) -> bool:
        """Whether its directory is there now; a worktree on an unmounted disk is still one."""
        return (self.path / ".git").exists() and self.git_dir.is_dir()


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a checkout cannot move, and the paths that stand in the way."""

    paths: tuple[str, ...]
    detail: str


async def checkouts(store: Store) -> tuple[Checkout, ...]:
    """Every checkout of the repository, the main one first; none for the repository part of a bare one."""
    listing = await store.git.run("worktree", "list", "--porcelain", "-z", place=store.public())
    found = []
    for number, entry in enumerate(listing.text.rstrip("\0").split("\0\0")):
        told = dict([*field.split(" ", 1), ""][:2] for field in entry.split("\0") if field)
        if "bare" in told or "worktree" not in told:
            continue
        path = Path(told["worktree"])
        if number == 0 and store.main is not None:
            path = store.main  # git itself loses it where the git directory lies elsewhere (submodules and such)
        git_dir = store.common if number == 0 else _admin_folder(store, path)
        found.append(Checkout(path, git_dir, told.get("branch", ""), _rebasing(git_dir)))
    return tuple(found)


def _admin_folder(store: Store, path: Path) -> Path:
    """The admin folder of a linked worktree: the one whose pointer names it."""
    for folder in sorted((store.common / "worktrees").iterdir()):
        try:
            pointer = (folder / "gitdir").read_bytes()
        except OSError:
            continue
        if Path(os.fsdecode(pointer.rstrip(b"\n"))).parent == path:
            return folder
    return store.common / "worktrees" / path.name


def _rebasing(git_dir: Path) -> str:
    for folder in ("rebase-merge", "rebase-apply"):
        try:
            return (git_dir / folder / "head-name").read_text().strip()
        except OSError:
            continue
    return ""


_UNFINISHED = {
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
}


def unfinished(checkout: Checkout) -> str:
    """The operation that is in progress there ("a merge"), or ""."""
    return next((told for name, told in _UNFINISHED.items() if (checkout.git_dir / name).exists()), "")


async def unsaved(store: Store, checkout: Checkout) -> tuple[str, ...]:
    """Paths whose staged or unstaged content differs from the commit, and untracked ones, without ignored
    ones."""
    args = (
        "status",
        "--porcelain=v1",
        "-z",
        "--untracked-files=all",
        "--no-renames",
        "--ignore-submodules=dirty",
    )
    answer = await store.git.run(*args, place=store.public(checkout.git_dir, checkout.path))
    return tuple(field[3:] for field in answer.fields)


async def ignored(store: Store, checkout: Checkout, patterns: bytes) -> tuple[str, ...]:
    """Files that git ignores here and that match `patterns` as well (gitignore syntax)."""
    place = store.public(checkout.git_dir, checkout.path)
    with NamedTemporaryFile(dir=store.folder) as named:
        named.write(patterns)
        named.flush()
        listing = ("ls-files", "-z", "--others", "--ignored")
        wanted = await store.git.run(*listing, f"--exclude-from={named.name}", place=place)
        really = await store.git.run(*listing, "--exclude-standard", place=place)
    allowed = set(really.fields)
    return tuple(path for path in wanted.fields if path in allowed)


_SPARSE = "S"
"""Tag of `ls-files -t` for what a sparse checkout leaves out."""


class TwoTreeUpdate:
    """Moving one checkout from the tree of `old` to the tree of `new`."""

    def __init__(self, store: Store, checkout: Checkout, changes: Iterable[Change]) -> None:
        self._store = store
        self._checkout = checkout
        self._changes = tuple(changes)
        self._place: Place = store.public(checkout.git_dir, checkout.path)

    async def obstacle(self, old: str, new: str) -> Obstacle | None:
        """What would make the update refuse, found without moving anything."""
        if going_on := unfinished(self._checkout):
            return Obstacle((), f"{going_on} is in progress in '{self._checkout.path}'")
        return await self._in_the_way() or await self._read_tree("-n", old, new)

    async def apply(self, old: str, new: str) -> Obstacle | None:
        """Do it; refused as a whole or done as a whole. Done before, it changes nothing."""
        return await self._in_the_way() or await self._read_tree("-u", old, new)

    async def _read_tree(self, option: str, old: str, new: str) -> Obstacle | None:
        # Also the dry run wants -u: only with it git looks at the files and not merely at the index.
        options = ("-m", "-u") if option == "-u" else ("-n", "-m", "-u")
        try:
            await self._store.git.run("read-tree", *options, old, new, place=self._place)
        except OutsideError as error:
            said = str(error.facts.get("tail", ""))
            if error.slug != "git-failed" or not _REFUSAL.search(said):
                raise
            return Obstacle(await self._overlap(said), said)
        return None

    async def _overlap(self, said: str) -> tuple[str, ...]:
        """The unsaved paths that the landing touches, and the one that git names where status overlooks it."""
        dirty = set(await unsaved(self._store, self._checkout))
        touched = (change.path for change in self._changes)
        return tuple(path for path in touched if path in dirty or f"'{path}'" in said)

    async def _in_the_way(self) -> Obstacle | None:
        """What git itself would run over: ignored files where the landing adds files (an ignored `.env` when it
        adds `.env`), and files the person deleted but the landing changes, which git would bring back."""
        listing = await self._store.git.run("ls-files", "-z", "-t", place=self._place)
        tracked = {field[2:]: field[:1] for field in listing.fields}
        found: list[str] = []
        for change in self._changes:
            tag = tracked.get(change.path)
            if tag is None and change.kind == "added":
                found += self._occupants(change.path, tracked)
            elif tag not in (None, _SPARSE) and change.kind in ("modified", "type"):
                found += [change.path] if not os.path.lexists(self._checkout.path / change.path) else []
        if not found:
            return None
        return Obstacle(tuple(dict.fromkeys(found)), "unsaved or ignored files are where the landing writes")

    def _occupants(self, path: str, tracked: Container[str]) -> list[str]:
        """Untracked things at `path`, at a parent of it that is no directory, or below it."""
        parts = path.split("/")
        for depth in range(1, len(parts)):
            parent = "/".join(parts[:depth])
            if (self._checkout.path / parent).is_symlink() or (self._checkout.path / parent).is_file():
                return [] if parent in tracked else [parent]
        here = self._checkout.path / path
        if here.is_dir() and not here.is_symlink():
            below = (Path(folder, name) for folder, _, names in os.walk(here) for name in names)
            inside = (found.relative_to(self._checkout.path).as_posix() for found in below)
            return [name for name in inside if name not in tracked]
        return [path] if os.path.lexists(here) else []


_REFUSAL = re.compile(
    r"not uptodate|would be overwritten|would be removed|would lose untracked files"
    r"|resolve your current index first|cannot merge",
    re.IGNORECASE,
)
"""How read-tree says that something unsaved is in the way; anything else it says is an error (M3)."""
