"""What an instant workspace costs, against `git worktree add` and its kin in the same run.

Removals come last, over all repositories: ext4 does not give an inode out again soon after it was freed and looks at
every such one on the way to a fresh one, so that whatever is made after a mass deletion pays for it.
"""

import asyncio
import os
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.ground import Ground, delete, disk_kb, median, row, run_to_end, say, timed, timed_async

from heddle.adapters.workspaces.instant import InstantWorkspaces
from heddle.ports import Workspace

SIZES = {True: (200, 2_000), False: (200, 9_000, 27_000, 57_000)}
MANY = 50
SAMPLE = 3
"""So many worktrees are really added where that takes long; the time of MANY is scaled from them."""

LARGE = 1_000

CHANGED = 20
CREATED_S = 0.1
SETTLED_S = 2.1
"""After that nothing that was written can still change unseen."""

EDITED = ("src/part0/group0/file0.py", "src/part0/group0/file39.py", "src/part0/group4/file160.py")
EDIT = f"for f in {' '.join(EDITED)}; do echo '# edited' >> $f; done"

Rows = list[dict[str, Any]]


def run(quick: bool) -> dict[str, Any]:
    """Rows with `ours` and `baseline` in the same unit; `ratio` is ours to baseline and should be at most `goal`."""
    with tempfile.TemporaryDirectory(prefix="hd-") as place:
        benches = []
        for files in SIZES[quick]:
            say(f"a repository of {files} files")
            folder = Path(place) / str(files)
            folder.mkdir()
            benches.append(Bench(Ground(folder, files), SAMPLE if quick or files > LARGE else MANY))
            asyncio.run(benches[-1].make())
        os.sync()  # a removal has what was written on disk first; all the above is no fault of it
        for bench in benches:
            asyncio.run(bench.remove())
            delete(bench.ground.folder / "workspaces")
    first, last = benches[0], benches[-1]
    growth = row(f"1 created: {first.files} files, then {last.files}, s", first.created_s, last.created_s, 2.0)
    return {"name": "workspaces", "rows": [*(found for bench in benches for found in bench.rows), growth]}


class Bench:
    """One repository, the rows found on it, and what is there to be removed."""

    def __init__(self, ground: Ground, sample: int) -> None:
        self.ground, self.files, self.sample = ground, ground.files, sample
        self.large, self.huge = ground.files > LARGE, ground.files > 20_000
        self.rows: Rows = []
        self.created_s = 0.0
        self.trees: list[Path] = []
        self.ids: list[str] = []

    async def make(self) -> None:
        """The first workspaces, worktrees and looks at them."""
        ground = self.ground
        async with ground.house() as house:
            cold_s = await timed_async(lambda: house.bases.ensure(ground.base))
            await ground.lay_base(house)
            next_s = await timed_async(lambda: house.bases.ensure(ground.next_commit(CHANGED)), 3)
            self.created_s = await timed_async(lambda: house.create(ground.order()), 7)
            many_s, made = await self._create_many(house)
            layer_kb = sum(disk_kb(house.root / one.id) for one in made) / MANY
            read_s, told_s = await self._changes_s(made[0])
        self.ids = [one.id for one in made]
        add_s = [timed(self._add_tree) for _ in range(self.sample)]
        how = "adds" if self.sample == MANY else f"{self.sample} adds, scaled"
        all_s = sum(add_s) / len(add_s) * MANY
        disk_goal = 1 / 1000 if self.huge else 0.1
        self._row("1 created, s", median(add_s), self.created_s, 1 / 1000 if self.huge else 0.25)
        self._row(f"{MANY} created, s ({how})", all_s, many_s, 1 / 1000 if self.huge else 0.25)
        self._row(f"{MANY} created, s, of what is promised", CREATED_S, many_s, 1.0)
        self._row("first base, cold, s (1 add)", median(add_s), cold_s, 2.0)
        self._row(f"next base, {CHANGED} files changed, s (1 add)", median(add_s), next_s, 0.25 if self.huge else 1.0)
        self._row("disk of one, KiB", disk_kb(self.trees[-1]), layer_kb, disk_goal)
        status_s = self._status_s()
        self._row("changes() of 3 edits, just made, s (git status)", status_s, read_s, 1 / 5 if self.huge else 4.0)
        self._row("changes() of 3 edits, again, s (git status)", status_s, told_s, 1 / 100 if self.huge else 1 / 4)

    async def remove(self) -> None:
        """An edited workspace and untouched ones, and worktrees. Ours go to the trash, whose emptying is not counted."""
        ground = self.ground
        async with ground.house() as house:
            found = [await house.find(id) for id in self.ids[:4]]
            edited, *untouched = [workspace for workspace in found if workspace is not None]
            edited_s = await timed_async(edited.remove)
            untouched_s = median([await timed_async(one.remove) for one in untouched])
        remove = partial(ground.git, "worktree", "remove", "--force")
        trees_s = [timed(partial(remove, str(path))) for path in self.trees[-3:]]
        self._row("1 removed, edited, s", median(trees_s), edited_s, 1 / 50)
        self._row("1 removed, nobody entered, s", median(trees_s), untouched_s, 1 / 50)

    def _row(self, what: str, baseline: float, ours: float, goal: float) -> None:
        self.rows.append(row(f"{self.files}: {what}", baseline, ours, goal))

    def _add_tree(self) -> None:
        self.trees.append(self.ground.add_worktree())

    async def _create_many(self, house: InstantWorkspaces) -> tuple[float, list[Workspace]]:
        """Seconds to create MANY at once (the median of three), and the last ones."""
        made: list[Workspace] = []

        async def create() -> None:
            made[:] = await asyncio.gather(*(house.create(self.ground.order()) for _ in range(MANY)))

        return await timed_async(create, 3), made

    async def _changes_s(self, workspace: Workspace) -> tuple[float, float]:
        """Seconds of a look at fresh edits, which is read, and of one at what nobody touched since."""
        taken = []
        for _ in range(5):
            await run_to_end(workspace, self.ground.command("sh", "-c", EDIT))
            taken.append(await timed_async(workspace.changes))
        found = await workspace.changes()
        assert {change.path for change in found.paths} == set(EDITED), found
        await asyncio.sleep(SETTLED_S)
        await workspace.changes()
        return median(taken), await timed_async(workspace.changes, 50)

    def _status_s(self) -> float:
        """Seconds of a git status in a worktree with the same edits, whose index is not of just now."""
        tree = self.trees[-1]
        for name in EDITED:
            with (tree / name).open("a") as file:
                file.write("# edited\n")
        self.ground.git("status", "--porcelain", cwd=tree)
        return timed(lambda: self.ground.git("status", "--porcelain", cwd=tree), 5)
