"""What an agent is asked to be: a text, how far it may reach, and what must hold besides."""

import re
from dataclasses import dataclass, replace

from heddle.core.errors import UserError
from heddle.core.gate import GateRule, Gates
from heddle.core.scope import Scope
from heddle.core.settings import AgentRule, Settings
from heddle.core.task import Lane, Stage

MOST_INSTRUCTIONS = 40
"""An agent that is told so many things at once, or more, begins to forget some of them."""

REVIEWER = "reviewer"
"""The role that judges a result which is green, in the lane `full`."""


@dataclass(frozen=True, slots=True)
class Role:
    """`text` is what the agent is told at every stage, `told` what it is told at one besides. `scope`: the globs that it may
    write unless a person says otherwise, none: all. `writes`: whether it writes at all; who does not ends with a report.
    `network`: whether its sessions reach more than their agent's own hosts. `agents` play it, else `fallbacks`, each of
    which has what it `needs`. `gates` and `checks` come on top of the repository's. `source`: "shipped", or the file that
    says so.
    """

    name: str
    text: str
    told: tuple[tuple[Stage, str], ...] = ()
    scope: tuple[str, ...] = ()
    writes: bool = True
    network: bool = True
    agents: tuple[AgentRule, ...] = ()
    fallbacks: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    gates: tuple[GateRule, ...] = ()
    checks: tuple[str, ...] = ()
    source: str = "shipped"

    @property
    def about(self) -> str:
        """Its first sentence."""
        first = self.text.strip().partition("\n")[0]
        return first.partition(". ")[0].rstrip(".")

    def text_at(self, stage: Stage) -> str:
        """All that it is told at a stage."""
        return "\n\n".join(part for part in (self.text, dict(self.told).get(stage, "")) if part)

    def objection(self, globs: tuple[str, ...]) -> str:
        """Why a plan may not have that scope; "" when it may. A glob counts as what it says: `docs/*.md` lies in `docs/**`."""
        beyond = Scope(self.scope).outside(globs) if self.scope else ()
        if not beyond:
            return ""
        return f"'{beyond[0]}' lies outside of what the role '{self.name}' writes: {', '.join(self.scope)}"

    def lane(self, asked: str) -> Lane:
        """The lane of a task in this role; "": nobody asked for one. Raises UserError (slug no-such-lane, role-reads-only)."""
        lanes = tuple(Lane)
        if asked and asked not in lanes:
            listed = ", ".join(lanes)
            raise UserError(f"there is no lane '{asked}'", slug="no-such-lane", hint=f"lanes are: {listed}")
        if not self.writes and asked not in ("", Lane.REPORT):
            told = f"the role '{self.name}' writes nothing, so there is nothing to land in lane '{asked}'"
            raise UserError(told, slug="role-reads-only", hint="leave --lane out, or name a role that writes")
        return Lane(asked or (Lane.STANDARD if self.writes else Lane.REPORT))

    def narrowed(self, settings: Settings) -> Settings:
        """The settings for a task in this role: it adds gates, checks and needs, and takes none away."""
        return replace(
            settings,
            agent_rules=(*self.agents, *settings.agent_rules),
            fallbacks=self.fallbacks or settings.fallbacks,
            needs=tuple(dict.fromkeys((*settings.needs, *self.needs))),
            gates=Gates((*settings.gates.rules, *self.gates)),
            role_checks=self.checks,
            network=settings.network and self.network,
        )


def instructions(text: str) -> int:
    """How many things a text tells an agent to do: its sentences outside of headings and fenced blocks."""
    count, fenced = 0, False
    for line in text.splitlines():
        fenced ^= line.startswith(("+++", "```"))
        if line.strip() and not fenced and not line.startswith(("#", "+++", "```")):
            count += len(re.findall(r"[.!?:](?=\s|$)", line)) or 1
    return count
