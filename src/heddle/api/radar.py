"""How far the lines of work of a repository are apart: the radar's record."""

from typing import Any

import msgspec

from heddle.api.desk import Desk
from heddle.core.radar import WORDS, Drift, Drifts


class Where(msgspec.Struct, forbid_unknown_fields=True):
    """The repository (`root`)."""

    root: str


async def shown(desk: Desk, asked: Where) -> dict[str, Any]:
    """The tasks that are compared, oldest first, and every pair that is not clear; `other` "" is the branch itself.

    `changed`: how many paths a task changed, as far as that was seen; null when nobody looked yet.
    """
    site = await desk.fleet.outside.site(asked.root)
    key = site.repository.key
    drifts = desk.runs.drifts(key)
    tasks = [
        {
            "id": one.run.task.id,
            "title": one.run.task.title,
            "session": one.session,
            "changed": desk.fleet.radar.changed(one),
        }
        for one in desk.fleet.radar.standings(key)
    ]
    return {
        "schema": "heddle.radar/1",
        "tasks": tasks,
        "drifts": [_told(drifts, drift) for drift in sorted(drifts.found.values(), key=_worst_first)],
    }


def _worst_first(drift: Drift) -> tuple[int, tuple[str, str]]:
    return (-4 if drift.level is None else -drift.level, drift.pair)


def _told(drifts: Drifts, drift: Drift) -> dict[str, Any]:
    sessions = [told.session for told in drifts.told for about in told.about if about[:2] == drift.pair]
    return {
        "one": drift.one,
        "other": drift.other,
        "level": drift.level,
        "means": "nobody can say" if drift.level is None else WORDS[drift.level],
        "paths": drift.paths,
        "detail": drift.detail,
        "told": list(dict.fromkeys(sessions)),
    }
