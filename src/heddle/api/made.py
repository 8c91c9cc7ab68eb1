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

    def begun(id: str) -> list[e.Event]:
        started = e.StageStarted(Stage.EXECUTE, 1, f"{id}-1-execute-1")
        return [e.TaskAdded(make(id)), e.RunStarted(1, base), started, delivered]

    return await desk.runs.add(begun, by=desk.by)
