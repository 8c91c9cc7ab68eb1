"""The agents of this machine: which are here, what they can do, and what is missing."""

from typing import Any

import msgspec

from heddle.api.desk import Desk
from heddle.core.capabilities import MEANS, NAMES, WITHOUT
from heddle.ports import AgentFound


class Brand(msgspec.Struct, forbid_unknown_fields=True):
    """An agent by its brand; every one when `agent` is empty."""

    agent: str = ""


async def listed(desk: Desk, asked: Brand) -> dict[str, Any]:
    """Each brand as it is found now, with what it can do and why it cannot do the rest."""
    found = await desk.fleet.outside.agents.look(asked.agent)
    return {"schema": "heddle.agents/1", "agents": [_agent(one) for one in found]}


def _agent(found: AgentFound) -> dict[str, Any]:
    trouble = found.trouble
    return {
        "name": found.name,
        "found": trouble is None,
        "version": found.version,
        "trouble": trouble.message if trouble else "",
        "hint": trouble.hint if trouble else "",
        "protocol": found.protocol,
        "memory_mb": found.memory_mb,
        "own": found.own,
        "capabilities": [_capability(found, name) for name in NAMES] if found.protocol else [],
    }


def _capability(found: AgentFound, name: str) -> dict[str, Any]:
    can = found.capabilities.can(name)
    why = "" if can else found.lacks.get(name, "")
    return {"name": name, "can": can, "means": MEANS[name] if can else WITHOUT[name], "why": why}
