"""The one list of what is to be done: look at it, change what is asked, link tasks, claim and close them."""

from collections.abc import Callable, Set
from dataclasses import asdict, replace
from typing import Any

import msgspec

from heddle.api.desk import Desk, require_text
from heddle.api.tasks import LOOK_S, Linked, desk_row, known_links, require_lane, require_priority
from heddle.core import events as e
from heddle.core.claim import require_claim
from heddle.core.cycle import DEPENDENCY, LOST, Wait
from heddle.core.errors import Refused, UserError
from heddle.core.links import Link, LinkKind, circle
from heddle.core.run import Active, LandedAt, Run, Unstarted
from heddle.core.scope import require_scope
from heddle.core.task import Stage
from heddle.engine.roles import Roles

LONGEST_CLAIM_S = 7 * 86_400.0


class Which(msgspec.Struct, forbid_unknown_fields=True):
    """Which tasks: of one repository (`root`); those that are `ready` to start, `blocked`, not over (`open`), or `all`."""

    root: str = ""
    which: str = "open"


class Edit(msgspec.Struct, forbid_unknown_fields=True):
    """What is to change about a task; what is not named stays."""

    task: str
    text: str | None = None
    lane: str | None = None
    role: str | None = None
    agent: str | None = None
    model: str | None = None
    priority: int | None = None
    scope: list[str] | None = None
    checks: list[str] | None = None
    token: int = 0


class Depend(msgspec.Struct, forbid_unknown_fields=True):
    """Links to add to a task, and other tasks to which it is to have none any more."""

    task: str
    add: list[Linked] = []
    remove: list[str] = []
    token: int = 0


class Claiming(msgspec.Struct, forbid_unknown_fields=True):
    """Who takes the task, for how long; with the `token` of a claim that is held: for longer."""

    task: str
    name: str
    seconds: float = 3600.0
    token: int = 0


class Release(msgspec.Struct, forbid_unknown_fields=True):
    """Whose claim ends; without a token a person ends whichever there is."""

    task: str
    token: int = 0
    why: str = ""


class Close(msgspec.Struct, forbid_unknown_fields=True):
    """A task that is settled without a run."""

    task: str
    why: str = ""
    token: int = 0


async def listed(desk: Desk, asked: Which) -> dict[str, Any]:
    """The tasks, the most urgent first."""
    await desk.fleet.up_to_date(LOOK_S)
    if asked.which not in _KINDS:
        hint = f"ask for one of: {', '.join(_KINDS)}"
        raise UserError(f"there are no tasks called '{asked.which}'", slug="usage", hint=hint)
    runs = [run for run in desk.runs.by_priority() if _KINDS[asked.which](desk, run)]
    if asked.root:
        site = await desk.fleet.outside.site(asked.root)
        runs = [run for run in runs if run.task.repository == site.repository.key]
    return {"schema": "heddle.tasks/1", "tasks": [desk.row(run) for run in runs]}


def _is_ready(desk: Desk, run: Run) -> bool:
    """Told from the facts: a task that nobody has looked at yet, or that cannot be read, is not said to be ready."""
    free = isinstance(run.activity, Unstarted) and not run.stopping and run.task.id not in desk.runs.unreadable
    claimed = run.claim is not None and run.claim.until > desk.fleet.outside.clock.now()
    return free and not claimed and not desk.runs.blocked(run)


def _is_blocked(desk: Desk, run: Run) -> bool:
    decision = desk.fleet.decision(run)
    return isinstance(decision, Wait) and decision.reason in (DEPENDENCY, LOST)


_KINDS: dict[str, Callable[[Desk, Run], bool]] = {
    "open": lambda _, run: not run.over,
    "ready": _is_ready,
    "blocked": _is_blocked,
    "all": lambda _, run: True,
}


async def edit(desk: Desk, asked: Edit) -> dict[str, Any]:
    """Change what is asked. While a run is under way only its priority can be changed."""
    id = desk.require(asked.task).task.id
    if asked.agent:
        desk.fleet.outside.agents.agent(asked.agent)
    changes = _changes(asked)
    if asked.role is not None:
        await require_role(desk, desk.require(id), asked.role)

    def choose(run: Run) -> list[e.Event]:
        _require_claim(desk, run, asked.token)
        if set(changes) - {"priority"}:
            _require_idle(run, f"it can be changed once it is over; see: heddle why {id}")
        task = replace(run.task, **changes)
        return [e.TaskEdited(task)] if task != run.task else []

    return desk_row(desk, await desk.runs.record_if(id, choose, by=desk.by))


def _changes(asked: Edit) -> dict[str, Any]:
    """The fields of a task that are to change, checked."""
    named: dict[str, Any] = {name: getattr(asked, name) for name in ("role", "agent", "model")}
    named["text"] = None if asked.text is None else require_text(asked.text)
    named["lane"] = None if asked.lane is None else require_lane(asked.lane)
    named["priority"] = None if asked.priority is None else require_priority(asked.priority)
    named["scope"] = None if asked.scope is None else require_scope(asked.scope).globs
    named["checks"] = None if asked.checks is None else tuple(asked.checks)
    changes = {name: value for name, value in named.items() if value is not None}
    if not changes:
        raise UserError("nothing is named that is to change", slug="usage", hint="see: heddle task edit --help")
    return changes


async def require_role(desk: Desk, run: Run, name: str) -> None:
    """Raises UserError(slug="no-such-role") for one that the branch of a task does not have."""
    repository = (await desk.site(run)).repository
    tip = await repository.resolve(f"refs/heads/{run.task.branch}")
    await Roles(desk.fleet.outside.texts, repository).load(tip, name)


async def depend(desk: Desk, asked: Depend) -> dict[str, Any]:
    """Change how a task hangs together with others. Raises Refused(slug="dependency-cycle") naming the circle."""
    id = desk.require(asked.task).task.id
    gone = {_linked(desk, desk.require(id), task) for task in asked.remove}
    fresh = known_links(desk, asked.add)

    def choose(run: Run) -> list[e.Event]:
        _require_claim(desk, run, asked.token)
        kept = tuple(link for link in run.task.links if link.task not in gone)
        links = tuple(dict.fromkeys((*kept, *fresh)))
        _require_in_time(run, set(links) - set(run.task.links))
        require_no_circle(desk, run.task.id, links)
        return [e.TaskEdited(replace(run.task, links=links))] if links != run.task.links else []

    return desk_row(desk, await desk.runs.record_linked(id, choose, by=desk.by))


def _require_in_time(run: Run, fresh: Set[Link]) -> None:
    """Until its landing begins, a run is held back by what it is linked to. Raises Refused(slug="task-landing")."""
    binding = any(link.kind is not LinkKind.DISCOVERED_FROM for link in fresh)
    if binding and isinstance(run.activity, Active) and run.stage is Stage.LAND:
        hint = f"see whether it landed: heddle task show {run.task.id}"
        raise Refused(f"task '{run.task.id}' lands at this moment", slug="task-landing", hint=hint)


def _linked(desk: Desk, run: Run, task: str) -> str:
    """The id of a task to which there may be a link, also when it cannot be read. Raises UserError(slug="no-such-task")."""
    named = task.strip().upper()
    return named if any(link.task == named for link in run.task.links) else desk.require(task).task.id


def require_no_circle(desk: Desk, task: str, links: tuple[Link, ...]) -> None:
    """Raises Refused(slug="dependency-cycle") when tasks would wait for each other."""
    around = circle({**desk.runs.links(), task: links}, task)
    if around:
        older = f": heddle task dep {around[1]} --remove {around[2]}" if around[2:] else ""
        hint = f"take away what stands against it{older}" if older else "a task cannot wait for itself"
        raise Refused(f"they would wait for each other: {' -> '.join(around)}", slug="dependency-cycle", hint=hint)


async def claim(desk: Desk, asked: Claiming) -> dict[str, Any]:
    """Take a task for somebody who works outside of a run; one wins, also among many of the same name."""
    id, name = desk.require(asked.task).task.id, require_text(asked.name).replace("\n", " ")[:80]
    now = desk.fleet.outside.clock.now()
    if not 0 < asked.seconds <= LONGEST_CLAIM_S:
        raise UserError("a claim lasts for more than nothing and at most a week", slug="usage", hint="name --minutes")

    def choose(run: Run) -> list[e.Event]:
        _require_claim(desk, run, asked.token)
        if not isinstance(run.activity, Unstarted):
            hint = f"see: heddle why {id}"
            raise Refused(f"task '{id}' is not open", slug="task-not-open", hint=hint)
        if desk.runs.blocked(run):
            hint = f"claim what it waits for first; see: heddle why {id}"
            raise Refused(f"task '{id}' waits for another", slug="task-blocked", hint=hint)
        return [e.TaskClaimed(asked.token or run.claims + 1, name, now + asked.seconds)]

    run = await desk.runs.record_if(id, choose, by=desk.by)
    return {"schema": "heddle.claim/1", "task": id, **(asdict(run.claim) if run.claim else {})}


async def release(desk: Desk, asked: Release) -> dict[str, Any]:
    """End a claim: the claimant's by its token, or whichever there is because a person says so."""
    id = desk.require(asked.task).task.id

    def choose(run: Run) -> list[e.Event]:
        if run.claim is None:
            hint = f"see: heddle task show {id}"
            raise UserError(f"nobody claims '{id}'", slug="not-claimed", hint=hint)
        if asked.token:
            _require_claim(desk, run, asked.token)
        return [e.ClaimReleased(run.claim.token, asked.why or "given up")]

    return desk_row(desk, await desk.runs.record_if(id, choose, by=desk.by))


async def close(desk: Desk, asked: Close) -> dict[str, Any]:
    """Settle a task without a run; what waits for it may go on. A task closes once."""
    id = desk.require(asked.task).task.id

    def choose(run: Run) -> list[e.Event]:
        _require_claim(desk, run, asked.token)
        if run.settled_well:
            raise Refused(f"task '{id}' is closed already", slug="task-over", hint=f"see: heddle task show {id}")
        _require_idle(run, f"end it first: heddle stop {id}")
        return [e.TaskClosed(desk.by, asked.why or "closed by a person")]

    return desk_row(desk, await desk.runs.record_if(id, choose, by=desk.by))


def _require_claim(desk: Desk, run: Run, token: int) -> None:
    require_claim(run.task.id, run.claim, run.claims, token, desk.fleet.outside.clock.now())


def _require_idle(run: Run, hint: str) -> None:
    if run.under_way:
        raise Refused(f"task '{run.task.id}' is under way", slug="task-running", hint=hint)
    if isinstance(run.activity, LandedAt):
        raise Refused(f"task '{run.task.id}' has landed", slug="task-landed", hint="ask for what is still to be done")
