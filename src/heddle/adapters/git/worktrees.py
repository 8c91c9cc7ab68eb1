"""Worktrees made by hand, since `git worktree add` is not safe next to other git commands.

Git builds the admin folder in place, so a command that walks all worktrees meanwhile trips over half of one
(measured: several failures in 80 parallel adds). Here both halves are built aside and renamed: first the
admin folder, locked from birth so that no prune takes it, then the directory. The directory's name is what
says "done".
"""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from heddle.adapters.git import snapshots
from heddle.adapters.git.commands import Place
from heddle.adapters.git.objects import Store, require_id
from heddle.core.errors import Bug, OutsideError, Refused, UserError
from heddle.ports import Ownership, Snapshot

LOCK_REASON = "heddle: in use by a task\n"

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")


class GitWorktrees:
    """See the Worktrees port."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(self, path: Path, commit: str, name: str, branch: str | None = None) -> Ownership:
        """See the port."""
        making = self._making(path, name)
        if (owned := pair_of(self._store, path)) is not None:
            if Path(owned.gitdir) == making.admin:
                return owned
            raise _taken(f"'{path}' is another worktree", "path-taken")
        if os.path.lexists(path):
            raise _taken(f"something is at '{path}' already", "path-taken")
        if making.admin.exists() and not making.is_half_done():
            raise _taken(f"the worktree name '{name}' is in use", "name-taken")
        await self._name_commit(require_id(commit), branch)
        making.clear()
        making.write_admin(f"ref: refs/heads/{branch}\n" if branch else f"{commit}\n")
        place = Place(making.draft, making.staging)
        await self._store.git.run("read-tree", "-m", "-u", commit, place=place)
        step("drafted")
        making.publish()
        return self._require_pair(path)

    async def identify(self, path: Path) -> Ownership | None:
        """See the port."""
        return pair_of(self._store, path)

    async def snapshot(self, path: Path, *, base: str = "", size_limit: int = 0) -> Snapshot:
        """See the port."""
        place = self._place(path)
        return await snapshots.take(self._store, place, base=base, size_limit=size_limit)

    async def fill(self, path: Path, snapshot: Snapshot) -> None:
        """See the port. Raises Refused(slug="not-fresh") when something is changed there already."""
        await snapshots.lay_out(self._store, self._place(path), snapshot)

    async def stash_entries(self, branch: str) -> tuple[str, ...]:
        """See the port. Git notes the branch in the entry's message alone: "WIP on NAME: ..." or "On NAME:
        ..."."""
        if not await self._store.ref("refs/stash"):
            return ()
        args = ("log", "-g", "-z", "--no-color", "--format=%H %gs", "refs/stash", "--")
        made_on = branch or "(no branch)"
        starts = (f"WIP on {made_on}: ", f"On {made_on}: ")
        entries = (entry.partition(" ") for entry in (await self._store.run(*args)).text.split("\0"))
        return tuple(commit for commit, _, message in entries if message.startswith(starts))

    async def repair_admin(self, path: Path, name: str) -> None:
        """See the port. Raises UserError(slug="name-unknown") when there is no such admin folder."""
        making = self._making(path, name)
        if not making.admin.is_dir():
            raise UserError(f"there is no worktree '{name}'", slug="name-unknown", hint="see 'heddle status'")
        other = making.pointed_at()
        if other is not None and other != path / ".git" and os.path.lexists(other):
            raise Refused(
                f"the worktree '{name}' belongs to '{other.parent}'",
                slug="not-ours",
                hint="leave it where it is, or see 'heddle doctor'",
            )
        _write_whole(making.admin / "gitdir", os.fsencode(path / ".git") + b"\n")
        _write_whole(path / ".git", b"gitdir: " + os.fsencode(making.admin) + b"\n")

    async def drop_admin(self, path: Path, name: str) -> bool:
        """See the port."""
        making = self._making(path, name)
        if making.pointed_at() != path / ".git":
            return False
        # Away from git's eyes in one step: a walk over all worktrees never meets half of one.
        shutil.rmtree(making.dropped, ignore_errors=True)
        making.admin.rename(making.dropped)
        shutil.rmtree(making.dropped, ignore_errors=True)
        return True

    async def _name_commit(self, commit: str, branch: str | None) -> None:
        """See that the commit is in the repository itself, and that the branch exists and is no one
        else's."""
        async with self._store.published(commit):
            if branch is None:
                return
            ref = f"refs/heads/{branch}"
            there = await self._store.ref(ref)
            if there not in ("", commit):
                raise _taken(f"the branch '{branch}' exists already", "branch-taken")
            await self._store.run("check-ref-format", ref)
            if not there:
                instruction = f"create {ref}\0{commit}\0".encode("utf-8", "surrogateescape")
                await self._store.run("update-ref", "-z", "--stdin", stdin=instruction)

    def _making(self, path: Path, name: str) -> "_Making":
        if not _NAME.fullmatch(name):
            raise Bug(f"'{name!a}' is no worktree name", slug="bad-name")
        return _Making(self._store, path, name)

    def _place(self, path: Path) -> Place:
        return self._store.place(Path(self._require_pair(path).gitdir), path)

    def _require_pair(self, path: Path) -> Ownership:
        owned = pair_of(self._store, path)
        if owned is None:
            raise OutsideError(
                f"'{path}' is not the worktree it was",
                slug="workspace-lost",
                hint="what was kept of it can be brought back with 'heddle restore TASK'",
            )
        return owned


@dataclass(frozen=True, slots=True)
class _Making:
    """The names that take part in making the worktree `name` at `path`."""

    store: Store
    path: Path
    name: str

    @property
    def admin(self) -> Path:
        return self.store.common / "worktrees" / self.name

    @property
    def draft(self) -> Path:
        """The admin folder before it has its name: as deep, so that its relative pointer fits both places."""
        return self.store.folder / f"new-{self.name}"

    @property
    def dropped(self) -> Path:
        return self.store.folder / f"old-{self.name}"

    @property
    def staging(self) -> Path:
        return self.path.with_name(f".{self.path.name}.new")

    def pointed_at(self) -> Path | None:
        """Where the admin folder says that its worktree is."""
        try:
            return Path(os.fsdecode((self.admin / "gitdir").read_bytes().rstrip(b"\n")))
        except OSError:
            return None

    def is_half_done(self) -> bool:
        """Whether a crash came between the two renames."""
        return self.pointed_at() == self.path / ".git" and not os.path.lexists(self.path)

    def clear(self) -> None:
        """Remove what a crash left of an earlier attempt; none of it was ever visible to anyone."""
        for folder in (self.draft, self.staging):
            if folder.exists():
                shutil.rmtree(folder)
        if self.admin.exists():
            self.admin.rename(self.draft)
            shutil.rmtree(self.draft)

    def write_admin(self, head: str) -> None:
        self.staging.mkdir(parents=True)
        self.draft.mkdir()
        for name, data in (
            ("locked", LOCK_REASON.encode()),
            ("HEAD", head.encode("utf-8", "surrogateescape")),
            ("commondir", b"../..\n"),
            ("gitdir", os.fsencode(self.path / ".git") + b"\n"),
        ):
            (self.draft / name).write_bytes(data)
        (self.staging / ".git").write_bytes(b"gitdir: " + os.fsencode(self.admin) + b"\n")

    def publish(self) -> None:
        while True:
            self.admin.parent.mkdir(exist_ok=True)
            try:
                self.draft.rename(self.admin)
                break
            except FileNotFoundError:
                # git removes the folder of worktrees whenever it sees it empty, also right after we made it
                if not self.draft.is_dir():
                    raise
        step("admin")
        self.staging.rename(self.path)


def step(name: str) -> None:
    """Named seam before and between the two renames: crash tests stop it here."""


def pair_of(store: Store, path: Path) -> Ownership | None:
    """The proof that `path` and an admin folder of this repository point at each other, by files alone.

    No git is asked: a rewritten `.git` file must not make git run on what it names.
    """
    try:
        about = path.lstat()
        link = path / ".git"
        words = b"" if link.is_symlink() else link.read_bytes()
    except OSError:
        return None
    admin = Path(os.fsdecode(words.removeprefix(b"gitdir: ").rstrip(b"\n")))
    if not words.startswith(b"gitdir: ") or admin.parent != store.common / "worktrees" or path.is_symlink():
        return None
    try:
        back = Path(os.fsdecode((admin / "gitdir").read_bytes().rstrip(b"\n")))
        sound = (admin / "commondir").read_bytes().strip() == b"../.." and not admin.is_symlink()
    except OSError:
        return None
    return Ownership(about.st_dev, about.st_ino, str(admin)) if sound and back == link else None


def _write_whole(path: Path, data: bytes) -> None:
    draft = path.with_name(f"{path.name}.heddle-new")
    draft.write_bytes(data)
    draft.replace(path)


def _taken(message: str, slug: str) -> UserError:
    return UserError(message, slug=slug, hint="choose another name, or move away what is there")
