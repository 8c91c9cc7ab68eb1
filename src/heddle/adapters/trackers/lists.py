"""The Trackers port: which reader is for what, and where our own lists are written."""

import asyncio
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from heddle.adapters.trackers.beads import FILES as BEADS_FILES
from heddle.adapters.trackers.beads import beads_tasks
from heddle.adapters.trackers.checklist import managed
from heddle.adapters.trackers.exports import as_jsonl, as_roadmap, jsonl_tasks
from heddle.adapters.trackers.files import found_in, load_bytes, load_text, name_of, replace
from heddle.adapters.trackers.gh import REPOSITORY, Gh
from heddle.adapters.trackers.github import github_tasks
from heddle.adapters.trackers.markdown import markdown_tasks
from heddle.adapters.trackers.mirroring import Mirror
from heddle.adapters.trackers.openspec import changes_in, openspec_tasks
from heddle.adapters.trackers.speckit import FILES as SPECKIT_FILES
from heddle.adapters.trackers.speckit import speckit_tasks
from heddle.adapters.trackers.telling import Found, line_of, settled
from heddle.core.errors import UserError
from heddle.core.mirror import GITHUB, Reflection
from heddle.ports.trackers import FORMATS, Exported, ExportFormat, Listed

_OF_FILES = {"markdown": markdown_tasks, "beads": beads_tasks, "github": github_tasks, "jsonl": jsonl_tasks}
_HEAD = 200_000
_TASK = re.compile(r"^[ \t]*[-*+] +\[[ xX]\] +[*_]{0,2}T\d+", re.MULTILINE)
_BOX = re.compile(r"^[ \t]*(?:[-*+]|\d{1,9}[.)]) +\[[ xX]\](?: |$)", re.MULTILINE)


class TaskLists:
    """See the port. `environment` is the daemon's own, for `gh`."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._gh = Gh(environment)

    async def listed(self, where: str, format: str, root: str) -> tuple[Listed, ...]:
        """See the port."""
        if format not in ("", *FORMATS):
            raise _untold(f"there is no format '{ascii(format)[1:-1][:40]}'")
        if not os.path.isabs(where):
            if format == "github" or (not format and REPOSITORY.fullmatch(where)):
                issues = await self._gh.fetch_issues(where, root)
                return await asyncio.to_thread(github_tasks, issues, where or "github")
            raise _untold(
                "a file, a folder or OWNER/NAME is needed"
                if not where
                else f"'{ascii(where)[1:-1][:200]}' is no absolute path"
            )
        return await asyncio.to_thread(_load, where, format, root)

    async def show(self, source: str, told: Reflection, root: str) -> None:
        """See the port."""
        place, _, number = source.removeprefix(GITHUB).rpartition("#")
        await Mirror(self._gh, place, number, root).show(told)

    def text(self, tasks: Iterable[Exported], format: ExportFormat, before: str = "") -> str:
        """See the port."""
        return as_jsonl(tasks) if format == "jsonl" else as_roadmap(tasks, before)

    async def load_block(self, where: str) -> str:
        """See the port."""
        return await asyncio.to_thread(_block, where)

    async def write(self, tasks: Iterable[Exported], format: ExportFormat, where: str, root: str) -> bool:
        """See the port."""
        return await asyncio.to_thread(self._write, tuple(tasks), format, where, root)

    def _write(self, tasks: tuple[Exported, ...], format: ExportFormat, where: str, root: str) -> bool:
        before = load_bytes(where) if os.path.lexists(where) else b""
        if (
            format == "jsonl"
            and before.strip()
            and _of_json(before[:_HEAD].decode("utf-8", "replace").lstrip()) != "jsonl"
        ):
            message = f"'{os.path.basename(where)}' holds something else than exported tasks"
            raise UserError(message, slug="not-an-export", hint="name another file, or one that is not there yet")
        # bytes that are not UTF-8 are kept as they are
        text = self.text(tasks, format, before.decode("utf-8", "surrogateescape"))
        return replace(where, text.encode("utf-8", "surrogateescape"), root)


def _block(where: str) -> str:
    text = load_bytes(where).decode("utf-8", "surrogateescape") if os.path.lexists(where) else ""
    lines = [line.rstrip("\r") for line in text.split("\n")]
    ours = managed(lines)
    return "\n".join(lines[ours[0] : ours[1] + 1]) if ours else ""


def _load(where: str, format: str, root: str) -> tuple[Listed, ...]:
    if os.path.isdir(where):
        return _load_folder(where, format, root)
    text = load_text(where)
    place = line_of(name_of(where, root))
    format = format or told_format(where, text)
    if format == "speckit":
        return speckit_tasks(text, os.path.dirname(place) or place, place)
    if format == "openspec":
        return openspec_tasks((_change_of(where),), place)
    return _OF_FILES[format](text, place)


def _load_folder(where: str, format: str, root: str) -> tuple[Listed, ...]:
    place = line_of(os.path.basename(os.path.normpath(where)))
    held = formats_in(where) if not format else [format]
    if len(held) != 1:
        raise _untold(f"the folder {place} holds {' and '.join(held) or 'no task list that can be told'}")
    if held == ["beads"]:
        files = _beads_in(where)
        if files:
            return beads_tasks(load_text(files[0]), line_of(name_of(files[0], root)))
    elif held == ["openspec"]:
        if changes := changes_in(where):
            return openspec_tasks(changes, place)
    elif held == ["speckit"]:
        if files := _specs_in(where):
            return settled((Found(one) for file in files for one in _load(file, "speckit", root)), place)
    else:
        raise UserError(f"{place} is a folder", slug="not-a-file", hint="name a file that holds a task list")
    raise _untold(f"the folder {place} holds nothing of {held[0]}")


def formats_in(folder: str) -> list[str]:
    """What a folder can be told to hold."""
    held = {"beads": _beads_in(folder), "speckit": _specs_in(folder), "openspec": changes_in(folder)}
    return [format for format, files in held.items() if files]


def _beads_in(folder: str) -> list[str]:
    if os.path.basename(os.path.normpath(folder)) != ".beads":
        folder = os.path.join(folder, ".beads")
    return [path for path in (os.path.join(folder, name) for name in BEADS_FILES) if os.path.isfile(path)]


def _specs_in(folder: str) -> list[str]:
    for pattern in SPECKIT_FILES:
        found = [path for path in found_in(folder, pattern) if not path.with_name("proposal.md").exists()]
        if files := [str(path) for path in found if _TASK.search(load_text(str(path)))]:
            return files
    return []


def _change_of(where: str) -> Path:
    return Path(where).parent


def told_format(where: str, text: str) -> str:
    """The format of a file by its name and content. Raises UserError(slug="unknown-format")."""
    folder, file = os.path.split(os.path.abspath(where))
    if file in ("tasks.md", "proposal.md") and os.path.isfile(os.path.join(folder, "proposal.md")):
        return "openspec"
    if file == "tasks.md" and _TASK.search(text):
        return "speckit"
    if os.path.basename(folder) == ".beads" and file.endswith(".jsonl"):
        return "beads"
    if text.lstrip()[:1] in ("{", "[") and (format := _of_json(text.lstrip())):
        return format
    if _BOX.search(text):
        return "markdown"
    raise _untold(f"what '{os.path.basename(where)}' holds cannot be told")


def _of_json(text: str) -> str:
    try:
        first, _ = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        # told by its first words, so that its reader says which line is wrong
        first = dict.fromkeys(re.findall(r'"(\w{1,20})"\s*:', text[:2_000]))
    while isinstance(first, list):
        first = first[0] if first else {"number": 0}
    if not isinstance(first, dict):
        return ""
    if "id" in first and "text" in first:
        return "jsonl"
    if "id" in first and "title" in first and "number" not in first:
        return "beads"
    return "github" if "number" in first or "data" in first else ""


def _untold(message: str) -> UserError:
    return UserError(message, slug="unknown-format", hint=f"name the format, one of: {', '.join(FORMATS)}")
