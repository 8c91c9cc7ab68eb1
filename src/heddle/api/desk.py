"""What every API method works with: the fleet, who asks, and where Heddle keeps its things."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from heddle.core.claim import PathClaim
from heddle.core.errors import UserError
from heddle.core.run import Run
from heddle.core.views import Item, Row, inbox, repair, row
from heddle.engine.fleet import Fleet
from heddle.engine.previews import Previews
from heddle.engine.runs import Runs
from heddle.engine.site import Site
from heddle.ports import Maps, RulesCheckout, Trackers


@dataclass(slots=True)
class Desk:
    """Handed to every method. `by` names the person; `transcript` finds a session's raw stream; `lacks`: what the sandbox's
    tier promises and is not to be had; `rules` opens the checkout that a path lies in; `troubles`: what
    keeps files from being kept in step with the tasks, by the file.
    """

    fleet: Fleet
    by: str
    home: Path
    version: str
    transcript: Callable[[str], Path | None]
    check_programs: Callable[[], Awaitable[list[dict[str, object]]]]
    check_sandbox: Callable[[], Awaitable[list[dict[str, object]]]]
    explain: Callable[[str, str], Awaitable[list[dict[str, object]]]]
    close: Callable[[], None]
    live: Callable[[], Awaitable[tuple[str, ...]]]
    previews: Previews
    lists: Trackers
    maps: Maps
    rules: Callable[[str], Awaitable[RulesCheckout]]
    started_at: float = 0.0
    lacks: str = ""
    notes: list[str] = field(default_factory=list)
    troubles: dict[str, str] = field(default_factory=dict)

    @property
    def runs(self) -> Runs:
        """All runs."""
        return self.fleet.runs

    async def site(self, run: Run) -> Site:
        """The repository of a run."""
        return await self.fleet.outside.site(run.task.root)

    def row(self, run: Run) -> Row:
        """The run on the board."""
        history = self.runs.history(run.task.id)
        usage = self.runs.usage(run.task.id)
        since = history[-1].at if history else 0.0
        rot = self.fleet.rotting.known(run)
        return row(run, self.fleet.decision(run), since, usage.usd if usage else None, rot)

    def claims(self, run: Run) -> tuple[PathClaim, ...]:
        """What the run's session claims now."""
        held = self.runs.path_claims(run.task.repository, self.fleet.outside.clock.now())
        return tuple(claim for claim in held if claim.task == run.task.id)

    def items(self, run: Run) -> tuple[Item, ...]:
        """What only a person can settle about the run."""
        red = self.runs.red(run.task.repository, run.task.branch)
        repairs = repair(run, red) if red is not None and red.task == run.task.id else ()
        return (*repairs, *inbox(run, self.fleet.decision(run)))

    def require(self, task: str, root: str = "") -> Run:
        """A task by id or unique prefix of it. Raises UserError(slug="no-such-task")."""
        return self.runs.require(task.strip())


def require_text(text: str) -> str:
    """The words of a task. Raises UserError(slug="empty-task" or "task-too-long")."""
    bare = text.strip()
    if not bare:
        raise UserError("the task has no words", slug="empty-task", hint='say what is to be done: heddle start "..."')
    if len(bare) > 50_000:
        raise UserError("the task has more than 50000 characters", slug="task-too-long", hint="shorten it")
    return "".join(char for char in bare if char in "\n\t" or ord(char) >= 32)
