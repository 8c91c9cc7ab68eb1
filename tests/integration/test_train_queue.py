"""The landing queue on a real repository and journal, step by step: no fleet runs, and each test is one of its moments."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from heddle import wiring
from heddle.core import events as e
from heddle.core.cycle import QUEUE, Wait, Who
from heddle.core.errors import SetupError
from heddle.core.gate import CheckResult, Colour, Verdict
from heddle.core.queue_events import Car, MainFoundRed, TrainDeparted, TrainJudged
from heddle.core.run import HeldUp, Idle, LandedAt, Run
from heddle.core.settings import Settings
from heddle.core.task import Lane, Stage, Task
from heddle.engine.branchqueue import BranchQueue
from heddle.engine.composing import Composition
from heddle.engine.installing import Installer
from heddle.engine.judging import Judging
from heddle.engine.landing import TrainLanding
from heddle.engine.mainline import ROOM, Mainline, clear, place_for
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
        for queue in house.desk.fleet.trains.queues():
            await queue._judge([])  # no check goes on
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


def validation(queue: BranchQueue, at: Line, settings: Settings, *runs: Run) -> Judging:
    """The question whether these are green, as the queue asks it."""
    tree, commit = git(at.path, "rev-parse", "main^{tree}", "main").split()
    cars = tuple(Car(run.task.id, "", commit) for run in runs)
    made = Composition(commit, commit, tree, cars)
    key = at.site.repository.key
    return Judging(at.runs, at.house.desk.fleet.outside, at.site, settings, queue.branch, key, made, settings.checks)


async def started(at: Line, queue: BranchQueue, run: Run) -> Judging:
    """A validation that is under way, in a workspace of its own, until it is told to end."""
    gate, began = at.path.parent / "gate", at.path.parent / f"began-{run.task.id}"
    settings = Settings(checks=(f"touch {began}; while ! test -e {gate}; do sleep 0.02; done",))
    judging = validation(queue, at, settings, run)
    await queue._judge([judging])
    async with asyncio.timeout(20):
        while not began.exists():
            await asyncio.sleep(0.01)
    return judging


async def rooms(at: Line) -> list[str]:
    """The workspaces of validations."""
    return [id for id in await at.site.workspaces.ids() if id.startswith(ROOM)]


async def test_two_branches_of_one_repository_leave_each_others_validations_alone(tmp_path: Path) -> None:
    async with line(tmp_path) as at:
        git(at.path, "branch", "other")
        run, queue, other = await at.waiting("one.txt"), await at.queue(), await at.queue("other")
        judging = await started(at, queue, run)
        await other.look()
        assert len(await rooms(at)) == 1 and git(at.path, "for-each-ref", "refs/heddle/trains")
        (tmp_path / "gate").touch()
        async with asyncio.timeout(20):
            while queue.judging:
                await asyncio.sleep(0.01)
        tree = judging.composition.tree
        assert queue.queue.verdicts[tree, judging.recipe].colour is Colour.GREEN
        assert not await rooms(at) and not git(at.path, "for-each-ref", "refs/heddle/trains")


async def test_a_validation_that_is_moot_ends_with_all_that_it_needed(tmp_path: Path) -> None:
    async with line(tmp_path) as at:
        run, queue = await at.waiting("one.txt"), await at.queue()
        await started(at, queue, run)
        await queue._judge([])
        assert not queue.judging and not await rooms(at)
        assert not git(at.path, "for-each-ref", "refs/heddle/trains")


async def test_a_validation_that_ends_without_a_verdict_brings_another_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("heddle.engine.trains.RETRY_S", 0.01)
    async with line(tmp_path) as at:
        run, queue, trains = await at.waiting("one.txt"), await at.queue(), at.house.desk.fleet.trains
        git(at.path, "commit", "-q", "--allow-empty", "-m", "mine")  # so that it must be validated again
        git(at.path, "update-ref", "refs/heddle/trains", "main")  # no ref can lie below this one
        trains.look(lambda run: Wait(Who.QUEUE, QUEUE, "") if run.stage is Stage.LAND else Wait(Who.NOBODY, "", ""))
        async with asyncio.timeout(20):
            while not trains._troubles or trains._stamps or queue.judging:
                await asyncio.sleep(0.01)
        assert "the landing queue cannot go on" in trains.standing(run)


async def test_a_fault_of_ours_in_a_look_brings_another_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("heddle.engine.trains.RETRY_S", 0.01)
    async with line(tmp_path) as at:
        run, queue, trains = await at.waiting("one.txt"), await at.queue(), at.house.desk.fleet.trains
        monkeypatch.setattr(queue, "_composer", None)
        trains.look(lambda run: Wait(Who.QUEUE, QUEUE, ""))
        async with asyncio.timeout(20):
            while not trains._troubles or trains._stamps:
                await asyncio.sleep(0.01)
        assert "AttributeError" in trains.standing(run)


async def test_m1_a_check_that_the_branch_has_now_runs_before_what_was_validated_without_it_lands(
    tmp_path: Path,
) -> None:
    toml = "[checks]\ncommands = ['test ! -e one.txt']\n"
    async with line(tmp_path, {"heddle.toml": toml}) as at:
        run, queue = await at.waiting("one.txt"), await at.queue()  # begun before that check was there
        await at.runs.record_other(
            f"repository:{at.site.repository.key}", e.CommandsApproved(("test ! -e one.txt",)), by="person:ada"
        )
        queue.members = (run.task.id,)
        await queue.look()
        assert queue.judging and at.runs.require(run.task.id).activity == Idle()


async def test_x5_a_command_that_came_with_the_branch_since_the_decision_waits_for_a_person(tmp_path: Path) -> None:
    async with line(tmp_path) as at:
        run, queue = await at.waiting("one.txt"), await at.queue()
        (at.path / "heddle.toml").write_text(f"[checks]\ncommands = ['touch {tmp_path}/ran']\n")
        git(at.path, "add", "heddle.toml")
        git(at.path, "commit", "-q", "-m", "theirs")
        queue.members = (run.task.id,)
        with pytest.raises(SetupError, match="nobody allowed it yet"):
            await queue.look()
        assert not queue.judging


async def test_what_cannot_be_torn_down_for_nobody_is_no_fact(tmp_path: Path) -> None:
    async with line(tmp_path) as at:
        queue = await at.queue()
        judging = validation(queue, at, Settings(teardown=("false",)))
        installer = Installer(at.house.desk.fleet.outside, at.site, judging.settings)
        await place_for(installer, judging.composition.commit, judging.place)
        await clear(at.site, installer, at.runs, "", (judging.place,))
        assert not await rooms(at)
        assert [record.stream for record in await at.house.journal.read_all(0) if record.stream == "task:"] == []


async def test_m7_a_branch_that_is_red_at_another_commit_of_the_same_tree_is_red_there(tmp_path: Path) -> None:
    async with line(tmp_path, {"heddle.toml": "[checks]\ncommands = ['false']\n"}) as at:
        run, outside = await at.waiting("one.txt"), at.house.desk.fleet.outside
        results = (CheckResult("false", Colour.RED, 1, 0.1),)
        mainline = Mainline(at.runs, outside, at.site, Settings(checks=("false",)))
        repair = await mainline.blamed(run.task, git(at.path, "rev-parse", "main"), results)
        git(at.path, "commit", "-q", "--allow-empty", "-m", "again")
        tip = git(at.path, "rev-parse", "main")
        assert await mainline.blamed(run.task, tip, results) == repair != ""
        assert at.runs.queue(at.site.repository.key).red["main"].commit == tip  # or it is validated again for ever
        (at.path / "heddle.toml").write_text("")
        git(at.path, "commit", "-q", "-a", "-m", "no such check any more")
        assert await mainline.blamed(run.task, git(at.path, "rev-parse", "main"), results) == ""


async def test_a_branch_that_a_person_repairs_without_a_task_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("heddle.engine.fleet.RETRY_S", 0.01)
    async with line(tmp_path) as at:
        run, fleet = await at.waiting("one.txt"), at.house.desk.fleet
        fleet.decisions[run.task.id] = ((), Wait(Who.TASK, e.MAIN_RED, "T9 is to repair it", "T9"))
        async with asyncio.timeout(5):
            await fleet._pause()  # no fact tells of a commit


async def test_w9_a_change_that_cannot_be_read_any_more_keeps_nobody_back_that_was_to_land_with_it(
    tmp_path: Path,
) -> None:
    async with line(tmp_path) as at:
        one, two = await at.waiting("one.txt"), await at.waiting("two.txt")
        await at.departed(one, two)
        at.runs.unreadable[one.task.id] = "a record before number 3 cannot be read"
        at.house.desk.fleet.trains.look(lambda run: Wait(Who.NOBODY, "", ""))
        async with asyncio.timeout(20):
            while at.runs.queue(at.site.repository.key).departed:
                await asyncio.sleep(0.01)
        assert at.runs.require(two.task.id).activity == Idle()


async def test_what_the_branch_renamed_meanwhile_lands_under_its_new_name_and_nothing_else_does(tmp_path: Path) -> None:
    text = "".join(f"line {number}\n" for number in range(40))
    async with line(tmp_path, {"old.txt": text}) as at:
        run, queue = await at.waiting("old.txt", f"{text}mine\n"), await at.queue()
        git(at.path, "mv", "old.txt", "new.txt")
        (at.path / "later.txt").write_text("theirs\n")
        git(at.path, "add", "later.txt")
        git(at.path, "commit", "-q", "-m", "renamed")
        going = await at.departed(run)
        landing = TrainLanding(at.runs, at.site, at.site.repository.key, going)
        git(at.path, "checkout", "-q", "--detach")
        (at.path / "new.txt").write_text(f"{text}mine\n")
        (at.path / "later.txt").unlink()  # as a merge upon a stale base would take it back
        git(at.path, "commit", "-q", "-a", "-m", "stale")
        commit, tree = git(at.path, "rev-parse", "HEAD", "HEAD^{tree}").split()
        git(at.path, "checkout", "-q", "main")
        assert "'later.txt'" in await replace(landing, departed=replace(going, new=commit, tree=tree))._doubt()
        assert await queue.arrive()
        assert at.runs.require(run.task.id).activity == LandedAt(going.new)
    assert (at.path / "new.txt").read_text().endswith("mine\n")


async def test_x4_all_queues_share_what_may_be_validated_at_once(tmp_path: Path) -> None:
    async with line(tmp_path) as at:
        git(at.path, "branch", "other")
        runs = [await at.waiting(path) for path in ("one.txt", "two.txt")]
        git(at.path, "commit", "-q", "--allow-empty", "-m", "mine")  # so that they must be validated again
        queue, other = await at.queue(), await at.queue("other")
        await started(at, other, runs[0])
        queue.members = tuple(run.task.id for run in runs)
        await queue.look()
        assert len(queue.judging) + len(other.judging) == Settings().validations == 2


async def test_x3_a_train_waits_for_room_and_what_runs_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with line(tmp_path) as at:
        one = await at.waiting("one.txt")
        git(at.path, "commit", "-q", "--allow-empty", "-m", "main moved")
        queue = await at.queue()
        queue.members = (one.task.id,)
        monkeypatch.setattr(type(queue.outside.room), "missing", lambda self, memory_mb: "the disk is nearly full")
        with pytest.raises(SetupError, match="nearly full"):
            await queue.look()
        assert not queue.judging
        monkeypatch.undo()
        await queue.look()
        assert len(queue.judging) == 1


async def test_w9_a_repair_that_cannot_be_read_holds_nobody_up(tmp_path: Path) -> None:
    async with line(tmp_path) as at:
        one, tip = await at.waiting("one.txt"), git(at.path, "rev-parse", "main")
        key = at.site.repository.key
        await at.runs.record_queue(key, MainFoundRed("main", tip, "t", "make", "T99"))
        assert at.runs.red(key, "main") is None
        await at.runs.record_queue(key, MainFoundRed("main", tip, "t", "make", one.task.id))
        assert at.runs.red(key, "main") is not None
        at.runs.unreadable[one.task.id] = "a hole"
        assert at.runs.red(key, "main") is None
