"""Several attempts at one task that compete: each is a task of its own from execute on, and one of them lands.

The first one researches and plans for all; what a person approved holds for every rival. A rival has won once it passed
its gate before landing; the others then end.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from heddle.core import events as e
from heddle.core.run import PLAN, AtGate, HeldUp, Run, StoppedFor
from heddle.core.task import Stage


class Pick(StrEnum):
    """Who chooses among validated rivals: the person, or a rule."""

    PERSON = "person"
    FIRST = "first"
    SMALLEST = "smallest"


@dataclass(frozen=True, slots=True)
class Rival:
    """How a rival stands. `settled`: nothing more will come of it by itself; `green`: it waits validated; `lines` changed."""

    id: str
    settled: bool
    green: bool
    won: bool
    lines: int


def player(told: str) -> tuple[str, str]:
    """Brand and model of "brand" or "brand:model"."""
    brand, _, model = told.partition(":")
    return brand, model


def standing(run: Run) -> Rival:
    """How a run stands among its rivals."""
    green = isinstance(run.activity, AtGate) and run.stage is Stage.VALIDATE
    lines = run.result.insertions + run.result.deletions if run.result else 0
    settled = run.over or green or isinstance(run.activity, HeldUp)
    won = bool(run.cleared) and not isinstance(run.activity, StoppedFor)
    return Rival(run.task.id, settled, green, won, lines)


def number(id: str) -> int:
    """A task's place in the order in which tasks were asked for."""
    return int(id[1:]) if id[1:].isdigit() else 0


def best(rivals: Iterable[Rival]) -> Rival:
    """The one that changed the fewest lines; the eldest of equals."""
    return min(rivals, key=lambda rival: (rival.lines, number(rival.id)))


_SHARED = (
    e.RunStarted,
    e.RunRebased,
    e.StageStarted,
    e.ResearchDelivered,
    e.PlanDelivered,
    e.PlanEdited,
    e.PlanOutdated,
    e.GatePassed,
    e.GateRejected,
    e.StageFailed,
    e.RunHeld,
    e.RunReleased,
)


def inherited(records: Sequence[e.Recorded]) -> tuple[e.Event, ...]:
    """The facts of a run that hold for its rivals, too: how it came to what is to be executed."""
    begun = max((at for at, r in enumerate(records) if isinstance(r.event, e.RunStarted)), default=0)
    return tuple(r.event for r in records[begun:] if isinstance(r.event, _SHARED) or _is_settled(r.event))


def _is_settled(event: e.Event) -> bool:
    return isinstance(event, e.QuestionAnswered) and event.question.startswith(f"{PLAN}-")
