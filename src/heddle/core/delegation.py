"""A standing decision of the person: what may be approved without asking, in which scope and until when."""

from collections.abc import Set
from dataclasses import dataclass

from heddle.core.plan import Plan
from heddle.core.scope import Scope
from heddle.core.task import Stage, Task


@dataclass(frozen=True, slots=True)
class Delegation:
    """Approves gates after `stage` for scopes wholly inside `scope`.

    It never approves a check that no person approved before. `expires_at` in Unix seconds; None: no end.
    """

    name: str
    stage: Stage = Stage.PLAN
    scope: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    max_lines: int | None = None
    expires_at: float | None = None

    def objection(self, task: Task, plan: Plan | None, approved: Set[str], now: float, lines: int = 0) -> str:
        """Why it does not approve; empty when it does."""
        if self.expires_at is not None and now >= self.expires_at:
            return f"delegation '{self.name}' has expired"
        if self.roles and task.role not in self.roles:
            return f"role '{task.role}' is not delegated"
        if plan is None:
            return "there is no plan to judge"
        wide = [glob for glob in plan.scope.globs if not _inside(glob, self.scope)]
        if wide:
            return f"scope '{wide[0]}' lies outside the delegation's"
        fresh = [check for check in plan.commands if check not in approved]
        if fresh:
            return f"check '{fresh[0]}' was never approved by a person"
        if self.max_lines is not None and lines > self.max_lines:
            return f"{lines} changed lines, {self.max_lines} are delegated"
        return ""


def _inside(glob: str, allowed: tuple[str, ...]) -> bool:
    """Whether every path of `glob` is surely inside `allowed`: compared as names, so a doubt is a no."""
    literal = glob.replace("**", "*").replace("*", "\uffff" * 64).replace("?", "\uffff")
    return Scope(allowed).covers(literal)
