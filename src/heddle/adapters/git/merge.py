"""Three-way merges in objects alone: no checkout, no index, no program of the repository's choosing."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

from heddle.adapters.git.commands import Output
from heddle.adapters.git.objects import Store, require_id
from heddle.adapters.git.trees import PLAIN_FILES
from heddle.core.errors import OutsideError
from heddle.ports import Conflicted, Merged

_NOBODY = {
    "GIT_AUTHOR_NAME": "Heddle",
    "GIT_AUTHOR_EMAIL": "heddle@localhost",
    "GIT_AUTHOR_DATE": "@0 +0000",
    "GIT_COMMITTER_NAME": "Heddle",
    "GIT_COMMITTER_EMAIL": "heddle@localhost",
    "GIT_COMMITTER_DATE": "@0 +0000",
}


async def merge(store: Store, ours: str, theirs: str, ancestor: str) -> Merged | Conflicted:
    """Merge the trees of `ours` and `theirs` over the tree of `ancestor`.

    Git 2.39 has no `--merge-base`, so each side's tree is wrapped in a throw-away commit whose one parent
    wraps the ancestor's tree: that is then the merge base whatever the real history says. Only exit status 1
    with a tree and paths is a conflict; every other failure is OutsideError (M3).

    Attributes such as `merge=union` are those of `ours`, never those of a checkout. Merge drivers named by the
    configuration are programs of the repository's choosing; on the host they are not run, and a file that
    needs one conflicts.
    """
    root = await wrapped(store, ancestor)
    left, right = await asyncio.gather(wrapped(store, ours, root), wrapped(store, theirs, root))
    disarmed = dict.fromkeys(await drivers(store), "false")
    args = ("merge-tree", "--write-tree", "-z", "--name-only", "--messages", left, right)
    with TemporaryDirectory(prefix="attributes-", dir=store.folder) as folder:
        place = store.place(work_tree=Path(folder))
        await _lay_out_attributes(store, ours, place.work_tree)
        return _read(await store.git.run(*args, place=place, config=disarmed, ok=(0, 1)), args)


async def _lay_out_attributes(store: Store, tree_ish: str, folder: Path) -> None:
    """Write the .gitattributes files of a tree: git's merge reads them from files alone."""
    for path, data in await attributes(store, tree_ish):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)


async def attributes(store: Store, tree_ish: str) -> tuple[tuple[str, bytes], ...]:
    """The .gitattributes files of a tree, each with its path."""
    found = []
    for record in (await store.run("ls-tree", "-r", "-z", "--full-tree", tree_ish)).fields:
        about, _, path = record.partition("\t")
        mode, _, blob = about.split(" ")
        parts = path.split("/")
        if parts[-1] != ".gitattributes" or mode not in PLAIN_FILES or {"..", "", ".git"} & set(parts):
            continue
        found.append((path, (await store.run("cat-file", "blob", blob)).out))
    return tuple(found)


async def wrapped(store: Store, tree_ish: str, *parents: str) -> str:
    """A throw-away commit of a tree."""
    tree = f"{require_id(tree_ish)}^{{tree}}"
    options = [word for parent in parents for word in ("-p", parent)]
    made = await store.git.run("commit-tree", tree, *options, "-m", "", place=store.place(), env=_NOBODY)
    return made.text


async def drivers(store: Store) -> list[str]:
    """Configuration keys of merge drivers; exit status 1 says that there are none."""
    found = await store.run("config", "-z", "--name-only", "--get-regexp", r"^merge\..*\.driver$", ok=(0, 1))
    return found.fields


def _read(answer: Output, args: tuple[str, ...]) -> Merged | Conflicted:
    """What merge-tree answered: a tree, then, on a conflict, paths up to an empty field, then messages."""
    fields = answer.fields
    tree = fields[0] if fields else ""
    if answer.status == 0 and tree:
        return Merged(require_id(tree))
    rest = fields[1:]
    end = rest.index("") if "" in rest else 0
    if not tree or not end:
        raise OutsideError(
            "git merge-tree gave an answer that is neither a merge nor a conflict",
            slug="merge-unknown",
            hint="see whether the repository is sound; the change is neither merged nor refused",
            program="git",
            args=list(args),
            exit=answer.status,
            tail=(answer.err or answer.out[-500:]).decode("utf-8", "replace"),
        )
    return Conflicted(tuple(dict.fromkeys(rest[:end])), messages(rest[end + 1 :]))


def messages(fields: list[str]) -> str:
    """The texts of merge-tree's messages, each a count of paths, the paths, a type and a text; conflicts
    alone."""
    texts = []
    position = 0
    while position < len(fields) and fields[position].isdigit():
        position += int(fields[position]) + 1
        kind, text = [*fields[position : position + 2], "", ""][:2]
        if kind.startswith("CONFLICT"):
            texts.append(text.strip())
        position += 2
    return "\n".join(texts)
