"""The map of a repository."""

import asyncio
from dataclasses import asdict
from typing import Any

import msgspec

from heddle.api.desk import Desk
from heddle.core.errors import UserError
from heddle.core.map.advice import advise
from heddle.core.map.chart import Chart
from heddle.core.map.hot import MEANS
from heddle.core.map.picture import picture
from heddle.ports import Mapped

FILES = 200
"""Files of a part that are named."""

WORDS = {True: "yes", False: "no", None: "unknown"}


class Draw(msgspec.Struct, forbid_unknown_fields=True):
    """The repository at `root`, as its current commit is; `svg`: with a picture."""

    root: str
    svg: bool = False


async def drawn(desk: Desk, asked: Draw) -> dict[str, Any]:
    """The map. Raises UserError(slug="empty-repository")."""
    repository = (await desk.fleet.outside.site(asked.root)).repository
    try:
        tip = await repository.resolve("HEAD")
    except UserError as error:
        if error.slug != "no-such-revision":
            raise
        hint = "make a first commit, then try again"
        raise UserError("the repository has no commit yet", slug="empty-repository", hint=hint) from error
    mapped = await desk.maps.map(repository, tip)
    return await asyncio.to_thread(_told, mapped, repository.root, asked.svg)


def _told(mapped: Mapped, root: str, svg: bool) -> dict[str, Any]:
    chart = mapped.chart
    return {
        "schema": "heddle.map/1",
        "commit": mapped.tip,
        "commits": chart.commits,
        "files": chart.files,
        "shallow": mapped.shallow,
        "unread": mapped.unread,
        "why_unread": mapped.why_unread,
        "modular": WORDS[chart.modular],
        "why": chart.why,
        "at_once": chart.at_once,
        "loose": chart.loose,
        "measure": asdict(chart.measure) if chart.measure else None,
        "parts": [
            {"name": part.name, "share": part.share, "count": len(part.files), "files": part.files[:FILES]}
            for part in chart.parts
        ],
        "ties": _ties(chart),
        "hot": [{**asdict(hot), "means": MEANS[hot.policy]} for hot in chart.hot],
        "hidden": [asdict(hidden) for hidden in chart.hidden],
        "advice": [asdict(one) for one in advise(chart)],
        "svg": picture(chart, root.rpartition("/")[2]) if svg else "",
    }


def _ties(chart: Chart) -> list[dict[str, Any]]:
    names = [part.name for part in chart.parts]
    return [
        {
            "one": names[tie.one],
            "other": names[tie.other],
            "commits": tie.commits,
            "imports": tie.imports,
            "files": tie.files,
        }
        for tie in chart.ties
    ]
