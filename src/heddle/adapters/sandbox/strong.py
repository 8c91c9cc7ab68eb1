"""Tier 3: a box whose processes may ask the kernel for nothing but what is on a list, with a bound on its memory."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from heddle.adapters.sandbox import policy
from heddle.adapters.sandbox.box import Box
from heddle.adapters.sandbox.held import HeldProcess
from heddle.core.errors import Refused
from heddle.holder.box import groups

MB = 1024 * 1024


class StrongBox(Box):
    """See Box. `memory_mb`: what one box may take in all, 0: no bound of its own.

    Where no control group can be had the box is made without; `unbounded` says what that leaves open.
    """

    tier = 3

    def __init__(
        self,
        folder: Path,
        runtime: Path,
        environment: Mapping[str, str],
        shown: Callable[[], policy.Shown] = policy.Shown,
        *,
        memory_mb: int = 0,
    ) -> None:
        super().__init__(folder, runtime, environment, shown)
        self.memory_mb = memory_mb

    def more(self) -> dict[str, Any]:
        """See Box."""
        return {"strict": True, "group": {"memory": self.memory_mb * MB, "processes": policy.PROCESSES}}

    async def require_fit(self, made: HeldProcess) -> None:
        """Nothing new is begun in a box of tier 2 that an earlier daemon made: see Box."""
        spec = made.folder.load(made.folder.spec) or {}
        if not spec.get("make", {}).get("strict"):
            raise Refused(
                f"'{spec.get('key', '')}' is a box of tier 2, which still works",
                slug="sandbox-unavailable",
                hint="wait for its task's attempt to end, or stop the task: what comes after is in a box of tier 3",
            )


def unbounded(memory_mb: int) -> str:
    """Why the memory of a session is not bounded in tier 3; "" when it is."""
    if why := groups.why_none():
        return f"no control group can be made ({why})"
    return "" if memory_mb else "limits.session_memory_mb is 0"
