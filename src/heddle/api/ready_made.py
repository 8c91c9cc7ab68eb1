"""Tasks whose result is there from the start: nobody executes them, they begin with their validation."""

from collections.abc import Callable, Sequence

from heddle.api.desk import Desk
from heddle.core import events as e
from heddle.core.run import Run
from heddle.core.task import Stage, Task
from heddle.ports import Change


def result(
    commit: str,
    tree: str,
    changes: Sequence[Change],
    told: str,
    own: str = "",
    refused: tuple[tuple[str, str], ...] = (),
) -> e.ResultDelivered:
    """A result that no agent delivered; `own`: the last commit of whoever made it, `told`: its handoff."""
    paths = tuple(change.path for change in changes)
    added, gone = (sum(getattr(change, count) or 0 for change in changes) for count in ("insertions", "deletions"))
    return e.ResultDelivered(1, commit, tree, own, paths, added, gone, refused, told)


async def add(desk: Desk, make: Callable[[str], Task], base: str, delivered: e.ResultDelivered) -> Run:
    """Put such a task into the tracker; `make` makes it of its id."""

    return await desk.runs.add(lambda id: [e.TaskAdded(make(id)), *begun(id, 1, base, delivered)], by=desk.by)


def begun(id: str, number: int, base: str, delivered: e.ResultDelivered) -> list[e.Event]:
    """A task's run from its start to that result."""
    started = e.StageStarted(Stage.EXECUTE, 1, f"{id}-{number}-execute-1")
    return [e.RunStarted(number, base), started, delivered]
