"""The landing queues, for people: who waits in which order, what is being validated, and what the branch is worth."""

from typing import Any

import msgspec

from heddle.api.desk import Desk
from heddle.core.queue_events import TrainJudged
from heddle.engine.branchqueue import BranchQueue


class Queue(msgspec.Struct, forbid_unknown_fields=True):
    """The queues of one repository (`root`), or all."""

    root: str = ""


async def listed(desk: Desk, asked: Queue) -> dict[str, Any]:
    """Every branch's queue. `rate`: the chance that the next change breaks, as learned; `landings`: how many there were."""
    await desk.fleet.up_to_date(1.0)
    key = (await desk.fleet.outside.site(asked.root)).repository.key if asked.root else ""
    queues = [one for one in desk.fleet.trains.queues() if key in ("", one.site.repository.key)]
    return {"schema": "heddle.queue/1", "queues": [_told(desk, queue) for queue in queues]}


def _told(desk: Desk, queue: BranchQueue) -> dict[str, Any]:
    known = queue.queue
    waiting = [id for id in (*queue.line, *queue.apart) if id in queue.members]
    red = desk.runs.red(queue.site.repository.key, queue.branch)
    verdicts = [one for one in known.verdicts.values() if one.branch == queue.branch][-10:]
    return {
        "repository": queue.site.repository.key,
        "root": queue.site.repository.root,
        "branch": queue.branch,
        "rate": round(known.rate, 4),
        "landings": known.number,
        "waiting": [_waits(desk, queue, id) for id in waiting],
        "validating": [list(one.composition.train) for one in queue.judging.values()],
        "landing": [car.task for car in known.departed[queue.branch].cars] if queue.branch in known.departed else [],
        "red": {"check": red.check, "commit": red.commit, "task": red.task} if red else None,
        "verdicts": [_verdict(one) for one in reversed(verdicts)],
    }


def _waits(desk: Desk, queue: BranchQueue, id: str) -> dict[str, Any]:
    run = desk.runs.require(id)
    overtaken = queue.queue.overtaken.get(id, 0)
    return {"task": id, "title": run.task.title, "conflicts": queue.apart.get(id, ""), "overtaken": overtaken}


def _verdict(judged: TrainJudged) -> dict[str, Any]:
    return {
        "tasks": list(judged.tasks),
        "tree": judged.tree,
        "colour": judged.colour,
        "reason": judged.reason.partition("\n")[0],
        "flakes": list(judged.flakes),
        "seconds": round(sum(result.seconds for result in judged.results), 3),
    }
