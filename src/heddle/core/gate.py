"""What must hold before a run moves on, who decides it, and the result with its evidence."""

from dataclasses import dataclass
from enum import StrEnum

from heddle.core.plan import Plan
from heddle.core.scope import Scope
from heddle.core.task import Lane, Stage, Task


class Decider(StrEnum):
    """Who decides at a gate."""

    PERSON = "person"
    DELEGATION = "delegation"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class GateRule:
    """After `stage`, `decides` decides, for tasks that meet every condition named (empty: any).

    `paths`: applies when the plan's scope meets one of them.
    """

    stage: Stage
    decides: Decider
    lane: str = ""
    role: str = ""
    paths: tuple[str, ...] = ()

    def applies(self, task: Task, stage: Stage, plan: Plan | None) -> bool:
        """Whether this rule speaks about `stage` of `task`."""
        if self.stage is not stage or self.lane not in ("", task.lane) or self.role not in ("", task.role):
            return False
        if not self.paths:
            return True
        return plan is not None and plan.scope.meeting(Scope(self.paths)) is not None


STRICTNESS = (Decider.NOBODY, Decider.DELEGATION, Decider.PERSON)


@dataclass(frozen=True, slots=True)
class Gates:
    """All gate rules. The strictest rule that applies wins; with none, nobody decides."""

    rules: tuple[GateRule, ...] = ()

    def decider(self, task: Task, stage: Stage, plan: Plan | None) -> Decider:
        """Who decides after `stage`. A manual check always needs a person before landing."""
        deciders = [rule.decides for rule in self.rules if rule.applies(task, stage, plan)]
        if stage is Stage.VALIDATE and plan is not None and plan.manual:
            deciders.append(Decider.PERSON)
        if stage is Stage.VALIDATE and task.lane is Lane.FULL:
            deciders.append(Decider.PERSON)
        return max(deciders, key=STRICTNESS.index, default=Decider.NOBODY)


class Colour(StrEnum):
    """Three-valued truth of a verdict: unknown has a reason and is never read as green."""

    GREEN = "green"
    RED = "red"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check as Heddle ran it. `tail` is the end of its output, redacted; `evidence` names the whole of it."""

    command: str
    colour: Colour
    exit: int | None
    seconds: float
    tail: str = ""
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Review:
    """What a session of the role reviewer said of a result whose checks are green: no fault (green), or its faults (red).
    Unknown: none could be had, and `text` says why. `session` said it, of the commit `result`. It passes no gate.
    """

    colour: Colour
    text: str
    session: str = ""
    result: str = ""

    @property
    def line(self) -> str:
        """It in a line."""
        first = self.text.strip().partition("\n")[0]
        said = {Colour.GREEN: "the reviewer found no fault", Colour.RED: "the reviewer says no"}
        return f"{said.get(self.colour, 'there is no review')}: {first}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a validation: on which tree, against which main, with which evidence. `review` came on top.

    `edited_tests` are tests, CI files or checks that the change itself touched. `culprit` names landed work that
    breaks together with this change although each is green alone. `flakes`: checks that failed once, and passed when they
    were run again.
    """

    colour: Colour
    onto: str
    candidate: str
    tree: str
    results: tuple[CheckResult, ...] = ()
    reason: str = ""
    edited_tests: tuple[str, ...] = ()
    culprit: str = ""
    conflicts: tuple[str, ...] = ()
    review: Review | None = None
    flakes: tuple[str, ...] = ()
