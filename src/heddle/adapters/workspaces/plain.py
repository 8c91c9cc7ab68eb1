"""Plain worktrees for the person: what restore and export make. They carry no marker, so Heddle never removes one."""

import asyncio
import hashlib
import os
import shutil
from pathlib import Path

from heddle.adapters.workspaces import faults
from heddle.adapters.workspaces.cautions import cautions
from heddle.ports import Caution, Snapshot, Worktrees


async def lay_out(worktrees: Worktrees, path: Path, kind: str, id: str, snapshot: Snapshot) -> tuple[Caution, ...]:
    """A worktree at `path` with all that `snapshot` holds, and what to mind there. It appears complete or not at all;
    asked again after a crash it finishes. Raises UserError(slug="path-taken")."""
    path = Path(os.path.abspath(path))
    name = f"{kind}-{id}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:6]}"
    draft = path.with_name(f".{path.name}.heddle")
    if not os.path.lexists(path):
        await worktrees.drop_admin(path, name)  # an earlier one here, whose folder was removed behind git's back
        await _clear(worktrees, draft, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        await worktrees.add(draft, snapshot.head, name, None)
        faults.step("added")
        await worktrees.fill(draft, snapshot)
        faults.step("filled")
        os.rename(draft, path)
        faults.step("placed")
    elif not await _is_unfinished(worktrees, path, draft, name):
        raise faults.taken(path)
    await worktrees.repair_admin(path, name)
    await _hand_over(worktrees, path)
    return await asyncio.to_thread(cautions, path, snapshot.refused)


async def _clear(worktrees: Worktrees, draft: Path, name: str) -> None:
    """Remove what a crash left of an earlier attempt; it was never visible under its name."""
    if not os.path.lexists(draft):
        return
    owned = await worktrees.identify(draft)
    if owned is None or Path(owned.gitdir).name != name:
        raise faults.taken(draft)
    shutil.rmtree(draft)
    await worktrees.drop_admin(draft, name)


async def _is_unfinished(worktrees: Worktrees, path: Path, draft: Path, name: str) -> bool:
    """Whether a crash came between the rename and the repair of the pointer back."""
    pointer = path / ".git"
    if path.is_symlink() or pointer.is_symlink() or not pointer.is_file() or os.path.lexists(draft):
        return False
    return await worktrees.identify(path) is None and pointer.read_bytes().endswith(b"/" + os.fsencode(name) + b"\n")


async def _hand_over(worktrees: Worktrees, path: Path) -> None:
    """It is the person's from now on: git may move or remove it when asked to."""
    owned = await worktrees.identify(path)
    if owned is not None:
        Path(owned.gitdir, "locked").unlink(missing_ok=True)
