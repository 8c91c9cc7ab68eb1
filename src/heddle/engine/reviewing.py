"""Reviews: a fresh session, which only reads, judges the plan against the change that would land."""

from collections.abc import Sequence
from dataclasses import replace

from heddle.core.errors import MACHINE, HeddleError
from heddle.core.gate import CheckResult, Colour, Review, Verdict
from heddle.core.role import REVIEWER
from heddle.core.run import Run
from heddle.core.settings import Settings
from heddle.core.task import Stage
from heddle.engine.choosing import choose
from heddle.engine.documents import load_review
from heddle.engine.failure import Failure
from heddle.engine.prompts import fenced
from heddle.engine.roles import Roles
from heddle.engine.runs import Runs
from heddle.engine.site import Outside, Site
from heddle.engine.stages import AgentStage, workspace_for
from heddle.ports import Workspace

MOST_DIFF = 60_000
"""Characters of a change that a reviewer is shown; the rest it reads in the files."""


class Reviewing(AgentStage):
    """The review of one validation's candidate. What it asks nobody has to answer for long: its session is not parked."""

    def __init__(self, runs: Runs, outside: Outside, site: Site, settings: Settings, run: Run, key: str) -> None:
        super().__init__(runs, outside, site, replace(settings, park_s=0.0), run, f"{key}-review")
        self._shown = ""

    async def review(self, verdict: Verdict) -> Review:
        """The reviewer's opinion; unknown with the reason when none can be had. Raises what the machine lacks."""
        result = self.run.result.commit if self.run.result else ""
        try:
            colour, text = await self._judge(verdict)
        except Failure as failure:
            colour, text = Colour.UNKNOWN, failure.detail
        except HeddleError as error:
            if error.slug in MACHINE:
                raise
            colour, text = Colour.UNKNOWN, error.message
        session = self.run.at_work.session if self.run.at_work else ""
        return Review(colour, self.installer.redact(text), session, result)

    async def _judge(self, verdict: Verdict) -> tuple[Colour, str]:
        self.role = await Roles(self.outside.texts, self.site.repository).load(self.run.base, REVIEWER)
        self.settings = self.role.narrowed(self.settings)
        choice = await choose(self.runs, self.outside.agents, self._as_played(), self.settings, self.key)
        await self.installer.learn_secrets(self.run.base)
        diff = await self.site.repository.diff(verdict.onto, verdict.candidate)
        cut = f"\n[{len(diff) - MOST_DIFF} characters more: read the files]" if len(diff) > MOST_DIFF else ""
        shown = (fenced("change", self.installer.redact(diff[:MOST_DIFF]) + cut), _checked(verdict.results))
        self._shown = "\n" + "\n\n".join(shown) + "\n"
        workspace = await self._workspace(verdict.candidate)
        text = await self._converse(choice, workspace)
        await workspace.seal()
        return load_review(text or "")

    async def _workspace(self, candidate: str) -> Workspace:
        return await workspace_for(self.runs, self.installer, self.run, Stage.VALIDATE, self.key, candidate)

    def _as_played(self) -> Run:
        """The run as its reviewer's agent is chosen: by whoever is named for that role, else the task's own agent again."""
        task = self.run.task
        named = any(rule.role == REVIEWER for rule in self.settings.agent_rules)
        return replace(self.run, task=replace(task, role=REVIEWER, agent="" if named else task.agent))

    def _text_for(self, number: int, resume: str, out: str) -> str:
        return super()._text_for(number, resume, out) + ("" if resume else self._shown)


def _checked(results: Sequence[CheckResult]) -> str:
    told = (f"{one.command}: {one.colour}" for one in results)
    return fenced("checks as Heddle ran them", "\n".join(told) or "(none)")
