"""The facts of a repository as a whole; see heddle.core.events."""

from dataclasses import dataclass

# ------------------------------------------------------------------------------ stream repository:<key>


@dataclass(frozen=True, slots=True)
class RepositoryAdded:
    """Heddle was first used in a repository."""

    key: str
    root: str


@dataclass(frozen=True, slots=True)
class CommandsApproved:
    """A person allowed commands of the repository's configuration (or of a task) to run."""

    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListKept:
    """The block of tasks in the file `path`, told from the top of `root`, is kept in step from here on: `block` is the digest
    of what is written there next, `before` of what was; once that is done both are the same. Without a `block` it is kept no
    more.
    """

    root: str
    path: str
    block: str
    before: str


@dataclass(frozen=True, slots=True)
class MirrorSet:
    """From here on, or no more, the lists that tasks came from are told what becomes of those. `marks`: what they looked like
    then, by task; of that nothing is told.
    """

    on: bool
    marks: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class TaskMirrored:
    """The list that the task came from shows what became of it; `mark`: see mirror.Reflection."""

    task: str
    mark: str
