"""The landing queue on a real repository and journal, step by step: no fleet runs, and each test is one of its moments."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from heddle import wiring
from heddle.core import events as e
from heddle.core.gate import CheckResult, Colour, Verdict
from heddle.core.queue_events import TrainDeparted, TrainJudged
from heddle.core.run import HeldUp, Idle, LandedAt, Run
from heddle.core.task import Lane, Stage, Task
from heddle.engine.branchqueue import BranchQueue
from heddle.engine.runs import Runs
from heddle.engine.site import Site
from support.fleet import git, make_repository

OWN = CheckResult("test -e a.py", Colour.GREEN, 0, 0.1)


@dataclass
class Line:
    """A house in which nothing is decided but by the test, and one branch's queue in it."""

    house: wiring.House
    path: Path
    site: Site

    @property
    def runs(self) -> Runs:
        """What is on record."""
        return self.house.desk.runs

    async def queue(self, branch: str = "main") -> BranchQueue:
        """The queue of a branch, as the fleet has it."""
        return await self.house.desk.fleet.trains._queue((str(self.path), branch))

    async def waiting(self, path: str, text: str = "mine\n", branch: str = "main") -> Run:
        """A run in the queue of a branch whose result writes one file, validated where that is now."""
        base = git(self.path, "rev-parse", branch)
        git(self.path, "checkout", "-q", "-b", f"of-{path}-{branch}", branch)
        (self.path / path).write_text(text)
        git(self.path, "add", path)
        git(self.path, "commit", "-q", "-m", f"write {path}")
        result, tree = git(self.path, "rev-parse", "HEAD", "HEAD^{tree}").split()
        git(self.path, "checkout", "-q", "main")
        task = Task("T0", self.site.repository.key, str(self.path), branch, f"write {path}", Lane.QUICK)
        verdict = Verdict(Colour.GREEN, base, result, tree, results=(OWN,))

        def facts(id: str) -> list[e.Event]:
            return [
                e.TaskAdded(replace(task, id=id)),
                e.RunStarted(1, base),
                e.StageStarted(Stage.EXECUTE, 1, f"{id}-e"),
                e.ResultDelivered(1, result, tree, "", (path,), 1, 0, (), "done"),
                e.GatePassed(Stage.EXECUTE, result, "nobody"),
                e.StageStarted(Stage.VALIDATE, 1, f"{id}-v"),
                e.VerdictReached(1, verdict),
                e.GatePassed(Stage.VALIDATE, result, "nobody"),
            ]

        run = await self.runs.add(facts, by="heddle")
        assert (run.stage, run.activity) == (Stage.LAND, Idle())
        return run

    async def departed(self, *runs: Run) -> TrainDeparted:
        """The intent to land a train of these, whose tree is on record as green."""
        queue, known = await self.queue(), {run.task.id: run for run in runs}
        tip = git(self.path, "rev-parse", "main")
        made = await queue._composer.compose(tip, tuple(known), known)
        judged = TrainJudged("main", tuple(known), tip, made.commit, made.tree, "r", Colour.GREEN, (OWN,))  # type: ignore[union-attr]
        going = TrainDeparted(1, "main", tip, made.commit, made.tree, made.cars)  # type: ignore[union-attr]
        await self.runs.record_queue(self.site.repository.key, judged, going)
        return going


@asynccontextmanager
async def line(folder: Path, files: dict[str, str] | None = None, config: str = "") -> AsyncIterator[Line]:
    """A repository of one commit, and nobody in its queue."""
    path = make_repository(folder / "repo", {"a.py": "x = 1\n", **(files or {})})
    (folder / "person.toml").write_text('[agent]\ndefault = "rehearsal"\n[sandbox]\ntier = "0"\n' + config)
    told = {**os.environ, "HEDDLE_CONFIG": str(folder / "person.toml"), "PYTHONPATH": os.pathsep.join(sys.path)}
    home, run = Path(os.environ["HEDDLE_HOME"]), Path(os.environ["HEDDLE_RUNTIME_DIR"])
    house = await wiring.build(home, run, told, lambda: None)
    try:
        yield Line(house, path, await house.desk.fleet.outside.site(str(path)))
    finally:
        await house.close()


async def test_m1_a_train_that_was_broken_off_leaves_no_verdict_on_others_changes(tmp_path: Path) -> None:
    async with line(tmp_path) as at:
        one, two = await at.waiting("one.txt"), await at.waiting("two.txt")
        await at.departed(one, two)
        (at.path / "one.txt").write_text("unsaved\n")  # in the person's checkout
        queue = await at.queue()
        assert await queue.arrive()
        held, free = at.runs.require(one.task.id), at.runs.require(two.task.id)
        assert isinstance(held.activity, HeldUp) and (free.stage, free.activity) == (Stage.LAND, Idle())
        queue.members = (two.task.id,)
        await queue.look()
        assert isinstance(at.runs.require(two.task.id).activity, LandedAt)
    assert git(at.path, "ls-tree", "--name-only", "main").split() == ["a.py", "two.txt"]
    assert (at.path / "one.txt").read_text() == "unsaved\n"


async def test_what_landed_before_a_crash_has_landed_wherever_the_branch_was_taken_since(tmp_path: Path) -> None:
    async with line(tmp_path) as at:
        one = await at.waiting("one.txt")
        going = await at.departed(one)
        records = {f"refs/heddle/landed/{one.task.id.lower()}-1": going.new}
        await at.site.repository.advance("main", going.old, going.new, records)  # and no fact of it
        git(at.path, "commit", "-q", "--amend", "-m", "mine, better told")
        queue = await at.queue()
        assert await queue.arrive()
        assert at.runs.require(one.task.id).activity == LandedAt(going.new)
        assert not at.runs.queue(at.site.repository.key).departed
    assert git(at.path, "log", "--format=%s", "main").splitlines() == ["mine, better told", "first"]
