"""The runs of all tasks, folded from the journal and kept up to date: the one place through which facts enter."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from weakref import WeakValueDictionary

from heddle.core.claim import PathClaim, PathClaims, attempt_of, require_free
from heddle.core.contest import number, standing
from heddle.core.errors import Refused, UserError
from heddle.core.events import (
    CommandsApproved,
    ContextRecorded,
    Event,
    GatePassed,
    ListKept,
    MirrorSet,
    NotesGiven,
    NoteWritten,
    PathsClaimed,
    PermissionDecided,
    QuestionAsked,
    RadarFound,
    RadarTold,
    Recorded,
    TaskMirrored,
    ToolUsed,
    TurnRecorded,
    UsageRecorded,
)
from heddle.core.evolve import evolve, fold
from heddle.core.links import Link, LinkKind, waits_for
from heddle.core.notes import Notebook
from heddle.core.queue import LandingQueue
from heddle.core.queue_events import MainFoundRed
from heddle.core.radar import Drifts
from heddle.core.run import Active, LandedAt, Run
from heddle.core.session import Usage
from heddle.core.task import Stage
from heddle.engine.bearing import Bearing
from heddle.ports import Fence, Journal


@dataclass(slots=True)
class Tally:
    """What is kept in memory of a stream that is no task's: how many facts it has, how many turns ended in it, and how many
    tokens the context of its agent holds, of how many. `heard`: of how many messages there is evidence that the agent had
    them: a turn that ended, or something that it did or asked.
    """

    seq: int = 0
    turns: int = 0
    context: tuple[int, int] | None = None
    heard: int = 0


class Runs:
    """Every run by task id. `unreadable`: tasks whose stream has a hole, and why; nothing is done with those."""

    def __init__(self, journal: Journal, fence: Fence | None = None) -> None:
        self.journal = journal
        self._fence = fence
        self._runs: dict[str, Run] = {}
        self._records: dict[str, list[Recorded]] = {}
        self._usage: dict[str, Usage] = {}
        self._approved: dict[str, set[str]] = {}
        self._path_claims: defaultdict[str, PathClaims] = defaultdict(PathClaims)
        self._links: dict[str, tuple[Link, ...]] = {}
        self._contests: defaultdict[str, list[str]] = defaultdict(list)
        self._drifts: defaultdict[str, Drifts] = defaultdict(Drifts)
        self._notebooks: defaultdict[str, Notebook] = defaultdict(Notebook)
        self._queues: defaultdict[str, LandingQueue] = defaultdict(LandingQueue)
        self._tallies: defaultdict[str, Tally] = defaultdict(Tally)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._parking: WeakValueDictionary[str, asyncio.Event] = WeakValueDictionary()
        self.bearing = Bearing()
        self.mirrors: dict[str, dict[str, str]] = {}
        self.kept_lists: dict[tuple[str, str], ListKept] = {}
        self.unreadable: dict[str, str] = {}

    async def load(self) -> None:
        """Fold all that the journal holds."""
        after = 0
        while records := await self.journal.read_all(after):
            for record in records:
                self._take(record)
            after = records[-1].position
        for kind in ("notes:", "claims:", "queue:", "radar:", "repository:"):
            for stream in await self.journal.streams(kind):  # its last records may be ones that cannot be read
                self._tallies[stream].seq = await self.journal.head(stream)
        for stream in await self.journal.streams("task:"):
            if await self.journal.head(stream) != self._seq(stream):
                self.unreadable[stream.removeprefix("task:")] = "its last records cannot be read"

    def all(self) -> tuple[Run, ...]:
        """Every run, oldest task first."""
        return tuple(self._runs.values())

    def require(self, id: str) -> Run:
        """The run of a task. Raises UserError(slug="no-such-task")."""
        run = self._runs.get(id) or self._runs.get(id.upper())
        if run is None:
            raise UserError(
                f"there is no task '{id}'", slug="no-such-task", hint="list tasks with: heddle status --all"
            )
        return run

    def lost(self, id: str) -> bool:
        """Whether what is on record of a task cannot be read, or not all of it."""
        return id not in self._runs or id in self.unreadable

    def live(self) -> tuple[Run, ...]:
        """Those that are under way or have something left to be tidied up, oldest task first."""
        return tuple(self._runs[id] for id in sorted(self.bearing.live, key=number))

    def by_priority(self, ids: Iterable[str] | None = None) -> tuple[Run, ...]:
        """Every run, or those of some tasks, in the order in which they take what there is room for."""
        runs = self._runs.values() if ids is None else (self._runs[id] for id in ids if id in self._runs)
        return tuple(sorted(runs, key=lambda run: (run.task.priority, number(run.task.id))))

    def links(self) -> Mapping[str, tuple[Link, ...]]:
        """How all tasks hang together."""
        return MappingProxyType(self._links)

    def ahead_of(self, run: Run) -> tuple[Run, ...]:
        """What must be settled before it, whether it is or not; without what cannot be read."""
        return tuple(self._runs[id] for id in self._waits_for(run) if id in self._runs)

    def lost_ahead_of(self, run: Run) -> tuple[str, ...]:
        """What must be settled before it, and of which nobody can say whether it is."""
        ahead = self._waits_for(run)
        return tuple(id for id in ahead if id not in self._runs or (id in self.unreadable and not self._settled(id)))

    def blocked(self, run: Run) -> bool:
        """Whether something must be settled before it."""
        return any(id not in self._runs or not self._settled(id) for id in self._waits_for(run))

    def settled(self, run: Run) -> bool:
        """Whether what was asked with it is there: it landed, another of its contest did, or it was closed."""
        return run.settled_well or any(isinstance(other.activity, LandedAt) for other in self.rivals(run))

    def _settled(self, id: str) -> bool:
        return self.settled(self._runs[id])

    def _waits_for(self, run: Run) -> tuple[str, ...]:
        return waits_for(self._links, run.task.id) if run.task.links else ()

    def filed_from(self, id: str) -> tuple[str, ...]:
        """The tasks that were found while somebody worked on that one."""
        link = Link(LinkKind.DISCOVERED_FROM, id)
        return tuple(run.task.id for run in self._runs.values() if link in run.task.links)

    def rivals(self, run: Run) -> tuple[Run, ...]:
        """The others of its contest, also while the first one does not list them yet, or has begun anew."""
        members = self._contests[run.task.contest] if run.task.contest else ()
        return tuple(self._runs[id] for id in members if id != run.task.id)

    def bearing_on(self, run: Run) -> tuple[Run, ...]:
        """All others on whose facts it rests whether it may go on: rivals, what it waits for, and the rivals of that."""
        ahead = self.ahead_of(run)
        return (*self.rivals(run), *ahead, *(rival for other in ahead for rival in self.rivals(other)))

    def passing(self, run: Run, bound: str, by: str) -> list[Event]:
        """What passes the gate that a run is at. Raises Refused(slug="rival-chosen") when another one has won."""
        winner = next((rival.id for rival in map(standing, self.rivals(run)) if rival.won), "")
        if winner and run.stage is Stage.VALIDATE:
            told = f"{winner} was chosen already; '{run.task.id}' competes with it"
            raise Refused(told, slug="rival-chosen", hint=f"compare them: heddle compare {winner}")
        return [GatePassed(run.stage, bound, by)]

    def history(self, id: str) -> Sequence[Recorded]:
        """The facts of a task, oldest first."""
        return self._records.get(f"task:{id}", [])

    def tally(self, stream: str) -> Tally:
        """How far a stream that is no task's has come."""
        return self._tallies.get(stream, Tally())

    def heard(self, session: str) -> int:
        """Of how many messages of a session there is evidence that the agent had them (D1)."""
        return self.tally(f"session:{session}").heard

    def parking(self, session: str) -> asyncio.Event:
        """Set from the moment on which the session is parked; one for all who hold it."""
        return self._parking.setdefault(session, asyncio.Event())

    def usage(self, id: str) -> Usage | None:
        """What the task's sessions reported so far, or None when nothing was."""
        return self._usage.get(id)

    def notebook(self, repository: str) -> Notebook:
        """The notes of a repository."""
        return self._notebooks[repository]

    def queue(self, repository: str) -> LandingQueue:
        """The landing queue of a repository."""
        return self._queues[repository]

    def red(self, repository: str, branch: str) -> MainFoundRed | None:
        """What a branch was found red by, while the task that is to repair it is neither over nor lost."""
        found = self.queue(repository).red.get(branch)
        return None if found is None or self.lost(found.task) or self._runs[found.task].over else found

    def queues(self) -> Mapping[str, LandingQueue]:
        """Every landing queue by its repository."""
        return MappingProxyType(self._queues)

    def validating(self) -> int:
        """How many runs have their own validation under way."""
        return sum(run.stage is Stage.VALIDATE and isinstance(run.activity, Active) for run in self.live())

    def drifts(self, repository: str) -> Drifts:
        """What the radar has on record of a repository."""
        return self._drifts[repository]

    def path_claims(self, repository: str, now: float) -> tuple[PathClaim, ...]:
        """What is claimed at that moment (Unix seconds), in attempts that are under way, by sessions that are heard from."""
        return tuple(claim for claim in self._path_claims[repository].holding(now) if self._plays(claim))

    def _plays(self, claim: PathClaim) -> bool:
        run = self._runs.get(claim.task)
        return run is not None and run.activity == Active(attempt_of(claim.session))

    def renew(self, session: str, at: float) -> None:
        """A session gave a sign of life, so its claims hold on."""
        run = self._runs.get(session.partition("-")[0])
        if run is not None:
            self._path_claims[run.task.repository].renew(session, at)

    def approved(self, repository: str) -> frozenset[str]:
        """The commands that a person allowed in a repository."""
        return frozenset(self._approved.get(repository, ()))

    async def add(self, make: Callable[[str], Sequence[Event]], *, by: str) -> Run:
        """Append the first facts of a new task, which `make` makes of its id."""
        async with self.adding():
            id = f"T{self.next_number()}"
            return await self.record(id, *make(id), by=by)

    def adding(self) -> asyncio.Lock:
        """Held by whoever gives out numbers to new tasks, or changes how tasks hang together."""
        return self._lock("tasks")

    def next_number(self) -> int:
        """The number of the next task; one whose facts cannot be read keeps its own."""
        return 1 + max((int(id[1:]) for id in (*self._runs, *self.unreadable) if id[1:].isdigit()), default=0)

    async def record(self, task: str, *events: Event, by: str = "heddle", cause: str = "") -> Run:
        """Append facts to a task's stream and return the run after them."""
        async with self._lock(self._guard(task)):
            await self._append(f"task:{task}", events, by, cause)
            return self._runs[task]

    async def record_if(self, task: str, choose: Callable[[Run], Iterable[Event]], *, by: str = "heddle") -> Run:
        """Append what `choose` makes of the run as it is at that moment; nothing comes between, of its rivals neither."""
        async with self._lock(self._guard(task)):
            events = tuple(choose(self.require(task)))
            if events:
                await self._append(f"task:{task}", events, by, "")
            return self._runs[task]

    async def record_linked(self, task: str, choose: Callable[[Run], Iterable[Event]], *, by: str) -> Run:
        """As `record_if`; and no other links between tasks change meanwhile, so that two changes make no circle."""
        async with self.adding():
            return await self.record_if(task, choose, by=by)

    async def record_other(self, stream: str, *events: Event, by: str = "heddle", cause: str = "") -> None:
        """Append facts to a stream that is no task's."""
        async with self._lock(stream):
            await self._append(stream, events, by, cause)

    def repairing(self, repository: str) -> asyncio.Lock:
        """Held by whoever finds out whether a branch itself is red, and who is to repair it."""
        return self._lock(f"red:{repository}")

    async def record_queue(self, repository: str, *events: Event) -> None:
        """Append facts to a repository's landing queue."""
        await self.record_other(f"queue:{repository}", *events)

    async def record_noted(self, repository: str, choose: Callable[[Notebook], Iterable[Event]], *, by: str) -> None:
        """Append what `choose` makes of a repository's notes as they are at that moment."""
        stream = f"notes:{repository}"
        async with self._lock(stream):
            events = tuple(choose(self.notebook(repository)))
            if events:
                await self._append(stream, events, by, "")

    async def record_drift(
        self, repository: str, choose: Callable[[Drifts], Iterable[Event]], *, by: str = "heddle"
    ) -> None:
        """Append what `choose` makes of what the radar has on record at that moment."""
        stream = f"radar:{repository}"
        async with self._lock(stream):
            events = tuple(choose(self.drifts(repository)))
            if events:
                await self._append(stream, events, by, "")

    async def claim_paths(self, repository: str, claim: PathClaim, now: float) -> None:
        """Put a claim in the place of the session's earlier one. Raises Refused(slug="paths-claimed")."""
        stream = f"claims:{repository}"
        async with self._lock(stream):
            require_free(claim, self.path_claims(repository, now))
            await self._append(stream, (PathsClaimed(claim),), claim.session, "")

    async def _append(self, stream: str, events: Sequence[Event], by: str, cause: str) -> None:
        name = stream.removeprefix("task:")
        if name in self.unreadable:
            raise Refused(
                f"nothing is added to '{name}': {self.unreadable[name]}",
                slug="stream-unreadable",
                hint="see what was set aside: heddle doctor",
            )
        seq = self._seq(stream)
        for record in await self.journal.append(stream, seq, events, by=by, cause=cause, fence=self._fence):
            self._take(record)

    def _seq(self, stream: str) -> int:
        if stream in self._records:
            return self._records[stream][-1].seq
        return self.tally(stream).seq

    def _take(self, record: Recorded) -> None:
        if record.seq != self._seq(record.stream) + 1 and record.stream.startswith("task:"):
            self.unreadable[record.stream.removeprefix("task:")] = f"a record before number {record.seq} cannot be read"
        kind, _, name = record.stream.partition(":")
        if kind == "task":
            self._records.setdefault(record.stream, []).append(record)
            run = self._runs.get(name)
            fresh = fold([record]) if run is None else evolve(run, record)
            if fresh is not None:
                if run is None and fresh.task.contest:
                    self._contests[fresh.task.contest].append(name)
                self._runs[name], self._links[name] = fresh, fresh.task.links
                self.bearing.take(fresh, self._contests.get(fresh.task.contest, ()))
                if fresh.parked is not None and fresh.parked.session in self._parking:
                    self._parking[fresh.parked.session].set()
                self._learn_approval(fresh, record.event)
                if isinstance(record.event, QuestionAsked):
                    asker = self._tallies[f"session:{record.event.session}"]
                    asker.heard = asker.turns + 1
        else:
            self._count(record, name)
            if kind == "session":
                self.renew(name, record.at)

    def _count(self, record: Recorded, name: str) -> None:
        tally = self._tallies[record.stream]
        tally.seq = record.seq
        if record.stream.startswith("queue:"):
            self._queues[name].take(record.event)
        match record.event:
            case TurnRecorded():
                tally.turns += 1
                tally.heard = max(tally.heard, tally.turns)
            case ToolUsed() | PermissionDecided():
                tally.heard = tally.turns + 1
            case ContextRecorded(_, used, most):
                tally.context = (used, most)
            case UsageRecorded(_, usage):
                task = name.partition("-")[0]
                known = self._usage.get(task)
                self._usage[task] = known.plus(usage) if known else usage
            case _:
                self._learn(record.event, name)

    def _learn(self, event: Event, name: str) -> None:
        """What is known of a repository besides its tasks."""
        match event:
            case NoteWritten(note):
                self._notebooks[name].notes[note.id] = note
            case RadarFound(drift):
                self._drifts[name].find(drift)
            case RadarTold(told):
                self._drifts[name].told.append(told)
            case PathsClaimed(claim):
                self._path_claims[name].take(claim)
            case NotesGiven(given):
                self._notebooks[name].given.append(given)
            case CommandsApproved(commands):
                self._approved.setdefault(name, set()).update(commands)
            case ListKept():
                self.kept_lists[name, event.path] = event
            case MirrorSet(on, marks):
                self.mirrors.pop(name, None)
                if on:
                    self.mirrors[name] = dict(marks)
            case TaskMirrored(task, mark):
                self.mirrors.setdefault(name, {})[task] = mark
            case _:
                pass

    def _learn_approval(self, run: Run, event: Event) -> None:
        """A person who approves a plan approves its checks."""
        person = isinstance(event, GatePassed) and event.stage is Stage.PLAN and event.by.startswith("person")
        if person and run.plan is not None:
            self._approved.setdefault(run.task.repository, set()).update(run.plan.commands)

    def _guard(self, task: str) -> str:
        """What is held while facts of a task are chosen: rivals share one, so that no two of them win."""
        run = self._runs.get(task)
        return f"contest:{run.task.contest}" if run is not None and run.task.contest else f"task:{task}"

    def _lock(self, stream: str) -> asyncio.Lock:
        return self._locks.setdefault(stream, asyncio.Lock())
