"""The facts of landing queues; see heddle.core.events."""

from dataclasses import dataclass

from heddle.core.gate import CheckResult, Colour

# ------------------------------------------------------------------------------ stream queue:<repository>


@dataclass(frozen=True, slots=True)
class Car:
    """A change as a train carries it: the result that was composed, and the commit that lands for it."""

    task: str
    result: str
    commit: str


@dataclass(frozen=True, slots=True)
class TrainJudged:
    """Heddle ran the checks on a composition of changes upon `onto`; with no tasks on the branch itself.

    `recipe` is a digest of all that decides the verdict besides the tree. `flakes`: checks that failed once and passed when
    they were run again.
    """

    branch: str
    tasks: tuple[str, ...]
    onto: str
    commit: str
    tree: str
    recipe: str
    colour: Colour
    results: tuple[CheckResult, ...] = ()
    reason: str = ""
    flakes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TrainDeparted:
    """The intent to move `branch` from `old` to `new`, whose tree was validated, with all cars at once."""

    number: int
    branch: str
    old: str
    new: str
    tree: str
    cars: tuple[Car, ...]


@dataclass(frozen=True, slots=True)
class TrainLanded:
    """The branch moved. `overtaken`: older changes that were left behind in the queue."""

    number: int
    branch: str
    tasks: tuple[str, ...]
    overtaken: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TrainAborted:
    """The branch did not move; who was aboard waits in the queue again, or says why not."""

    number: int
    branch: str
    why: str


@dataclass(frozen=True, slots=True)
class ChangeEjected:
    """A change left the queue: it is not green on the branch as it is."""

    branch: str
    task: str
    tree: str
    recipe: str


@dataclass(frozen=True, slots=True)
class MainFoundRed:
    """The branch itself fails the repository's checks, without any change; `task` is to repair it."""

    branch: str
    commit: str
    tree: str
    check: str
    task: str
