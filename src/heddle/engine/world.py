"""Gathering what a decision needs: settings, approvals, room on the machine, neighbours, and where main is."""

from collections.abc import Callable

from heddle.core.contest import standing
from heddle.core.cycle import Blocker, World
from heddle.core.errors import HeddleError, SetupError
from heddle.core.events import StageStarted
from heddle.core.role import Role
from heddle.core.rot import cited, shown
from heddle.core.run import Active, HeldUp, Idle, Run
from heddle.core.scope import Scope
from heddle.core.settings import Settings
from heddle.core.task import STAGES, UNDO, WITH_AGENT, Lane, Stage
from heddle.engine.foresight import Foresight
from heddle.engine.roles import Roles
from heddle.engine.runs import Runs
from heddle.engine.site import Outside

SETTLING_S = 60.0
"""How long a session may take to grow to its size."""


GOVERNED = 2
"""From this tier on the sandbox decides what a session reaches."""


class Worlds:
    """Makes the World for a run. Settings and comparisons with main are cached by the commits they rest on."""

    def __init__(self, runs: Runs, outside: Outside, foresight: Foresight) -> None:
        self._runs = runs
        self._foresight = foresight
        self._outside = outside
        self._settings: dict[tuple[str, str], Settings] = {}
        self._committed: dict[tuple[str, str, str], bytes | None] = {}
        self._changed: dict[tuple[str, str], tuple[str, ...]] = {}
        self.standing: Callable[[Run], str] = lambda run: ""
        self.judging: Callable[[], int] = lambda: 0

    async def settings(self, run: Run) -> Settings:
        """The settings of the run's repository at its base, as the task's role narrows them; of what lands, on the branch as
        it is.
        """
        return (await self.role(run)).narrowed(await self.unnarrowed(run))

    async def unnarrowed(self, run: Run) -> Settings:
        """The same, whatever the role."""
        commit = await self.tip(run) if run.stage is Stage.LAND and not run.over else run.base
        key = (run.task.root, commit)
        if key not in self._settings:
            site = await self._outside.site(run.task.root)
            self._settings[key] = await self._outside.settings.settings(site.repository, commit)
        return self._settings[key]

    async def role(self, run: Run) -> Role:
        """The task's role at the run's base; one of the person's own as its file is now. Raises as Roles.load."""
        name, base = run.task.role, run.base
        if name == UNDO:
            return Role(UNDO, "")
        roles = Roles(self._outside.texts, (await self._outside.site(run.task.root)).repository)
        key = (run.task.root, base, name)
        if key not in self._committed:
            self._committed[key] = await roles.committed(base, name)
        return roles.chosen(name, self._committed[key]) or await roles.load(base, name)

    async def world(self, run: Run) -> World:
        """What decides about the run now. A failure to look is a named problem, never a guess."""
        if not run.number:
            return World(blockers=self._blockers(run))
        try:
            return await self._world(run)
        except HeddleError as error:
            told = f"{error.message}; {error.hint}" if error.hint else error.message
        try:
            return World(problem=told, moved=await self._moved(run))
        except HeddleError:
            return World(problem=told)

    async def _world(self, run: Run) -> World:
        settings = await self.settings(run)
        self._require_playable(run, await self.role(run), settings)
        approved = self._runs.approved(run.task.repository) | set(run.task.checks)
        executing = isinstance(run.activity, Idle) and run.stage is Stage.EXECUTE
        resting = isinstance(run.activity, Idle) and run.stage in (Stage.PLAN, Stage.EXECUTE)
        tip = await self.tip(run) if resting else ""
        foreseen, foreseeing = await self._foresight.ahead(run)
        return World(
            foreseen=foreseen,
            foreseeing=foreseeing,
            gates=settings.gates,
            delegations=settings.delegations,
            approved=frozenset(approved),
            unapproved=unapproved(settings, frozenset(approved)),
            free_sessions=settings.sessions - self._active(WITH_AGENT) - self._reviewing(),
            free_validations=settings.validations - self._runs.validating() - self.judging(),
            no_room=self._no_room(run, settings),
            queue=self.standing(run) if run.stage is Stage.LAND else "",
            main_red=await self._main_red(run),
            meets=self._meets(run) if executing else None,
            claimed=self._claimed(run) if executing else None,
            outdated=await self._outdated(run, tip) if executing else None,
            aged=await self._aged(run, tip) if resting and run.result is None else None,
            bounds=settings.bounds,
            now=self._outside.clock.now(),
            rivals=tuple(map(standing, self._runs.rivals(run))),
            blockers=self._blockers(run),
            moved=await self._moved(run),
        )

    def _require_playable(self, run: Run, role: Role, settings: Settings) -> None:
        """Raises SetupError for what the role demands and cannot be had: then nothing starts."""
        if not role.writes and run.task.lane is not Lane.REPORT:
            told = f"the role '{role.name}' writes nothing, and the task's lane is {run.task.lane}"
            raise SetupError(told, slug="role-reads-only", hint=f"stop it, then: heddle start {run.task.id}")
        if not settings.network and self._outside.tier < GOVERNED:
            told = f"the role '{role.name}' keeps sessions off the network, which tier {self._outside.tier} cannot do"
            raise SetupError(told, slug="network-open", hint="see which tiers can: heddle doctor")

    def _blockers(self, run: Run) -> tuple[Blocker, ...]:
        lost = self._runs.lost_ahead_of(run)
        ahead = [other for other in self._runs.ahead_of(run) if not self._runs.settled(other)]
        known = (Blocker(other.task.id, ended=other.over) for other in ahead if other.task.id not in lost)
        return (*(Blocker(id, lost=True) for id in lost), *known)

    async def _moved(self, run: Run) -> str:
        """Rivals begin where their first one began, or they could not be compared."""
        if not run.unbegun or run.task.contest:
            return ""
        tip = await self.tip(run)
        return "" if tip == run.base else tip

    async def tip(self, run: Run) -> str:
        """Where the branch is now on which the run is to land."""
        site = await self._outside.site(run.task.root)
        return await site.repository.resolve(f"refs/heads/{run.task.branch}")

    def _active(self, stages: set[Stage] | frozenset[Stage]) -> int:
        """A parked one has no process."""
        active = [run for run in self._runs.live() if isinstance(run.activity, Active) and run.parked is None]
        return sum(run.stage in stages for run in active)

    def _reviewing(self) -> int:
        """Validations that end with a session, or are in it."""
        return sum(isinstance(run.activity, Active) and run.to_review for run in self._runs.all())

    def _no_room(self, run: Run, settings: Settings) -> str:
        """What the machine lacks for the run's next stage; sessions that have just started count as not there yet."""
        if (not isinstance(run.activity, Idle) and run.parked is None) or run.stage is Stage.LAND:
            return ""
        since = self._outside.clock.now() - SETTLING_S
        young = [
            other for other in self._runs.live() if isinstance(other.activity, Active) and self._began(other) > since
        ]
        sizes = [self._size(other, settings) for other in (run, *young)]
        return self._outside.room.missing(sum(sizes))

    def _size(self, run: Run, settings: Settings) -> int:
        """MB of memory that the run's stage takes; a check's is not known."""
        if run.stage not in WITH_AGENT and not run.to_review:
            return 0
        try:
            wanted = run.task.agent or settings.candidates(run.task, run.stage)[0][0]
            return self._outside.agents.agent(wanted).memory_mb
        except HeddleError:  # its stage will say so
            return 0

    def _began(self, run: Run) -> float:
        began = (r.at for r in reversed(self._runs.history(run.task.id)) if isinstance(r.event, StageStarted))
        return next(began, 0.0)

    async def _main_red(self, run: Run) -> str:
        """The task that is to repair the branch, unless that is the run itself, or it was green on this very branch."""
        if run.stage in WITH_AGENT or not isinstance(run.activity, Idle):
            return ""
        red = self._runs.red(run.task.repository, run.task.branch)
        if red is None or red.task == run.task.id:
            return ""
        tip = await self.tip(run)
        if run.stage is Stage.LAND and run.verdict is not None and run.verdict.onto == tip:
            return ""
        return red.task if tip == red.commit else ""

    def _meets(self, run: Run) -> tuple[str, str, str] | None:
        """A task that may write what this one may, and that came first: it executes, or its result waits to land."""
        scope = run.scope
        for other in self._runs.live():
            if _together(run, other) or other.task.root != run.task.root or not _writes(other):
                continue
            if not isinstance(other.activity, Active) and self._runs.blocked(other):
                continue  # it waits for another, perhaps for this one
            meeting = scope.meeting(other.scope)
            if meeting is not None:
                return (other.task.id, *meeting)
        return None

    def _claimed(self, run: Run) -> tuple[str, str, str] | None:
        """A task whose session claims what this one may write; of its rivals' no account is taken, nor of its own."""
        for claim in self._runs.path_claims(run.task.repository, self._outside.clock.now()):
            meeting = run.scope.meeting(Scope(claim.paths))
            if meeting is not None and not _together(run, self._runs.require(claim.task)):
                return (claim.task, *meeting)
        return None

    async def _outdated(self, run: Run, tip: str) -> tuple[str, str] | None:
        """Where main is, when it changed what the plan means to write."""
        changed = await self.changed(run, run.base, tip)
        touched = [path for path in changed if not run.scope.declared or run.scope.covers(path)]
        return (tip, f"'{shown(touched[0])}' changed on {run.task.branch} since the plan was made") if touched else None

    async def _aged(self, run: Run, tip: str) -> tuple[str, str] | None:
        """Where main is, when it changed what the research cites. Rivals are not torn apart for that."""
        if not run.research or self._runs.rivals(run):
            return None
        found = cited(run.research, await self.changed(run, run.base, tip))
        return (
            (tip, f"'{shown(found[0])}', which the research cites, changed on {run.task.branch} since")
            if found
            else None
        )

    async def changed(self, run: Run, old: str, new: str) -> tuple[str, ...]:
        """Paths that differ between two commits of the run's repository."""
        if old == new:
            return ()
        if (old, new) not in self._changed:
            site = await self._outside.site(run.task.root)
            self._changed[old, new] = tuple(change.path for change in await site.repository.changes(old, new))
        return self._changed[old, new]


def unapproved(settings: Settings, approved: frozenset[str]) -> tuple[str, ...]:
    """The commands of a repository's configuration that no person allowed yet (X5)."""
    return tuple(command for command in settings.commands if command not in approved)


def _together(run: Run, other: Run) -> bool:
    """Whether both are one task, or rivals at it: those need not keep apart."""
    return other.task.id == run.task.id or (bool(run.task.contest) and other.task.contest == run.task.contest)


def _writes(run: Run) -> bool:
    """Whether the run writes, or wrote what has not landed: from the start of execute to landing."""
    if run.over or not run.number or isinstance(run.activity, HeldUp):
        return False
    stages = STAGES[run.task.lane]
    if Stage.EXECUTE not in stages:
        return False
    begun = run.stage is Stage.EXECUTE and (isinstance(run.activity, Active) or run.result is not None)
    return begun or stages.index(run.stage) > stages.index(Stage.EXECUTE)
