"""What became of a task, in the words in which it is told to the list that it came from. Pure."""

from dataclasses import dataclass

from heddle.core.run import ClosedFor, LandedAt, Run, StoppedFor

GITHUB = "github:"
"""Begins the sources that something can be told to."""


@dataclass(frozen=True, slots=True)
class Reflection:
    """How an issue elsewhere is to look. `mark` tells this passage of the task from every other; a comment holds it, and
    is written once. `working`: somebody works on it.
    """

    mark: str
    comment: str = ""
    working: bool = False
    closed: bool = False


def reflection(run: Run) -> Reflection:
    """The task as its issue is to show it. What a person wrote about it stays here."""
    task = run.task
    match run.activity:
        case LandedAt(commit):
            told = f"Landed on `{task.branch}` as {commit}."
            return Reflection(f"{task.id}/{run.number}/landed", told, closed=True)
        case ClosedFor():
            return Reflection(f"{task.id}/{run.number}/closed", closed=True)
        case StoppedFor():
            return Reflection(f"{task.id}/{run.number}/stopped")
        case _:
            working = run.under_way or run.claim is not None
            return Reflection(f"{task.id}/{run.number}/{'working' if working else 'waiting'}", working=working)


def mirrored(run: Run) -> bool:
    """Whether the task came from a list to which something can be told."""
    return run.task.source.startswith(GITHUB)
