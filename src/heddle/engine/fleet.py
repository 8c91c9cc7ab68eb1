"""The engine's heart: for every run decide, carry out, record; wake only when a fact came.

One loop makes all decisions, so that slots are counted in one place. What takes long runs under the dispatcher,
keyed by the task; at the start the same loop settles every open intent, because an intent that is on record is
simply decided again, and each carrying-out finds what an earlier one began.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from typing import assert_never

from heddle.core import events as e
from heddle.core.contest import inherited, number, player
from heddle.core.cycle import (
    PATHS,
    PROBLEM,
    ROOM,
    Compete,
    Decision,
    Hold,
    PassGate,
    PlayStage,
    Rebase,
    RemoveWorkspace,
    Replan,
    StartStage,
    Stop,
    Unpark,
    Wait,
    Who,
    Work,
    World,
    decide,
)
from heddle.core.errors import HeddleError
from heddle.core.run import Active, Run
from heddle.core.settings import Settings
from heddle.core.task import WITH_AGENT, Stage, Task
from heddle.core.views import UNREADABLE
from heddle.engine.attaching import Attaching
from heddle.engine.foresight import Foresight
from heddle.engine.installing import Installer
from heddle.engine.radar import Radar
from heddle.engine.rotting import Rotting
from heddle.engine.runs import Runs
from heddle.engine.site import Outside, Site
from heddle.engine.stages import AgentStage, end_parked
from heddle.engine.trains import Trains
from heddle.engine.validation import Validation
from heddle.engine.visits import Visits
from heddle.engine.world import Worlds
from heddle.ports import Dispatcher, Workspace

log = logging.getLogger("heddle.fleet")

RECOVERY = "refs/heddle/recovery"
"""Below it, and the workspace's id, the providers keep what a removed workspace held, counted up from 1."""

RETRY_S = 15.0
"""After a failure of the journal or the disk, without room, or with a problem that a person mends outside: how long until
work is tried again.
"""


class Fleet:
    """Decides for every run and has it carried out."""

    def __init__(self, runs: Runs, outside: Outside, dispatcher: Dispatcher) -> None:
        self.runs = runs
        self.outside = outside
        self.dispatcher = dispatcher
        self._news = asyncio.Event()
        self.foresight = Foresight(runs, outside, self._news.set, self._waits_for_others)
        self.worlds = Worlds(runs, outside, self.foresight)
        self.rotting = Rotting(runs, outside, self.worlds)
        self.radar = Radar(runs, outside)
        self.visits = Visits(runs, outside)
        self.attaching = Attaching(runs, outside, self.worlds, self.visits)
        self.decisions: dict[str, tuple[tuple[int, ...], Decision]] = {}
        self._troubles: dict[str, str] = {}
        self._forgotten = 0
        self._working: dict[str, Work] = {}
        self._looked = asyncio.Event()
        self.trains = Trains(runs, outside, dispatcher, self._news.set)
        self.worlds.standing, self.worlds.judging = self.trains.standing, self.trains.judging

    @property
    def trouble(self) -> str:
        """What keeps the fleet from its work at this moment, in words; empty when nothing does."""
        return next(iter(self._troubles.values()), "")

    async def serve(self) -> None:
        """Until cancelled: look at every run whenever a fact came or work ended."""
        watchers = [asyncio.create_task(self._watch()), asyncio.create_task(self._watch_drift())]
        self.visits.resume()
        await asyncio.gather(*(end_parked(self.runs, self.outside, run) for run in self.runs.all() if run.parked))
        try:
            while True:
                self._news.clear()
                try:
                    settled = await self.tick()
                    self._troubles.pop("", None)
                except HeddleError as error:
                    settled = True
                    self._troubles[""] = f"{error.message}; {error.hint}"
                    log.warning("trouble", extra={"slug": error.slug})
                if not settled:
                    continue
                await self._pause()
        finally:
            for watcher in watchers:
                watcher.cancel()
            await self.foresight.close()
            await self.visits.close()

    async def _pause(self) -> None:
        """Until there is news; with what no fact tells the end of, also after a while. Work that failed comes again by itself."""
        live = (id for id in self.runs.bearing.live if id in self.decisions and id not in self._troubles)
        known = (self.decisions[id][1] for id in live)
        again = any(isinstance(one, Wait) and one.reason in (ROOM, PROBLEM, PATHS, e.MAIN_RED) for one in known)
        with suppress(
            TimeoutError
        ):  # not wait_for: before Python 3.12 it forgets a cancellation that comes with the news
            async with asyncio.timeout(RETRY_S if again or self._troubles.get("") else None):
                await self._news.wait()

    async def _watch(self) -> None:
        position = self.runs.journal.position()
        while True:
            position = await self.runs.journal.wait(position)
            self._news.set()

    async def _watch_drift(self) -> None:
        """The radar goes on after a fault of ours: everything else does without it."""
        while True:
            try:
                await self.radar.serve()
            except Exception:
                log.exception("bug")
            await asyncio.sleep(RETRY_S)

    async def tick(self) -> bool:
        """One look at every run on whose decision something new bears, and at all that are under way: what theirs rests on no
        fact tells of. False when something was recorded, so that another look is due at once.
        """
        settled = True
        for id in [run.task.id for run in self.runs.by_priority(self.runs.bearing.due | self.runs.bearing.live)]:
            settled = await self._look(self.runs.require(id)) and settled
        self.trains.look(self.decision)
        looked, self._looked = self._looked, asyncio.Event()
        looked.set()
        return settled

    async def _look(self, run: Run) -> bool:
        """Decide about a run and have it carried out. False when another look is due at once."""
        id, stamp = run.task.id, self._stamp(run)
        if id in self.runs.unreadable:
            told = f"{self.runs.unreadable[id]}; what is known of it may be out of date"
            self._decide(id, stamp, Wait(Who.PERSON, UNREADABLE, told))
            return True
        if run.over and not run.workspaces:
            self._decide(id, stamp, decide(run, World()))  # of a world without it nothing matters
            return True
        forgotten = self._forgotten
        world = await self.worlds.world(run)
        if (
            self._stamp(self.runs.require(id)) != stamp or self._forgotten != forgotten
        ):  # a fact came while we looked: this world is another run's
            return False
        decision = decide(run, world)
        trouble = self._troubles.get(id)
        self._decide(id, stamp, Wait(Who.PERSON, PROBLEM, trouble) if trouble else decision)
        return await self._follow(run, decision)

    def _decide(self, id: str, stamp: tuple[int, ...], decision: Decision) -> None:
        """No fact came since the stamp was made."""
        before, self.decisions[id] = self.decisions.get(id), (stamp, decision)
        if _is_for_others(decision) and not (before and _is_for_others(before[1])):
            self._news.set()  # whoever goes after it need not wait for it any more, and no fact tells of that
        self.runs.bearing.due.discard(id)

    def _waits_for_others(self, run: Run) -> bool:
        return run.task.id in self.decisions and _is_for_others(self.decisions[run.task.id][1])

    async def up_to_date(self, limit_s: float) -> bool:
        """Wait for a decision about every run as it is now, so long; whether there is one. Without it a board would show
        what was decided before the last fact.
        """
        deadline = asyncio.get_running_loop().time() + limit_s
        while self.stale():
            left = deadline - asyncio.get_running_loop().time()
            try:
                await asyncio.wait_for(self._looked.wait(), timeout=max(0.0, left))
            except TimeoutError:
                return False
        return True

    async def news(self, after: int, limit_s: float) -> None:
        """Wait for a fact after a position, or for the end of a look at every run, but no longer: what a look finds a run to
        wait for is no fact.
        """
        waits = [asyncio.ensure_future(one) for one in (self.runs.journal.wait(after), self._looked.wait())]
        try:
            await asyncio.wait(waits, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()

    def stale(self) -> bool:
        """Whether some run was not looked at since the last fact that bears on it."""
        return bool(self.runs.bearing.due)

    async def _follow(self, run: Run, decision: Decision) -> bool:
        """Carry a decision out, or see to it that it is being carried out. False when it recorded a fact."""
        id = run.task.id
        match decision:
            case Wait():
                return True
            case StartStage(stage, attempt, key):
                started = e.StageStarted(stage, attempt, key)
                await self.runs.record_if(id, lambda now: [started] if self._stamp(now) == self._stamp(run) else [])
            case Rebase(base):
                await self.runs.record(id, e.RunRebased(base))
            case Unpark(session):
                unparked = e.SessionUnparked(session)
                await self.runs.record_if(id, lambda now: [unparked] if now.parked == run.parked else [])
            case Compete():
                await self._compete(run)
            case PassGate(stage, bound, by):
                passed = e.GatePassed(stage, bound, by)
                await self.runs.record_if(id, lambda now: [passed] if self._stamp(now) == self._stamp(run) else [])
            case Replan(base, why, research):
                await self.runs.record(id, e.PlanOutdated(base, why, research))
            case Hold(reason, detail):
                await self.runs.record(id, e.RunHeld(reason, detail))
            case PlayStage() | Stop() | RemoveWorkspace():
                await self._dispatch(run, decision)
                return True
            case _:
                assert_never(decision)
        return False

    async def _compete(self, run: Run) -> None:
        """Begin its rivals; those that were begun before a crash are found again."""
        task = run.task
        members = [other for other in self.runs.all() if other.task.contest == task.id and other.task.id != task.id]
        begun = [other.task.id for other in members if not other.over]
        facts = inherited(self.runs.history(task.id))
        for place in range(len(begun) + 1, task.best_of):
            agents = task.rival_agents
            brand, model = player(agents[place % len(agents)]) if agents else (task.agent, task.model)
            rival = replace(task, agent=brand, model=model, best_of=1, rival_agents=())

            def make(id: str, rival: Task = rival) -> list[e.Event]:
                return [e.TaskAdded(replace(rival, id=id)), *facts]

            begun.append((await self.runs.add(make, by="heddle")).task.id)
        await self.runs.record(task.id, e.RivalsStarted(tuple(begun)))

    async def _dispatch(self, run: Run, action: Work) -> None:
        id = run.task.id
        under_way = self._working.get(id)
        if under_way == action:
            return
        if under_way is not None:
            if not isinstance(action, Stop):
                return  # it ends by itself; its last fact brings the next look
            await self.dispatcher.cancel(id)
        self._working[id] = action
        self.dispatcher.submit(id, lambda: self._carry_out(id, action))

    async def _carry_out(self, id: str, action: Work) -> None:
        try:
            await self._work(self.runs.require(id), action)
            self._troubles.pop(id, None)
        except HeddleError as error:
            self._troubles[id] = f"{error.message}; {error.hint}"
            log.warning("work failed", exc_info=error, extra={"task": id})
            self._news.set()
            await asyncio.sleep(RETRY_S)
        except Exception as error:
            log.exception("bug", extra={"task": id})
            await self._record_bug(id, action, error)
        finally:
            if self._working.get(id) is action:
                del self._working[id]
            self._news.set()

    async def _record_bug(self, id: str, action: Work, error: Exception) -> None:
        detail = f"{type(error).__name__}: {error}"
        if isinstance(action, PlayStage):
            await self.runs.record(id, e.StageFailed(action.stage, action.attempt, "bug", detail))
        elif isinstance(action, RemoveWorkspace):
            await self.runs.record(id, e.WorkspaceKept(action.workspace, detail))
        else:
            await self.runs.record(id, e.RunHeld("bug", detail))

    async def _work(self, run: Run, action: Work) -> None:
        site = await self.outside.site(run.task.root)
        match action:
            case PlayStage(stage, _, key):
                await self._stage(run, site, stage, key)
            case Stop(why):
                await self._stop(run, site, why)
            case RemoveWorkspace(workspace):
                await self._remove(run, site, workspace)
            case _:
                assert_never(action)

    async def _stage(self, run: Run, site: Site, stage: Stage, key: str) -> None:
        settings: Settings = await self.worlds.settings(run)
        if stage in WITH_AGENT:
            await AgentStage(self.runs, self.outside, site, settings, run, key, self.radar).play()
        elif stage is Stage.VALIDATE:
            await Validation(self.runs, self.outside, site, settings, run, key).play()
        elif not await self.trains.arrive(run):  # an older Heddle began it, of which nothing is known
            aborted = e.LandingAborted("the landing was not under way any more")
            await self.runs.record_if(
                run.task.id, lambda now: [aborted] if now.landing and isinstance(now.activity, Active) else []
            )
        if self.runs.require(run.task.id).activity == Active(key):
            return  # parked: its conversation goes on in this workspace
        with suppress(HeddleError):  # an attempt that is over costs no process; what fails here fails again at removal
            await self._seal(self.runs.require(run.task.id), site)

    async def _stop(self, run: Run, site: Site, why: str) -> None:
        """End every process of the run's workspaces; what they hold is kept when they are removed."""
        await self._seal(run, site)
        await self.runs.record(run.task.id, e.RunStopped(why))

    async def _seal(self, run: Run, site: Site) -> None:
        for made in run.workspaces:
            workspace = await site.workspaces.find(made.workspace)
            if workspace is not None:
                await self._close(run, site, workspace)

    async def _close(self, run: Run, site: Site, workspace: Workspace) -> None:
        """Seal it, and before that undo what its set-up made elsewhere, as far as that is known."""
        settings = Settings()
        with suppress(HeddleError):
            settings = await self.worlds.unnarrowed(run)
        await Installer(self.outside, site, settings).close(workspace, self.runs, run.task.id)

    async def _remove(self, run: Run, site: Site, id: str) -> None:
        workspace = await site.workspaces.find(id)
        try:
            if workspace is None:  # a crash came after it was removed, or it was never made
                kept = [ref for ref, _ in await site.repository.kept(f"{RECOVERY}/{id}")]
                recovery = max(kept, key=lambda ref: int(ref.rpartition("/")[2]), default="")
            else:
                await self._close(run, site, workspace)
                recovery = (await workspace.remove()).recovery
        except HeddleError as error:
            await self.runs.record(run.task.id, e.WorkspaceKept(id, error.message))
            return
        if run.over and all(made.workspace == id for made in run.workspaces):  # the last fact: nothing comes after it
            await self._forget_attempts(run, site)
        await self.runs.record(run.task.id, e.WorkspaceRemoved(id, recovery))

    async def _forget_attempts(self, run: Run, site: Site) -> None:
        """What validations were made of is needed no more; results and what landed keep their refs."""
        for kind in ("onto", "candidates"):
            for ref, _ in await site.repository.kept(f"refs/heddle/{kind}"):
                if ref.rpartition("/")[2].startswith(f"{run.task.id.lower()}-{run.number}-"):
                    await site.repository.forget(ref)

    def decision(self, run: Run) -> Decision:
        """The decision for a run as it is now; one made before its last fact is none, and that is said."""
        stamp, decision = self.decisions.get(run.task.id, ((), None))
        if decision is None or stamp != self._stamp(run):
            return Wait(Who.NOBODY, "not-looked-at", "the engine has not looked at it since its last fact")
        return decision

    def _stamp(self, run: Run) -> tuple[int, ...]:
        """How far the facts go on which its decision rests: its own and those of all that bear on it, each with its name."""
        known = (mark for other in self.runs.bearing_on(run) for mark in (number(other.task.id), other.seq))
        return (run.seq, *known, *map(number, self.runs.lost_ahead_of(run)))

    def forget(self, repository: str) -> None:
        """What a decision about a repository's runs rested on changed: until the next look there is none."""
        self._forgotten += 1
        for run in self.runs.all():
            if run.task.repository == repository:
                self.decisions.pop(run.task.id, None)
                self.runs.bearing.due.add(run.task.id)


def _is_for_others(decision: Decision) -> bool:
    """Whether it is a wait that a person or another task ends."""
    return isinstance(decision, Wait) and decision.who in (Who.PERSON, Who.TASK)
