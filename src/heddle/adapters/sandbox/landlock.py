"""Tier 1 on Linux: a session that keeps the machine's namespaces and may touch only what its view names, by Landlock."""

from typing import Any

from heddle.adapters.sandbox import policy
from heddle.adapters.sandbox.confined import Confined, unavailable, why_not_there
from heddle.adapters.sandbox.holders import require_in_place
from heddle.holder import landlock
from heddle.ports import View


class Landlock(Confined):
    """See Confined. No mounts, no helper: the kernel alone."""

    def _plan(self, view: View, *, network: bool = False) -> dict[str, Any]:
        """See Confined."""
        require_in_place(view)
        if why := _why_not(view, landlock.PORTS if network else landlock.LEAST):
            raise unavailable(view.key, why)
        rules = policy.rules(view, self.environment, self.shown())
        return {"rules": rules, "limits": policy.LIMITS, "tasks": policy.TASKS}

    def _lends(self) -> bool:
        """See Confined."""
        return landlock.abi() >= landlock.PORTS


def _why_not(view: View, version: int) -> str:
    """Why it cannot be enclosed on this machine; "" when it can."""
    try:
        if landlock.abi() < version:
            lacks = "which knows no network" if version == landlock.PORTS else "with which files could be emptied"
            return f"Landlock of this kernel has version {landlock.abi()}, {lacks}"
    except OSError as error:
        return error.strerror or str(error)
    return why_not_there(view)
