"""OpenSpec: a task for each change in `openspec/changes`, its checklist included; see decision 22."""

import os
import re
from pathlib import Path

from heddle.adapters.trackers.checklist import sections
from heddle.adapters.trackers.files import found_in, load_text
from heddle.adapters.trackers.telling import Found, line_of, name, settled, told
from heddle.ports.trackers import Listed

ROOTS = ("openspec/changes", "changes", ".")
"""Where a folder has its changes: a repository, `openspec`, or the folder of the changes itself."""

_BOX = re.compile(r"^[ \t]*[-*][ \t]*\[([\sxX])\]", re.MULTILINE)
_DATED = re.compile(r"\d{4}-\d{2}-\d{2}-(?P<id>.+)")
_SECTIONS = frozenset({"why", "what changes", "impact"})
_TITLE = re.compile(r"#\s+(?:(?:change|proposal)\s*:\s*)?(?P<title>.+)", re.IGNORECASE)


def changes_in(folder: str) -> tuple[Path, ...]:
    """The folders of changes below a folder, those that are archived included; none when it holds none."""
    for root in ROOTS:
        top = os.path.join(folder, root)
        found = [path.parent for path in found_in(top, "*/proposal.md")]
        found += [path.parent for path in found_in(top, "archive/*/proposal.md")]
        if found:
            return tuple(found)
    return ()


def openspec_tasks(folders: tuple[Path, ...], place: str) -> tuple[Listed, ...]:
    """The changes that lie in these folders. Raises UserError.

    A change that was archived keeps its name. Of several with the same name the one that is open counts, else the
    newest.
    """
    latest: dict[str, Path] = {}
    for folder in sorted(folders, key=lambda one: (not _is_archived(one), one.name)):
        latest.setdefault(_id(folder), folder)
        if _is_archived(latest[_id(folder)]):
            latest[_id(folder)] = folder
    return settled([Found(_listed(latest[_id(folder)])) for folder in folders], place)


def _is_archived(folder: Path) -> bool:
    return folder.parent.name == "archive"


def _id(folder: Path) -> str:
    dated = _DATED.fullmatch(folder.name)
    return dated["id"] if dated and _is_archived(folder) else folder.name


def _listed(folder: Path) -> Listed:
    mine = name(_id(folder)) or line_of(folder.name)[:200]
    proposal = load_text(str(folder / "proposal.md"))
    steps = "\n\n".join(load_text(str(path)) for path in found_in(str(folder), "tasks.md"))
    boxes = _BOX.findall(steps)
    checklist = f"## Tasks\n\n{steps.strip()}" if steps.strip() else ""
    where = "openspec/changes/" + ("archive/" if _is_archived(folder) else "") + folder.name
    context = f"This is the OpenSpec change {mine}; its design and the requirements that it changes are in {where}."
    return Listed(
        f"openspec:{mine}",
        told(_title(proposal, mine), *_parts(proposal), checklist, context, instead=mine),
        closed=_is_archived(folder) or (bool(boxes) and all(box in "xX" for box in boxes)),
    )


def _title(proposal: str, mine: str) -> str:
    first = next((line for line in proposal.splitlines() if line.strip()), "")
    match = _TITLE.fullmatch(first.strip())
    return match["title"] if match and match["title"].strip().casefold() not in ("proposal", "why") else mine


def _parts(proposal: str) -> list[str]:
    """Why and what, and what it touches; all of a proposal that is written in another way."""
    parts = [(title, body) for title, body in sections(proposal) if title.casefold() in _SECTIONS]
    return [f"## {title}\n\n{body}" for title, body in parts] or [proposal]
