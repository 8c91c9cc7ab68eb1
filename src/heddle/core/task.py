"""What was asked, and the order in which it is answered."""

from dataclasses import dataclass
from enum import StrEnum

from heddle.core.links import Link


class Stage(StrEnum):
    """One part of the cycle; each is played by a fresh session that inherits only the handoff."""

    RESEARCH = "research"
    PLAN = "plan"
    EXECUTE = "execute"
    VALIDATE = "validate"
    LAND = "land"


class Lane(StrEnum):
    """Which stages and gates apply."""

    QUICK = "quick"
    STANDARD = "standard"
    FULL = "full"
    REPORT = "report"


STAGES: dict[Lane, tuple[Stage, ...]] = {
    Lane.QUICK: (Stage.EXECUTE, Stage.VALIDATE, Stage.LAND),
    Lane.STANDARD: tuple(Stage),
    Lane.FULL: tuple(Stage),
    Lane.REPORT: (Stage.RESEARCH,),
}

READ_ONLY = frozenset({Stage.RESEARCH, Stage.PLAN})
"""Stages whose workspace is thrown away."""

UNDO = "undo"
"""The role of a task that takes another back: Heddle makes its result, and no agent ever works on it."""

WITH_AGENT = frozenset({Stage.RESEARCH, Stage.PLAN, Stage.EXECUTE})
"""Stages in which an agent works; the others are Heddle's own."""


class Status(StrEnum):
    """The one word that every front end shows for a task."""

    READY = "ready"
    RUNNING = "running"
    WAITING = "waiting"
    BLOCKED = "blocked"
    VALIDATING = "validating"
    QUEUED = "queued"
    LANDED = "landed"
    STOPPED = "stopped"
    CLOSED = "closed"
    CLAIMED = "claimed"
    OPEN = "open"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Task:
    """A task as it was asked.

    `repository` is the stable key of the repository, `root` its main checkout, `branch` where it is to land.
    `scope` and `checks` are set when the person stated them (they stand above what a plan says). `contest` names the
    first of several that compete; that one says how many there are (`best_of`), who plays them in turn
    (`rival_agents`), and who chooses (`pick`: see contest.Pick). `priority`: 0 goes first, 4 last. `source` is its name
    for ever in a list elsewhere, and `listed` a digest of what that list said of it last.
    """

    id: str
    repository: str
    root: str
    branch: str
    text: str
    lane: Lane = Lane.STANDARD
    role: str = "feature"
    agent: str = ""
    model: str = ""
    scope: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    priority: int = 2
    best_of: int = 1
    rival_agents: tuple[str, ...] = ()
    contest: str = ""
    pick: str = "person"
    links: tuple[Link, ...] = ()
    source: str = ""
    listed: str = ""

    @property
    def title(self) -> str:
        """The first line, cut for a board."""
        line = self.text.strip().splitlines()[0] if self.text.strip() else "(empty)"
        return line if len(line) <= 72 else line[:71] + "…"


def first_stage(lane: Lane) -> Stage:
    """Where a run of this lane begins."""
    return STAGES[lane][0]


def stage_after(stage: Stage, lane: Lane) -> Stage | None:
    """The stage that follows; None after the last one."""
    stages = (*STAGES[lane], None)
    return stages[stages.index(stage) + 1]
