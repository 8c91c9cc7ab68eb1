"""Reading commits and trees: no checkout takes part, so no unsaved file and no attribute of one does
either."""

from collections.abc import Sequence
from typing import Literal

from heddle.adapters.git.objects import Store, require_id
from heddle.ports import Change

Kind = Literal["added", "modified", "deleted", "type"]

_DIFF = ("diff-tree", "-r", "--no-ext-diff", "--no-textconv", "--no-color", "--end-of-options")
LINK = "120000"
PLAIN_FILES = ("100644", "100755")


async def changes(store: Store, old: str, new: str) -> tuple[Change, ...]:
    """What differs between two commits or trees, with line counts; a rename is a deletion and an addition."""
    command, *options = _DIFF
    shown = (
        command,
        "-z",
        "--raw",
        "--numstat",
        "--no-renames",
        *options,
        require_id(old),
        require_id(new),
        "--",
    )
    return _read_changes((await store.run(*shown)).fields)


def _read_changes(fields: list[str]) -> tuple[Change, ...]:
    """Raw records (a description, a path) come first, then one numstat record per path."""
    kinds: dict[str, Kind] = {}
    position = 0
    while position < len(fields) and fields[position].startswith(":"):
        kinds[fields[position + 1]] = _kind(fields[position])
        position += 2
    counts = {path: (added, removed) for added, removed, path in (f.split("\t", 2) for f in fields[position:])}
    return tuple(Change(path, kind, *_lines(counts.get(path, ("0", "0")))) for path, kind in kinds.items())


def _kind(record: str) -> Kind:
    old_mode, new_mode, old_blob, new_blob, status = record[1:].split(" ")
    if status[0] == "A":
        return "added"
    if status[0] == "D":
        return "deleted"
    if status[0] == "T" or (old_blob == new_blob and old_mode != new_mode):
        return "type"
    return "modified"


def _lines(counts: tuple[str, str]) -> tuple[int | None, int | None]:
    """Inserted and deleted lines; git writes dashes for what is binary."""
    added, removed = counts
    return (None, None) if added == "-" else (int(added), int(removed))


async def diff(store: Store, old: str, new: str, limit_bytes: int, paths: Sequence[str] = ()) -> str:
    """A unified diff for people, renames shown as such, cut at `limit_bytes` with a note."""
    command, *options = _DIFF
    args = (command, "-p", "--find-renames", *options, require_id(old), require_id(new), "--", *paths)
    answer = await store.git.run(*args, place=store.place(), limit=limit_bytes, cut=True)
    text = answer.out.decode("utf-8", "replace")
    return f"{text}\n[cut: the diff is longer than {limit_bytes} bytes]\n" if answer.cut else text


async def log(store: Store, old: str, new: str) -> tuple[tuple[str, str], ...]:
    """(commit, subject) after `old` up to `new`, oldest first, first parents only."""
    args = ("log", "-z", "--first-parent", "--reverse", "--no-color", "--no-decorate", "--format=%H %s")
    answer = await store.run(*args, "--end-of-options", f"{require_id(old)}..{require_id(new)}", "--")
    entries = (entry.partition(" ") for entry in answer.text.split("\0") if entry)
    return tuple((commit, subject) for commit, _, subject in entries)


async def read_file(store: Store, commit: str, path: str) -> bytes | None:
    """The bytes of a plain file; None when there is none: links, directories and submodules are no files."""
    if not path or path.startswith("/") or ".." in path.split("/") or "\0" in path:
        return None
    listing = await store.run("ls-tree", "-z", "--full-tree", "--end-of-options", require_id(commit), "--", path)
    for record in listing.fields:
        about, _, name = record.partition("\t")
        mode, _, blob = about.split(" ")[:3]
        if name == path and mode in PLAIN_FILES:
            return (await store.run("cat-file", "blob", blob)).out
    return None


async def list_links(store: Store, commit: str) -> tuple[str, ...]:
    """Every path of a commit that is a symbolic link."""
    records = (await store.run("ls-tree", "-r", "-z", "--full-tree", "--end-of-options", require_id(commit))).fields
    return tuple(record.partition("\t")[2] for record in records if record.startswith(f"{LINK} "))


async def link_target(store: Store, commit: str, path: str) -> str:
    """What a symbolic link says, as it says it; "" where there is none."""
    listing = await store.run("ls-tree", "-z", "--full-tree", "--end-of-options", require_id(commit), "--", path)
    for record in listing.fields:
        about, _, name = record.partition("\t")
        mode, _, blob = about.split(" ")[:3]
        if name == path and mode == LINK:
            return (await store.run("cat-file", "blob", blob)).out.decode(errors="replace")
    return ""


async def list_files(store: Store, commit: str) -> tuple[str, ...]:
    """Every tracked path of a commit or tree, submodules included."""
    args = ("ls-tree", "-r", "-z", "--name-only", "--full-tree", "--end-of-options")
    return tuple((await store.run(*args, require_id(commit))).fields)
