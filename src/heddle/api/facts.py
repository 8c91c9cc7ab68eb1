"""The journal as it is: events, listed or followed."""

from typing import Any

import msgspec

from heddle.api.desk import Desk
from heddle.core.events import Recorded, kind_of
from heddle.core.redaction import redact


class Events(msgspec.Struct, forbid_unknown_fields=True):
    """Facts after a position; of one task when `task` is given."""

    after: int = 0
    task: str = ""
    limit: int = 1000


def told(record: Recorded) -> dict[str, Any]:
    """An event as people and scripts see it, redacted."""
    data = msgspec.json.decode(redact(msgspec.json.encode(record.event).decode()))
    return {
        "position": record.position,
        "stream": record.stream,
        "seq": record.seq,
        "at": record.at,
        "by": record.by,
        "kind": kind_of(record.event),
        "data": data,
    }


async def listed(desk: Desk, asked: Events) -> dict[str, Any]:
    """The facts in order."""
    if asked.task:
        run = desk.require(asked.task)
        records: Any = [r for r in desk.runs.history(run.task.id) if r.position > asked.after]
    else:
        records = await desk.runs.journal.read_all(asked.after, asked.limit)
    return {"schema": "heddle.events/1", "events": [told(record) for record in records[: asked.limit]]}
