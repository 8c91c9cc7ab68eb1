"""Roles: which there are for a repository, and what each says."""

from dataclasses import asdict
from typing import Any

import msgspec

from heddle.api.desk import Desk
from heddle.core.errors import HeddleError
from heddle.core.role import Role
from heddle.engine.roles import Roles


class Which(msgspec.Struct, forbid_unknown_fields=True):
    """The roles at the tip of a repository's branch; with a `name` that one."""

    root: str
    name: str = ""


async def listed(desk: Desk, asked: Which) -> dict[str, Any]:
    """Every role; one that cannot be taken is told with the reason and hides no other."""
    site = await desk.fleet.outside.site(asked.root)
    tip = await site.repository.resolve(f"refs/heads/{await site.repository.current_branch()}")
    roles = Roles(desk.fleet.outside.texts, site.repository)
    if asked.name:
        return {"schema": "heddle.roles/1", "roles": [_told(await roles.load(tip, asked.name))]}
    told = []
    for name in await roles.names(tip):
        try:
            told.append(_told(await roles.load(tip, name)))
        except HeddleError as error:
            told.append({**_told(Role(name, "")), "source": "", "trouble": error.message})
    return {"schema": "heddle.roles/1", "roles": told}


def _told(role: Role) -> dict[str, Any]:
    told = {"gates": {rule.stage: rule.decides for rule in role.gates}, "told": dict(role.told)}
    return {**asdict(role), **told, "about": role.about, "trouble": ""}
