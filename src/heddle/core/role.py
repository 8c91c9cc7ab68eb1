"""What an agent is asked to be: a text, and how far it may reach."""

from dataclasses import dataclass

from heddle.core.scope import Scope


@dataclass(frozen=True, slots=True)
class Role:
    """`text` is what the agent is told; `scope` the globs that it may write unless a person says otherwise, none: all.
    `agent` and `model` play it unless others are named. `source`: "shipped", or the file that says so.
    """

    name: str
    text: str
    scope: tuple[str, ...] = ()
    agent: str = ""
    model: str = ""
    source: str = "shipped"

    @property
    def about(self) -> str:
        """Its first sentence."""
        first = self.text.strip().partition("\n")[0]
        return first.partition(". ")[0].rstrip(".")

    def objection(self, globs: tuple[str, ...]) -> str:
        """Why a plan may not have that scope; "" when it may. A glob counts as what it says: `docs/*.md` lies in `docs/**`."""
        beyond = Scope(self.scope).outside(globs) if self.scope else ()
        if not beyond:
            return ""
        return f"'{beyond[0]}' lies outside of what the role '{self.name}' writes: {', '.join(self.scope)}"
