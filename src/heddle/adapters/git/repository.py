"""The Repository port on git: refs and commits of the person's repository.

Revisions, branches and refs come in as data, so none is ever read as an option: branches and refs are full
names, objects full ids, and the one free text, a revision, follows `--end-of-options`.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from heddle.adapters.git import checkouts, commits, hooks, listing, merge, trees
from heddle.adapters.git.comparing import Comparing
from heddle.adapters.git.landing import BRANCHES, Landing
from heddle.adapters.git.objects import Store, require_id
from heddle.core.errors import Bug, Refused, UserError
from heddle.core.radar import Hunk, Touched
from heddle.ports import Advanced, Blocked, Change, Conflicted, Merged, MovedOn, Trio, Unmerged

OURS = "refs/heddle/"
RECOVERY = OURS + "recovery/"
REMEMBERED = 256
"""Commits whose trees are known."""

_REF = re.compile(r"(?!.*(?:\.\.|@\{|//|/\.|\.lock(?:/|$)))[^\x00-\x20\x7f~^:?*\[\\]+(?<![./])")


class GitRepository:
    """See the Repository port; made by open_repository.

    `here` is the checkout it was opened from: what "the branch that is checked out" speaks of.
    """

    def __init__(self, store: Store, *, key: str, root: str, here: Path, git_dir: Path) -> None:
        self.key = key
        self.root = root
        self.store = store
        self._here = store.place(git_dir, here)
        self._comparing = Comparing(store)
        self._checkout = checkouts.Checkout(here, git_dir, "")
        self._trees: dict[str, str] = {}

    async def current_branch(self) -> str:
        """See the port."""
        head = await self.store.git.run("symbolic-ref", "--quiet", "HEAD", place=self._here, ok=(0, 1))
        if head.status:
            raise UserError(
                "no branch is checked out (detached HEAD), so there is none to land on",
                slug="detached-head",
                hint="switch to the branch that changes should land on, then try again",
            )
        branch = head.text.removeprefix(BRANCHES)
        if not head.text.startswith(BRANCHES) or any(unicodedata.category(c)[0] == "C" for c in branch):
            raise UserError(
                f"the branch name '{head.text!a}' has characters that cannot be shown safely",
                slug="odd-branch",
                hint="rename the branch, then try again",
            )
        if not await self.store.ref(head.text):
            raise UserError(
                f"the branch '{branch}' has no commit yet",
                slug="empty-repository",
                hint="make a first commit, then try again",
            )
        return branch

    async def resolve(self, revision: str) -> str:
        """See the port. A branch is best asked for by its full name: refs/heads/NAME."""
        if revision and "\0" not in revision:
            args = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
            answer = await self.store.git.run(*args, place=self._here, ok=(0, 1))
            if answer.status == 0:
                return require_id(answer.text)
        raise UserError(
            f"there is no commit '{revision!a}'",
            slug="no-such-revision",
            hint="name a branch, a tag or a commit of this repository",
        )

    async def tree_of(self, commit: str) -> str:
        """See the port. It never changes, and is asked for again and again."""
        if commit not in self._trees:
            told = await self.store.run("rev-parse", "--verify", "--quiet", f"{require_id(commit)}^{{tree}}")
            if len(self._trees) >= REMEMBERED:
                self._trees.clear()
            self._trees[commit] = told.text
        return self._trees[commit]

    async def is_ancestor(self, old: str, new: str) -> bool:
        """See the port."""
        args = ("merge-base", "--is-ancestor", require_id(old), require_id(new))
        return (await self.store.run(*args, ok=(0, 1))).status == 0

    async def fork_point(self, one: str, other: str) -> str:
        """See the port."""
        answer = await self.store.run("merge-base", require_id(one), require_id(other), ok=(0, 1))
        return answer.text.partition("\n")[0] if answer.status == 0 else ""

    async def read_file(self, commit: str, path: str) -> bytes | None:
        """See the port."""
        return await trees.read_file(self.store, commit, path)

    async def links(self, commit: str) -> tuple[str, ...]:
        """See the port."""
        return await trees.list_links(self.store, commit)

    async def link_target(self, commit: str, path: str) -> str:
        """See the port."""
        return await trees.link_target(self.store, commit, path)

    async def list_files(self, commit: str) -> tuple[str, ...]:
        """See the port."""
        return await trees.list_files(self.store, commit)

    async def changes(self, old: str, new: str) -> tuple[Change, ...]:
        """See the port."""
        return await trees.changes(self.store, old, new)

    async def diff(self, old: str, new: str, *, limit_bytes: int = 2_000_000, paths: Sequence[str] = ()) -> str:
        """See the port."""
        return await trees.diff(self.store, old, new, limit_bytes, paths)

    async def log(self, old: str, new: str) -> tuple[tuple[str, str], ...]:
        """See the port."""
        return await trees.log(self.store, old, new)

    async def count(self, tip: str, most: int) -> int:
        """See the port."""
        args = ("rev-list", "--count", "--no-merges", f"--max-count={most}", "--end-of-options", require_id(tip), "--")
        return int((await self.store.run(*args)).text)

    async def unsaved(self) -> tuple[str, ...]:
        """Paths of the checkout that are not as committed, staged and untracked ones included; takes no
        lock."""
        return await checkouts.unsaved(self.store, self._checkout)

    @property
    def top(self) -> Path:
        """The folder of the checkout it was opened from."""
        return self._checkout.path

    async def listed(self) -> tuple[tuple[str, ...], bool]:
        """Tracked paths of the checkout and untracked ones that are not ignored; and whether these are all."""
        return await listing.listed(self.store, self._checkout)

    async def ignores(self, paths: Iterable[str]) -> frozenset[str]:
        """Those of the paths that git would ignore in the checkout."""
        return await listing.ignored_among(self.store, self._checkout, paths)

    async def at_head(self, path: str) -> bytes | None:
        """What the checkout's current commit holds at a path; None: no plain file, or no commit yet."""
        return await listing.at_head(self.store, self._checkout, path)

    async def merge(self, ours: str, theirs: str, ancestor: str) -> Merged | Conflicted:
        """See the port."""
        return await merge.merge(self.store, ours, theirs, ancestor)

    async def merges(self, asked: Sequence[Trio]) -> tuple[Merged | Conflicted | Unmerged, ...]:
        """See the port."""
        return await self._comparing.merges(asked)

    async def touched(self, asked: Sequence[tuple[str, str]]) -> tuple[tuple[Touched, ...] | None, ...]:
        """See the port."""
        return await self._comparing.touched(asked)

    async def contents(self, asked: Sequence[str]) -> tuple[bytes | None, ...]:
        """See the port."""
        return await self._comparing.contents(asked)

    async def hunks(
        self, asked: Sequence[tuple[str, str]], paths: Sequence[str]
    ) -> tuple[Mapping[str, tuple[Hunk, ...]], ...]:
        """See the port."""
        return await self._comparing.hunks(asked, paths)

    async def commit(
        self, tree: str, parents: Sequence[str], message: str, *, as_person: bool, at: float | None = None
    ) -> str:
        """See the port. Raises SetupError (slug no-identity, signing-failed). An OpenPGP signature holds the
        time, so only unsigned and SSH-signed commits have the same id again."""
        return await commits.write_commit(self.store, tree, parents, message, as_person=as_person, at=at)

    async def message(self, commit: str) -> str:
        """See the port."""
        answer = await self.store.run("log", "-1", "--format=%B", require_id(commit), "--")
        return answer.text

    async def ignored(self, patterns: bytes) -> tuple[str, ...]:
        """See the port."""
        return await checkouts.ignored(self.store, self._checkout, patterns)

    async def keep(self, ref: str, commit: str) -> None:
        """See the port."""
        async with self.store.published(commit):
            await self._write_ref(ref, commit)

    async def _write_ref(self, ref: str, commit: str) -> None:
        instruction = f"update {_require_ours(ref)}\0{commit}\0\0"
        await self.store.run("update-ref", "-z", "--stdin", stdin=_bytes(instruction))

    async def kept(self, *prefixes: str) -> tuple[tuple[str, str], ...]:
        """See the port; a prefix is whole path parts, with or without refs/heddle/ in front."""
        below = [OURS + prefix.removeprefix(OURS) for prefix in prefixes]
        answer = await self.store.run("for-each-ref", "--format=%(refname)%00%(objectname)", "--", *below)
        pairs = (line.partition("\0") for line in answer.text.splitlines())
        return tuple((ref, commit) for ref, _, commit in pairs)

    async def commit_hooks(self) -> str:
        """See the port."""
        return await hooks.commit_hooks(self.store, self._checkout.path)

    async def forget(self, ref: str) -> None:
        """See the port. No error when there is no such ref. Raises Refused(slug="recovery-kept")."""
        if _require_ours(ref).startswith(RECOVERY):
            raise Refused(
                f"'{ref}' keeps work for recovery",
                slug="recovery-kept",
                hint="bring the work back with 'heddle restore TASK'",
            )
        async with self.store.refs:
            await self.store.run("update-ref", "-z", "--stdin", stdin=_bytes(f"delete {ref}\0\0"))

    async def advance(
        self, branch: str, old: str, new: str, records: Mapping[str, str]
    ) -> Advanced | MovedOn | Blocked:
        """See the port; MovedOn("") when the branch is gone."""
        if not _REF.fullmatch(branch):
            raise UserError(
                f"'{branch!a}' is no branch name", slug="odd-branch", hint="name the branch as git shows it"
            )
        ours = {_require_ours(ref): commit for ref, commit in records.items()}
        return await Landing(self.store, BRANCHES + branch, old, new, ours).run()


def _require_ours(ref: str) -> str:
    if not ref.startswith(OURS) or not _REF.fullmatch(ref):
        raise Bug(f"'{ref!a}' is no ref of Heddle's", slug="not-our-ref")
    return ref


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
